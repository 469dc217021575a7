"""What every request passes before any page sees it, and what every answer carries.

A server on 127.0.0.1 is reached by every page that the browser shows: by a form or a script of another site, by
another port of the same machine, and, once a name is pointed at 127.0.0.1, by a page that counts as the same site.
So the host must be one of this server's own names, a page must be of this very origin, and nothing but the door and
the style sheet is given to anyone who has not come in.
"""

from __future__ import annotations

import json
from asyncio import timeout
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from archive.web.door import Door

OPEN_TO_ALL = ("/enter", "/static/")

LONGEST_ADDRESS = 4096
LARGEST_BODY = 16_384
BODY_SECONDS = 10.0

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "cache-control": "no-store",  # years of private photos must not lie in a browser's cache
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), browsing-topics=()",
    "referrer-policy": "same-origin",  # with none at all a browser would send a form's Origin as null
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Refusal(NamedTuple):
    """Why a request goes no further."""

    status: HTTPStatus
    reason: str


class Hosts:
    """The names under which the server may be addressed.

    An address in numbers is always the one that the browser connected to; it is names that others can point here.
    """

    def __init__(self, address: str, port: int) -> None:
        self._port = port
        self._names = {"localhost", "127.0.0.1", "[::1]"}
        self._any_number = not ip_address(address).is_loopback

    def has(self, host: str) -> bool:
        """Whether the `Host` header is this server's own."""
        name, port = self._split(host)
        return port == self._port and (name in self._names or (self._any_number and _is_number(name)))

    def _split(self, host: str) -> tuple[str, int]:
        name, colon, port = host.lower().rpartition(":")
        if not colon or host.endswith("]"):
            return host.lower(), 80
        return name, int(port) if port.isascii() and port.isdecimal() and len(port) < 6 else -1


class Guard:
    """An ASGI application around another."""

    def __init__(self, app: ASGIApp, door: Door, hosts: Hosts) -> None:
        self._app = app
        self._door = door
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # nothing else is spoken here; the server closes it
        if refusal := self._refusal(scope):
            await _refuse(refusal, scope, _with_headers(send))
            return
        body = await _read_body(receive)
        if isinstance(body, Refusal):
            await _refuse(body, scope, _with_headers(send))
            return
        await self._app(scope, _replayed(body, receive), _with_headers(send))

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        return (
            self._wrong_address(scope, headers)
            or self._wrong_origin(scope, headers)
            or self._stranger(scope, headers)
            or _too_large(headers)
        )

    def _wrong_address(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        named = [value for name, value in scope["headers"] if name == b"host"]
        if len(named) != 1 or not self._hosts.has(headers["host"]):
            return Refusal(HTTPStatus.MISDIRECTED_REQUEST, "this is not the address of this archive")
        if len(scope["raw_path"] or b"") + len(scope["query_string"]) > LONGEST_ADDRESS:
            return Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long")
        return None

    def _wrong_origin(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        reading = scope["method"] in {"GET", "HEAD"}
        navigating = reading and headers.get("sec-fetch-mode") == "navigate" and "sec-fetch-dest" in headers
        if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"} and not navigating:
            return Refusal(HTTPStatus.FORBIDDEN, "only pages of this archive may ask for that")
        if reading or self._door.admits_bearer(headers.get("authorization", "")):
            return None
        if headers.get("origin") != f"http://{headers['host']}":
            return Refusal(HTTPStatus.FORBIDDEN, "only pages of this archive may do that")
        return None

    def _stranger(self, scope: Scope, headers: dict[str, str]) -> Refusal | None:
        path = scope["path"]
        if path == OPEN_TO_ALL[0] or path.startswith(OPEN_TO_ALL[1]):
            return None
        if self._door.admits(headers.get("cookie", ""), headers.get("authorization", "")):
            return None
        if headers.get("sec-fetch-mode") == "navigate" or "text/html" in headers.get("accept", ""):
            return Refusal(HTTPStatus.SEE_OTHER, "come in first")
        return Refusal(HTTPStatus.UNAUTHORIZED, "open the address that `archive serve` printed")


def _too_large(headers: dict[str, str]) -> Refusal | None:
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal() and len(length) < 16):
        return Refusal(HTTPStatus.BAD_REQUEST, "the length makes no sense")
    if int(length) > LARGEST_BODY:
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "that is too large")
    return None


async def _read_body(receive: Receive) -> bytes | Refusal:
    """The whole body, if it is neither large nor slow."""
    body = bytearray()
    try:
        async with timeout(BODY_SECONDS):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > LARGEST_BODY:
                    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "that is too large")
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        return Refusal(HTTPStatus.REQUEST_TIMEOUT, "that took too long")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, and then what the connection says after it."""
    given = False

    async def replaying() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replaying


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message["headers"] if name.decode() not in HEADERS]
            fixed = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": kept + fixed}
        await send(message)

    return sending


async def _refuse(refusal: Refusal, scope: Scope, send: Send) -> None:
    if scope["path"].startswith("/api/"):
        kind, text = b"application/json", json.dumps({"error": refusal.reason})
    else:
        kind, text = b"text/plain; charset=utf-8", f"{refusal.reason}\n"
    body = text.encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if refusal.status is HTTPStatus.SEE_OTHER:
        headers.append((b"location", b"/enter"))
    await send({"type": "http.response.start", "status": int(refusal.status), "headers": headers})
    await send({"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})


def _is_number(name: str) -> bool:
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
