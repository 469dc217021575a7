"""`archive backup`: a second copy of everything that cannot be made again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
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
  archive backup /media/disk/archive
  archive backup /media/disk/archive --verify     hash every original that is there already

An ingest may go on meanwhile. Only what the backup lacks is copied; stop whenever you like, run it again and it goes
on, and until its last step the backup before it stays good. Photos that were forgotten since are erased from it.
Exit code: 0 all is copied, 1 an original could not be (it is named), 3 nothing was changed.
"""
)
@click.argument("target", metavar="DEST", type=click.Path(path_type=Path, file_okay=False))
@click.option("--verify", is_flag=True, help="Hash originals that are there already; copy altered ones anew.")
@as_json
@common
def command(target: Path, settings: Settings, *, verify: bool, as_json: bool) -> int:
    """Copy the archive to another disk, or bring such a copy up to date."""
    from archive import backup, custody
    from archive.cli.progress import bar

    report = backup.Report()
    with bar("copying") as watcher:
        manifest = custody.back_up(settings, target, report, watcher, verify=verify)
    for photo, reason in report.failed:
        click.echo(f"not copied: photo {photo.id}: {reason}", err=True)
    if as_json:
        failed = [{"id": photo.id, "reason": reason} for photo, reason in report.failed]
        counts = {"copied": report.copied, "copied_bytes": report.copied_bytes, "erased": report.erased}
        click.echo(json.dumps({"backup": asdict(manifest), **counts, "failed": failed}))
    else:
        erased = f", {report.erased:,} forgotten ones erased from it" if report.erased else ""
        click.echo(f"{report.copied:,} originals copied ({report.copied_bytes:,} bytes){erased}")
        click.echo(f"{target} holds {manifest.photos:,} photos, {manifest.original_bytes:,} bytes of originals")
    return SOME_FAILED if report.failed else 0
