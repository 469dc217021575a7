"""`archive serve`: the archive as a page in the browser."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from archive.cli.options import as_json, common, wearer

if TYPE_CHECKING:
    from archive.settings import Settings
    from archive.web.server import Entrance

PORT = 8377
FROM_ENVIRONMENT = "ARCHIVE_PASSWORD"
"""The password's only source: what stands on a command line can be read by every user of the machine."""


@click.command(
    epilog="""
\b
Examples:
  archive serve
  archive serve --port 0                        any port that is free
  ARCHIVE_PASSWORD=... archive serve --address 0.0.0.0     for a phone in the same network

Open the address that is printed: it holds a token that is new at every start. Only this machine can reach the page,
unless --address names another; then a password is asked for, and what is sent can be read on the way: use it only in
a network that you trust. Programs find the same under /api/v1/, described by /api/v1/openapi.json.
Ctrl-C stops it.
"""
)
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="Port to listen on.")
@click.option("--address", default="127.0.0.1", show_default=True, help="Address to listen on.")
@as_json
@wearer
@common
def command(port: int, address: str, settings: Settings, *, as_json: bool) -> int:
    """Show the archive as a page in the browser, and as a JSON API."""
    from archive.web.server import serve

    def ready(entrance: Entrance) -> None:
        if as_json:
            click.echo(json.dumps({"url": entrance.url, "address": entrance.address, "port": entrance.port}))
        else:
            click.echo(entrance.url)
            click.echo("open this address in a browser; Ctrl-C stops the server", err=True)

    try:
        serve(settings, address, port, os.environ.get(FROM_ENVIRONMENT) or None, ready)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
    return 0
