"""`archive restore`: make an archive anew from its backup."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archive.cli.options import as_json, common

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive.backup import Manifest, Report
    from archive.settings import Settings

SOME_MISSING = 1


@click.command(
    epilog="""
\b
Examples:
  archive restore /media/disk/archive --dry-run          what the backup holds, and whether all of it is there
  archive restore /media/disk/archive --dry-run --data   the same, with every original hashed
  archive restore /media/disk/archive --home ~/archive

Every original is verified as it is copied. Stop whenever you like, run it again and it goes on. An archive that is
there already is never touched.
Exit code: 0 all is there, 1 the backup lacks an original (it is named), 2 an archive is there already.
"""
)
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path, file_okay=False))
@click.option("--dry-run", is_flag=True, help="Say what the backup holds and lacks; write nothing.")
@click.option("--data", is_flag=True, help="With --dry-run: hash every original.")
@as_json
@common
def command(source: Path, settings: Settings, *, dry_run: bool, data: bool, as_json: bool) -> int:
    """Make an archive anew from a backup, on this machine or another."""
    from archive import backup, custody
    from archive.cli.progress import bar

    if data and not dry_run:
        raise click.UsageError("restoring hashes every original anyway; --data goes with --dry-run")
    report = backup.Report()
    with bar("checking" if dry_run else "restoring") as watcher:
        if dry_run:
            manifest = backup.look(source)
            backup.missing(source, manifest, report, watcher, data=data)
        else:
            manifest = custody.restore(source, settings, report, watcher)
    for photo, reason in report.failed:
        click.echo(f"not in the backup: the original of photo {photo.id}: {reason}", err=True)
    if as_json:
        failed = [{"id": photo.id, "reason": reason} for photo, reason in report.failed]
        click.echo(json.dumps({"backup": asdict(manifest), "copied": report.copied, "failed": failed}))
    else:
        for line in _as_words(manifest, report, None if dry_run else settings.home):
            click.echo(line)
    return SOME_MISSING if report.failed else 0


def _as_words(manifest: Manifest, report: Report, home: Path | None) -> Iterator[str]:
    span = f", taken {manifest.first[:10]} to {manifest.last[:10]}" if manifest.first and manifest.last else ""
    yield f"backup of {manifest.made_at}: {manifest.photos:,} photos{span}, {manifest.original_bytes:,} bytes"
    if home is None:
        yield f"{report.photos - len(report.failed):,} originals are there, {len(report.failed):,} are not"
    else:
        yield f"{report.copied:,} originals restored to {home}, {len(report.failed):,} missing; prove it: archive check"
