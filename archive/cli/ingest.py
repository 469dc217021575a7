"""`archive ingest`: copy photos in and find the things in them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from archive.cli.options import as_json, common, pair_parts
from archive.settings import PairChoice

if TYPE_CHECKING:
    from archive.cli.progress import Bar
    from archive.ingest import Report
    from archive.settings import Settings

SOME_UNREADABLE = 1


@click.command(
    epilog="""
\b
Examples:
  archive ingest /media/card
  archive ingest ~/Pictures/today IMG_0042.jpg --dry-run
  archive ingest --segmenter FastSAM-s.pt --embedder my-clip/ /media/card
  archive ingest            finish what an interrupted run left

Nothing on the card is ever written, moved or deleted. Photos that are already in are recognised by their content.
Stopping at any moment is safe: run the same command again and it goes on.
Exit code: 0 all photos are in, 1 some files could not be read, 2 wrong usage, 3 an error of the archive,
4 the source went away, 75 another process is writing.
"""
)
@click.argument("sources", nargs=-1, metavar="[SOURCE]...", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would be new, known or unreadable; write nothing.")
@click.option("--even-forgotten", is_flag=True, help="Take in photos, too, that `archive forget` erased.")
@pair_parts
@as_json
@common
def command(
    sources: tuple[Path, ...],
    segmenter: str | None,
    embedder: str | None,
    settings: Settings,
    *,
    dry_run: bool,
    even_forgotten: bool,
    as_json: bool,
) -> int:
    """Copy photos from a card or folder, find the things in them, remember where they were.

    SOURCE is a card's mount point, a folder (with all its subfolders) or a single file.
    """
    from archive import ingest
    from archive.cli.progress import bar

    began = perf_counter()
    report = ingest.Report()
    try:
        with bar("rehearsing" if dry_run else "ingesting") as watcher:
            if dry_run:
                _rehearse(sources, settings, report, watcher, even_forgotten=even_forgotten)
            else:
                choice = PairChoice(segmenter, embedder)
                _ingest(sources, settings, choice, report, watcher, even_forgotten=even_forgotten)
    except BaseException:
        # Ctrl-C, a pulled card or a full disk: say what is in before the reason is given.
        if report.files:
            _sum_up(report, perf_counter() - began, dry_run=dry_run, as_json=as_json)
        raise
    _sum_up(report, perf_counter() - began, dry_run=dry_run, as_json=as_json)
    return SOME_UNREADABLE if report.unreadable else 0


def _ingest(
    sources: tuple[Path, ...],
    settings: Settings,
    choice: PairChoice,
    report: Report,
    watcher: Bar,
    *,
    even_forgotten: bool,
) -> None:
    from archive import bootstrap, ingest

    for source in sources:
        ingest.Source.at(source)  # a mistyped name ends the run before anything is begun
    with bootstrap.ingesting(settings, choice, even_forgotten=even_forgotten) as destination:
        if not sources:
            ingest.adopt(destination, report, watcher)
        for source in sources:
            ingest.ingest(source, destination, report, watcher)


def _rehearse(
    sources: tuple[Path, ...], settings: Settings, report: Report, watcher: Bar, *, even_forgotten: bool
) -> None:
    from archive import bootstrap, ingest

    if not sources:
        raise click.UsageError("--dry-run needs a SOURCE to look at")
    with bootstrap.standings(settings, even_forgotten=even_forgotten) as standing, bootstrap.decoder() as decode:
        for source in sources:
            ingest.rehearse(source, settings.home, standing, decode, report, watcher)


def _sum_up(report: Report, seconds: float, *, dry_run: bool, as_json: bool) -> None:
    from archive.photos.names import printable

    for bad in report.unreadable:
        click.echo(f"unreadable: {printable(os.fsencode(bad.path))}: {bad.reason}", err=True)
    if as_json:
        click.echo(json.dumps(_as_object(report, seconds, dry_run=dry_run)))
        return
    would = "would be " if dry_run else ""
    forgotten = f", {report.forgotten:,} forgotten" if report.forgotten else ""
    rate = f", {report.new / seconds:.1f} new photos/s" if report.new and not dry_run else ""
    click.echo(
        f"{report.new:,} {would}new, {report.known:,} known, {len(report.unreadable):,} unreadable{forgotten} "
        f"of {report.files:,} files in {seconds:.1f} s{rate}"
    )
    if report.marked:
        told = ", ".join(f"{count:,} {mark.value.replace('_', ' ')}" for mark, count in report.marked.most_common())
        click.echo(f"kept, but ranked lower for what they show: {told}")
    if not report.new and report.known and not report.unreadable:
        click.echo("everything was in the archive already; nothing was done", err=True)


def _as_object(report: Report, seconds: float, *, dry_run: bool) -> dict[str, Any]:
    from archive.photos.names import printable

    return {
        "new": report.new,
        "known": report.known,
        "forgotten": report.forgotten,
        "marked": {mark.value: count for mark, count in report.marked.items()},
        "unreadable": [{"path": printable(os.fsencode(bad.path)), "reason": bad.reason} for bad in report.unreadable],
        "dry_run": dry_run,
        "seconds": round(seconds, 3),
    }
