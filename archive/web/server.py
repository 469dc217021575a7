"""The running server: its socket, its announcement to the shell, and uvicorn under it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

import uvicorn

from archive import running, wearers
from archive.errors import ArchiveError, UsageError
from archive.web import memory
from archive.web.application import application
from archive.web.behind import Behind, Quiet
from archive.web.door import Door
from archive.web.guard import Hosts

if TYPE_CHECKING:
    from collections.abc import Callable

    from archive.settings import Settings

MOST_CONNECTIONS = 64
LARGEST_HEADERS = 16_384
IDLE_SECONDS = 15
LAST_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where the server is reached, and the address that lets a browser in; the token is in its fragment."""

    address: str
    port: int
    token: str

    @property
    def url(self) -> str:
        """The address to open. A fragment is sent to no server and stands in no log."""
        host = "localhost" if ip_address(self.address).is_unspecified else self.address
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/enter#{self.token}"


def serve(settings: Settings, address: str, port: int, password: str | None, ready: Callable[[Entrance], None]) -> None:
    """Serve the archive until the process is asked to stop; `ready` is told once connections are taken.

    Raises:
        UsageError: the address is none, or others could reach it and there is no password; or nobody is named whose
            photos are to be served.
        ArchiveError: the port is taken.
    """
    wearers.seen(settings)
    memory.keep_freed()
    listening = _listen(address, port, password)
    with listening:
        port = listening.getsockname()[1]
        door = Door(port, password)
        app = Quiet(application(settings, door, Hosts(address, port)))
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            h11_max_incomplete_event_size=LARGEST_HEADERS,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=LAST_SECONDS,
        )
        ready(Entrance(address, port, door.token))
        # A query finds an announced server by its home alone, and would be answered about this one's wearers.
        if not settings.home.exists() or settings.wearers or settings.cluster:
            uvicorn.Server(config).run(sockets=[listening])
            return
        contact = running.Contact(os.getpid(), port, door.token)
        with running.announced(settings.home, contact), Behind(settings, app):
            uvicorn.Server(config).run(sockets=[listening])


def _listen(address: str, port: int, password: str | None) -> socket.socket:
    try:
        number = ip_address(address)
    except ValueError as error:
        raise UsageError(f"{address!r} is not an address in numbers, such as 127.0.0.1") from error
    if not number.is_loopback and password is None:
        raise UsageError(f"others could reach {address}; that needs a password: set ARCHIVE_PASSWORD")
    listening = socket.socket(socket.AF_INET6 if isinstance(number, IPv6Address) else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(MOST_CONNECTIONS)
    except OSError as error:
        listening.close()
        message = f"{address}, port {port}, cannot be served from: {error.strerror}; choose another with --port"
        raise ArchiveError(message) from error
    return listening
