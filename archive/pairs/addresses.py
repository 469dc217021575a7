"""Which addresses a pull may talk to: https, or this machine for a pull that began there."""

from __future__ import annotations

import urllib.request
from ipaddress import ip_address
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from archive.errors import DownloadFailed

if TYPE_CHECKING:
    import http.client


def is_safe(url: str, origin: str) -> bool:
    """Whether nobody on the way can read or change what arrives from `url`, for a pull that began at `origin`."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and _is_loopback(parts.hostname) and _is_loopback(urlsplit(origin).hostname)


def opener(origin: str) -> urllib.request.OpenerDirector:
    """Opens addresses through the proxy of the environment, if any, and follows redirects to safe ones only."""
    return urllib.request.build_opener(_Redirects(origin))


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only where nobody on the way can change what arrives."""

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The request that follows, unless its address is refused."""
        if not is_safe(newurl, self.origin):
            raise DownloadFailed(f"{self.origin} leads to {newurl}, which is not https; nothing was fetched from there")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False
