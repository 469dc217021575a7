"""`archive reindex`: embed what the chosen pair has not seen, and put the search index right."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from archive.cli.options import as_json, common

if TYPE_CHECKING:
    from archive.settings import Settings

SOME_FAILED = 1


@click.command(
    epilog="""
\b
Examples:
  archive reindex

To change the pair beside normal use, run `archive reembed`. Each photo is kept as soon as it is done: stop whenever
you like, run it again and it goes on. Until the last photo is done, questions are answered with the old pair.
"""
)
@as_json
@common
def command(settings: Settings, *, as_json: bool) -> int:
    """Embed photos that lack the chosen pair, and rebuild the search index."""
    from archive import bootstrap, reindex
    from archive.cli.progress import bar
    from archive.photos.names import printable

    report = reindex.Report()
    with bar("embedding") as watcher:
        bootstrap.reindex(settings, report, watcher)
    for photo, reason in report.failed:
        click.echo(f"not embedded: photo {photo.id} ({printable(photo.name)}): {reason}", err=True)
    if as_json:
        failed = [{"id": photo.id, "reason": reason} for photo, reason in report.failed]
        click.echo(json.dumps({"embedded": report.embedded, "failed": failed, "shards_written": report.rebuilt}))
    else:
        photos = f"{report.embedded:,} photos embedded, {len(report.failed):,} failed"
        click.echo(f"{photos}, {report.rebuilt} shards written")
    return SOME_FAILED if report.failed else 0
