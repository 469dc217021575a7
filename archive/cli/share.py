"""What an ingest does for a change of the pair once its own work is done: a bounded share of the re-embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from archive.errors import ArchiveError

if TYPE_CHECKING:
    from archive.settings import Settings

PART = 0.5
"""As long as this part of the ingest itself."""

LEAST_SECONDS = 5.0
MOST_SECONDS = 300.0


def go_on(settings: Settings, seconds: float) -> None:
    """Re-embed for a while after an ingest that took so many seconds, and say so in one line.

    The photos of the ingest are in: whatever ends this is said, and takes nothing back.
    """
    from archive import changeover, pace
    from archive.cli.progress import bar
    from archive.cli.reembed import in_words
    from archive.reembedding import Report

    if not changeover.is_waiting(settings):
        return
    report = Report()
    bounds = changeover.Bounds(seconds=min(max(PART * seconds, LEAST_SECONDS), MOST_SECONDS))
    try:
        with bar("re-embedding, Ctrl-C ends it") as watcher:
            changeover.reembed(settings, bounds, report, watcher)
    except KeyboardInterrupt:
        click.echo("re-embedding stopped; all photos are in, and `archive reembed` goes on with it", err=True)
    except ArchiveError as error:
        click.echo(f"re-embedding did not go on: {error}", err=True)
    else:
        known = pace.read(settings.home)
        seconds_left = known.seconds_for(report.pending) if known and report.pending else None
        click.echo(f"meanwhile re-embedding: {in_words(report, seconds_left)}", err=True)
