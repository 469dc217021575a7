"""`archive ingest`: copy photos in and find the things in them."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from archive.cli import share
from archive.cli.options import as_json, common, pair_parts, wearer
from archive.settings import PairChoice

if TYPE_CHECKING:
    from archive.aftercare import Care, Outcome
    from archive.cli.progress import Bar
    from archive.ingest import Destination
    from archive.ingest_report import Report
    from archive.progress import Watcher
    from archive.provenance import Start
    from archive.settings import Settings

SOME_UNREADABLE = 1


@click.command(
    epilog="""
\b
Examples:
  archive ingest /media/card
  archive ingest ~/Pictures/today IMG_0042.jpg --dry-run
  archive ingest --segmenter FastSAM-s.pt --embedder my-clip/ /media/card
  archive ingest s3://bucket/folder
  archive ingest            finish what an interrupted run left
The wearable's card:
  archive ingest /media/card --starts 08:10            when it was switched on, where its clock was never told
  archive ingest /media/card --starts 7=08:10 --starts 8=2026-11-23T14:00
  archive ingest /media/card --sync-clock --eject
  archive ingest /media/card --free --dry-run

A card of the wearable is recognised by its folder ARCHIVE: each photo is proved by its own digest and timed by its
session's clock, and numbers that are missing are named. Nothing on a card is ever written, moved or deleted unless you
ask for it. Photos that are already in are recognised by their content.
Stopping at any moment is safe: run the same command again and it goes on.
Where another pair was chosen with `archive models use`, an ingest goes on embedding with it for a while afterwards.
Exit code: 0 all photos are in, 1 some files could not be read, 2 wrong usage, 3 an error of the archive,
4 the source went away, 75 another process is writing.
"""
)
@click.argument("sources", nargs=-1, metavar="[SOURCE]...", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would be new, known or unreadable; write nothing.")
@click.option("--even-forgotten", is_flag=True, help="Take in photos, too, that `archive forget` erased.")
@click.option("--no-reuse", is_flag=True, help="Look at each photo anew, even where it shows what one before it shows.")
@click.option(
    "--starts",
    metavar="[SESSION=]TIME",
    multiple=True,
    help="When a session of the wearable began, give or take two minutes; its photos are timed from there.",
)
@click.option(
    "--sync-clock",
    is_flag=True,
    help="Afterwards write SYNC.TXT to the card: its later sessions are known to be later.",
)
@click.option(
    "--free",
    is_flag=True,
    help="Afterwards delete from the card photos that are whole and proved to be in; asks first.",
)
@click.option("--eject", is_flag=True, help="Afterwards eject the card.")
@click.option("--yes", is_flag=True, help="Do not ask before --free.")
@click.option("--no-reembed", is_flag=True, help="Where another pair was chosen, leave its work for another time.")
@pair_parts
@as_json
@wearer
@common
def command(
    sources: tuple[Path, ...],
    starts: tuple[str, ...],
    segmenter: str | None,
    embedder: str | None,
    settings: Settings,
    *,
    dry_run: bool,
    even_forgotten: bool,
    no_reuse: bool,
    sync_clock: bool,
    free: bool,
    eject: bool,
    yes: bool,
    no_reembed: bool,
    as_json: bool,
) -> int:
    """Copy photos from a card or folder, find the things in them, remember where they were.

    SOURCE is a card's mount point, a folder (with all its subfolders), a single file, or a folder of an object store.
    """
    from archive import aftercare, bootstrap, parts
    from archive.cli.progress import bar
    from archive.ingest_report import Report
    from archive.progress import Told

    began = perf_counter()
    report = Report()
    outcomes: dict[Path, Outcome] = {}
    care = aftercare.Care(sync_clock=sync_clock, free=free, eject=eject)
    told = [_start(text) for text in starts]
    if told and dry_run:
        raise click.UsageError("--starts moves times, which --dry-run cannot show; leave one of them out")
    _refuse_impossible(sources, care, ask=not (yes or dry_run))
    try:
        with bar("rehearsing" if dry_run else "ingesting") as watcher:
            if dry_run:
                _rehearse(sources, settings, care, report, outcomes, watcher, even_forgotten=even_forgotten)
            else:
                choice = PairChoice(segmenter, embedder)
                if sys.stderr.isatty() and (advice := parts.advice(settings, choice)):
                    click.echo(advice, err=True)
                if sys.stderr.isatty() and (preparation := bootstrap.preparation(settings, choice)):
                    click.echo(preparation, err=True)
                with (
                    bootstrap.ingesting(
                        settings, choice, even_forgotten=even_forgotten, reuse=not no_reuse
                    ) as destination,
                    Told(settings.home, watcher) as written,
                ):
                    _ingest(sources, destination, told, care, report, outcomes, written)
    except BaseException:
        # Ctrl-C, a pulled card or a full disk: say what is in before the reason is given.
        if report.files:
            _sum_up(report, outcomes, perf_counter() - began, dry_run=dry_run, as_json=as_json)
        raise
    seconds = perf_counter() - began
    _sum_up(report, outcomes, seconds, dry_run=dry_run, as_json=as_json)
    if report.new and not (dry_run or no_reembed):
        share.go_on(settings, seconds)
    return SOME_UNREADABLE if report.unreadable else 0


def _start(text: str) -> Start:
    from archive import moments
    from archive.provenance import Start

    number, separator, time = text.rpartition("=")
    if separator and not number.isdecimal():
        raise click.UsageError(f"--starts {text}: write it like 08:10, or 7=08:10 for session 7")
    moment = moments.parse(time, datetime.now(UTC))
    return Start(int(number) if separator else None, int(moment.timestamp() * 1000))


def _refuse_impossible(sources: tuple[Path, ...], care: Care, *, ask: bool) -> None:
    """End the run before it has begun where its end could not be reached."""
    from archive import aftercare, ingest, remote_source
    from archive.cli import arrivals

    for source in sources:
        if remote_source.url_of(source):
            if care.is_asked:
                raise click.UsageError(f"--sync-clock, --free and --eject are for a card, not for {source}")
            continue
        ingest.Source.at(source)  # a mistyped name ends the run before anything is begun
        aftercare.refuse_impossible(source, care)
    if care.is_asked and not sources:
        raise click.UsageError("--sync-clock, --free and --eject need a SOURCE, the card")
    if care.free and ask:
        if not sys.stdin.isatty():
            raise click.UsageError("--free asks before it deletes; add --yes where nobody can answer")
        cards = ", ".join(map(arrivals.shown, sources))
        question = f"Free {cards} afterwards: delete each photo whose original is in, re-read and verified?"
        click.confirm(question, abort=True, err=True)


def _ingest(
    sources: tuple[Path, ...],
    destination: Destination,
    starts: list[Start],
    care: Care,
    report: Report,
    outcomes: dict[Path, Outcome],
    watcher: Watcher,
) -> None:
    from archive import aftercare, bootstrap, ingest

    if not sources:
        ingest.adopt(destination, report, watcher, starts)
    for source in sources:
        for folder in bootstrap.arriving(source):
            ingest.ingest(folder, destination, report, watcher, starts)
    for source in sources if care.is_asked else ():
        now = datetime.now().astimezone()
        outcomes[source] = aftercare.look_after(source, care, destination.catalog, destination.originals, now, watcher)


def _rehearse(
    sources: tuple[Path, ...],
    settings: Settings,
    care: Care,
    report: Report,
    outcomes: dict[Path, Outcome],
    watcher: Bar,
    *,
    even_forgotten: bool,
) -> None:
    from archive import aftercare, bootstrap, ingest
    from archive.holdings import holdings

    if not sources:
        raise click.UsageError("--dry-run needs a SOURCE to look at")
    with holdings(settings, even_forgotten=even_forgotten) as known, bootstrap.decoder() as decode:
        for source in sources:
            for folder in bootstrap.arriving(source):
                ingest.rehearse(folder, settings.home, known, decode, report, watcher)
        for source in sources if care.is_asked else ():
            outcomes[source] = aftercare.rehearse(source, care, known.forgotten, watcher)


def _sum_up(report: Report, outcomes: dict[Path, Outcome], seconds: float, *, dry_run: bool, as_json: bool) -> None:
    from archive.cli import arrivals

    for line in arrivals.problems(report):
        click.echo(line, err=True)
    if as_json:
        told = arrivals.as_object(report, outcomes) | {"dry_run": dry_run, "seconds": round(seconds, 3)}
        click.echo(json.dumps(told))
        return
    would = "would be " if dry_run else ""
    forgotten = f", {report.forgotten:,} forgotten" if report.forgotten else ""
    rate = f", {report.new / seconds:.1f} new photos/s" if report.new and not dry_run else ""
    click.echo(
        f"{report.new:,} {would}new, {report.known:,} known, {len(report.unreadable):,} unreadable{forgotten} "
        f"of {report.files:,} files in {seconds:.1f} s{rate}"
    )
    if report.marked:
        marks = ", ".join(f"{count:,} {mark.value.replace('_', ' ')}" for mark, count in report.marked.most_common())
        click.echo(f"kept, but ranked lower for what they show: {marks}")
    for line in arrivals.session_words(report.sessions, None if dry_run else datetime.now(UTC)):
        click.echo(line)
    for path, outcome in outcomes.items():
        for line in arrivals.outcome_words(path, outcome, dry_run=dry_run):
            click.echo(line)
    for line in _remarks(report):
        click.echo(line, err=True)


def _remarks(report: Report) -> list[str]:
    remarks = []
    if report.reuse.carried:
        remarks.append(
            f"{_photos(report.reuse.photos)} repeat one before; {report.reuse.rate:.0%} of all vectors were reused"
        )
    if report.retimed:
        remarks.append(f"{_photos(report.retimed)} that came in before got a better time")
    if report.clocks:
        remarks.append(f"the time was read from a clock in {_photos(report.clocks)}")
    if not report.new and report.known and not report.unreadable:
        remarks.append("everything was in the archive already; nothing was done")
    return remarks


def _photos(number: int) -> str:
    return "1 photo" if number == 1 else f"{number:,} photos"
