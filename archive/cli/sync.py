"""`archive sync`: put the search index right by the catalog."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from archive.cli.options import as_json, common

if TYPE_CHECKING:
    from archive.settings import Settings


@click.command(
    epilog="""
\b
Examples:
  archive sync
  archive sync --config cluster.toml --json

The catalog is the truth: photos that the index lacks are searched straight from the catalog until they are in it, and
what the index has too many is never shown. Every ingest does this at its end, and `archive reindex` does it too; this
command does nothing else, and no photo is looked at again.
"""
)
@as_json
@common
def command(settings: Settings, *, as_json: bool) -> None:
    """Put the search index right by the catalog, after a crash of either."""
    from archive import bootstrap, reindex

    report = reindex.Report()
    bootstrap.sync(settings, report)
    if as_json:
        click.echo(json.dumps({"shards_written": report.rebuilt}))
    else:
        click.echo(
            f"{report.rebuilt} shard{'' if report.rebuilt == 1 else 's'} written"
            if report.rebuilt
            else "the index is right"
        )
