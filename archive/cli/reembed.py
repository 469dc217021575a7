"""`archive reembed`: go on embedding the photos with the pair that was chosen, a little or to the end."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import click

from archive.cli.options import as_json, common

if TYPE_CHECKING:
    from archive.changeover import Dropped
    from archive.reembedding import Report
    from archive.settings import Settings

SOME_FAILED = 1
LOW_PRIORITY = 10
"""Whatever else wants a processor gets nine parts of ten; less would make others wait long for the writer's lock."""


@click.command(
    epilog="""
\b
Examples:
  archive models use standard && archive reembed
  archive models use pocket-close && archive reembed      overnight: a closer look, for small things
  archive reembed --for 30m           as far as half an hour takes it
  archive reembed --photos 500 --json
  archive reembed --drop-old          to the end, then give back the disk space of the pair before

Everything else goes on meanwhile: questions are answered with the old pair until the new one has seen every photo, and
an ingest can start at any time; this waits for it. Each photo is kept within seconds: stop whenever you like, run it
again and it goes on. The same is done a little after each `archive ingest`, and by `archive serve` while it is idle.
Exit code: 0 done or gone on with, 1 some originals could not be read, 3 an error of the archive,
75 another process is re-embedding.
"""
)
@click.option("--for", "length", metavar="DURATION", help="Stop after so long: 90s, 30m, 2h.")
@click.option("--photos", metavar="N", type=click.IntRange(min=1), help="Stop after so many photos.")
@click.option("--drop-old", is_flag=True, help="Afterwards drop what pairs saw that neither answer nor are chosen.")
@click.option("--behind", is_flag=True, hidden=True, help="Make one turn for each line that comes in.")
@as_json
@common
def command(
    length: str | None, photos: int | None, settings: Settings, *, drop_old: bool, behind: bool, as_json: bool
) -> int:
    """Go on embedding photos with the chosen pair; it answers once it has seen all."""
    from archive import changeover, moments
    from archive.cli.progress import bar
    from archive.reembedding import Report

    if behind:
        os.nice(LOW_PRIORITY)
        changeover.serve_turns(settings, iter(sys.stdin.readline, ""), lambda word: click.echo(word))
        return 0
    bounds = changeover.Bounds(photos, None if length is None else moments.duration(length))
    report, dropped = Report(), None
    if changeover.is_busy(settings):
        click.echo("another process is writing to the archive; waiting for it", err=True)
    try:
        with bar("re-embedding") as watcher:
            changeover.reembed(settings, bounds, report, watcher)
        if drop_old:
            dropped = changeover.drop_old(settings)
    except BaseException:
        # Ctrl-C or a full disk: say what is kept before the reason is given.
        if report.embedded:
            _sum_up(report, dropped, settings, as_json=as_json)
        raise
    _sum_up(report, dropped, settings, as_json=as_json)
    return SOME_FAILED if report.failed else 0


def in_words(report: Report, seconds_left: float | None) -> str:
    """What was done and what is left, in a line."""
    from archive import moments

    done = f"{report.embedded:,} photo{'s' * (report.embedded != 1)} embedded with {report.pair}"
    if report.switched:
        return f"{done}; it has seen all that can be read and answers from now on"
    if not report.pending:
        return f"{done}; nothing is left to do"
    if report.answers:
        return f"{done}; {report.pending:,} photos cannot be read, see: archive check"
    long = "" if seconds_left is None else f", about {moments.length(seconds_left)} of work"
    return f"{done}, {report.pending:,} to go{long}; until then the pair before it answers"


def _sum_up(report: Report, dropped: Dropped | None, settings: Settings, *, as_json: bool) -> None:
    from archive import pace
    from archive.photos.names import printable

    for photo, reason in report.failed:
        click.echo(f"not embedded: photo {photo.id} ({printable(photo.name)}): {reason}", err=True)
    known = pace.read(settings.home)
    seconds_left = known.seconds_for(report.pending) if known and report.pending else None
    if as_json:
        click.echo(json.dumps(_as_object(report, dropped, seconds_left)))
        return
    click.echo(in_words(report, seconds_left))
    if dropped is not None:
        click.echo(_dropped_words(dropped))


def _dropped_words(dropped: Dropped) -> str:
    if not dropped.pairs:
        return "no pair is left behind; nothing was dropped"
    pairs = "1 pair" if dropped.pairs == 1 else f"{dropped.pairs} pairs"
    words = (
        f"dropped {pairs} with the vectors of {dropped.photos:,} photos; {dropped.bytes / 1e6:,.1f} MB are free again"
    )
    if dropped.rewritten:
        return words
    kept = "the catalog keeps its size, since a server holds it or its disk has no room for a copy"
    return f"{words}; {kept}; its free pages are used for what comes next"


def _as_object(report: Report, dropped: Dropped | None, seconds_left: float | None) -> dict[str, object]:
    told: dict[str, object] = {
        "pair": report.pair,
        "embedded": report.embedded,
        "failed": [{"id": photo.id, "reason": reason} for photo, reason in report.failed],
        "pending": report.pending,
        "answers": report.answers,
        "switched": report.switched,
        "seconds": round(report.seconds, 3),
        "seconds_left": None if seconds_left is None else round(seconds_left, 1),
    }
    if dropped is not None:
        told["dropped"] = {"pairs": dropped.pairs, "photos": dropped.photos, "bytes": dropped.bytes}
    return told
