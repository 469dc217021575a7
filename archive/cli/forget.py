"""`archive forget`: erase photos so that nothing of them is left."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from archive.cli.options import as_json, common, wearer

if TYPE_CHECKING:
    from archive.erasure import Receipt
    from archive.settings import Settings

RESIDUE_FOUND = 3


@click.command(
    epilog="""
\b
Examples:
  archive forget 17 18                   by id, as `archive query --json` shows it
  archive forget ~/.local/share/archive/originals/59/596a...8eb.jpg
  archive forget --after 2026-11-23T14:00 --before 2026-11-23T16:00
  archive forget --camera "ESP32-CAM 3f2a" --verify
  archive forget                         finish an erasure that was cut off, or had to wait for a reader

Originals, rows, vectors, index, everything made from a photo, and all remembered questions are erased for good. A
forgotten photo that is still on a card is not taken in again, unless `archive ingest --even-forgotten` asks for it.
Copies elsewhere are not touched: cards, and backups until the next `archive backup`.
Exit code: 0 erased (the words say so where the last bytes wait for a reader), 3 something was found left.
"""
)
@click.argument("names", nargs=-1, metavar="[ID]...")
@click.option("--after", metavar="TIME", help="Photos taken at or after this time.")
@click.option("--before", metavar="TIME", help="Photos taken before this time.")
@click.option("--camera", metavar="ID", help="Photos of this camera.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--verify", is_flag=True, help="Look through every file of the archive for what may be left.")
@as_json
@wearer
@common
def command(
    names: tuple[str, ...],
    after: str | None,
    before: str | None,
    camera: str | None,
    settings: Settings,
    *,
    yes: bool,
    verify: bool,
    as_json: bool,
) -> int:
    """Erase photos for good: by id, by time, or by camera."""
    from archive import custody, erasure, moments

    now = datetime.now(UTC)
    limits = (after, before, camera)
    if names and any(limits):
        raise click.UsageError("name photos, or give a time range or a camera, not both")
    if not names and not any(limits):
        if yes or verify:
            raise click.UsageError("name photos, or give --after, --before or --camera")
        return _finish(custody.finish_forgetting(settings), as_json=as_json)
    which = erasure.Which(
        names,
        moments.parse(after, now) if after else None,
        moments.parse(before, now) if before else None,
        camera,
    )
    photos = custody.to_forget(settings, which)
    for line in erasure.preview(photos, now):
        click.echo(line, err=True)
    if not photos:
        return _finish(erasure.Receipt(), as_json=as_json)
    if not yes:
        _confirm(len(photos))
    return _finish(custody.forget(settings, photos, verify=verify), as_json=as_json)


def _confirm(photos: int) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is there to ask; say --yes to erase them")
    click.confirm(f"Erase {photos:,} photo{'s' * (photos > 1)} for good?", abort=True, err=True)


def _finish(receipt: Receipt | None, *, as_json: bool) -> int:
    from archive.erasure import Receipt

    if receipt is None:
        receipt = Receipt()
        click.echo("nothing is waiting to be erased", err=True)
    if as_json:
        click.echo(json.dumps(receipt.as_object()))
    else:
        for line in receipt.in_words():
            click.echo(line)
    return RESIDUE_FOUND if receipt.residue else 0
