"""`archive migrate`: move an archive to a cluster, or back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archive.cli.options import as_json, common, wearer
from archive.errors import UsageError

if TYPE_CHECKING:
    from archive.settings import Settings

SOME_LOST = 1


@click.command(
    epilog="""
\b
Examples:
  archive migrate --to cluster.toml
  archive migrate --to cluster.toml --wearer anna     whose the photos of this archive are there
  archive migrate --from cluster.toml                 back into the home of this machine

Originals and rows that the target lacks are copied, ids stay what they are, the index is built, and 200 sampled
vectors must find the same neighbours in both. Stop whenever you like, run it again and it goes on. The archive that is
read is left as it was: until the target is proved, nothing is given up. Nobody may ingest into either meanwhile.
Exit code: 0 all is there, 1 an original could not be read (it is named), 2 wrong usage, 3 an error of either archive.
"""
)
@click.option("--to", "to", metavar="FILE", type=click.Path(path_type=Path), help="The target's configuration.")
@click.option("--from", "from_", metavar="FILE", type=click.Path(path_type=Path), help="The source's configuration.")
@wearer
@as_json
@common
def command(to: Path | None, from_: Path | None, settings: Settings, *, as_json: bool) -> int:
    """Move an archive from its home to a cluster, or back."""
    from archive import configuration, moving
    from archive.cli.progress import bar

    if (to is None) == (from_ is None):
        raise UsageError("say either --to FILE or --from FILE: where the archive goes, or where it comes from")
    cluster = settings._replace(cluster=configuration.read(to or from_ or Path()))
    home = settings._replace(cluster=None, wearers=())
    report = moving.Report()
    with bar("moving") as watcher:
        moving.migrate(*((home, cluster) if to else (cluster, home)), report, watcher)
    for digest, reason in report.lost:
        click.echo(f"not copied: {digest}: {reason}", err=True)
    if as_json:
        told = {"photos": report.photos, "originals": report.originals, "original_bytes": report.original_bytes}
        lost = [{"digest": digest, "reason": reason} for digest, reason in report.lost]
        told |= {"shards_written": report.shards, "compared": report.compared}
        click.echo(json.dumps({**told, "overlap": round(report.overlap, 4), "lost": lost}))
    else:
        click.echo(
            f"{report.photos:,} photos moved, {report.originals:,} originals copied ({report.original_bytes:,} bytes), "
            f"{report.shards} shards written"
        )
        click.echo(f"the same neighbours for {report.overlap:.1%} over {report.compared} sampled vectors")
    return SOME_LOST if report.lost else 0
