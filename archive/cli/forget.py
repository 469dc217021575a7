"""`archive forget`: erase photos so that nothing of them is left."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from archive.cli.options import as_json, common

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from archive.erasure import Receipt
    from archive.settings import Settings
    from archive.types import Photo

NAMES_SHOWN = 5
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
    for line in _preview(photos, now):
        click.echo(line, err=True)
    if not photos:
        return _finish(erasure.Receipt(), as_json=as_json)
    if not yes:
        _confirm(len(photos))
    return _finish(custody.forget(settings, photos, verify=verify), as_json=as_json)


def _preview(photos: Sequence[Photo], now: datetime) -> Iterator[str]:
    from archive import moments
    from archive.photos.names import printable

    if not photos:
        yield "no photo is meant by that"
        return
    taken = sorted(photo.captured_at for photo in photos if photo.captured_at is not None)
    ends = [moments.calendar(moment, now) for moment in (*taken[:1], *taken[1:][-1:])]
    span = f", taken {' to '.join(ends)}" if ends else ""
    untimed = f", {len(photos) - len(taken)} at an unknown time" if len(taken) < len(photos) else ""
    cameras = sorted({photo.camera for photo in photos if photo.camera})
    by = f", by {', '.join(map(printable, cameras[:NAMES_SHOWN]))}" if cameras else ""
    yield f"to be erased: {len(photos):,} photo{'s' * (len(photos) > 1)}{span}{untimed}{by}"
    for photo in photos[:NAMES_SHOWN]:
        yield f"  {photo.id}  {printable(photo.name)}"
    if len(photos) > NAMES_SHOWN:
        yield f"  and {len(photos) - NAMES_SHOWN:,} more"


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
        click.echo(json.dumps(_as_object(receipt)))
    else:
        for line in _as_words(receipt):
            click.echo(line)
    return RESIDUE_FOUND if receipt.residue else 0


def _as_words(receipt: Receipt) -> Iterator[str]:
    yield (
        f"{receipt.photos:,} photos forgotten: {receipt.files:,} files of {receipt.bytes:,} bytes erased, "
        f"{receipt.shards} shards written anew"
    )
    if not receipt.purged:
        yield "purge pending: somebody reads the archive, so SQLite's log keeps old pages; run: archive forget"
    if receipt.residue is None:
        return
    yield f"searched {receipt.searched:,} files for what may be left: found in {len(receipt.residue)}"
    yield from (f"  {path}" for path in receipt.residue)


def _as_object(receipt: Receipt) -> dict[str, Any]:
    residue = None if receipt.residue is None else [str(path) for path in receipt.residue]
    return {
        "photos": receipt.photos,
        "files": receipt.files,
        "bytes": receipt.bytes,
        "shards_written": receipt.shards,
        "purge": "done" if receipt.purged else "pending",
        "verified": None if residue is None else {"files": receipt.searched, "residue": residue},
    }
