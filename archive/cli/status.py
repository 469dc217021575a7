"""`archive status`: what is in the archive, how big it is, and what is pending."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from archive.cli.calendar import WEEKS, drawn
from archive.cli.options import as_json, common, wearer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive.catalog.summary import Progress, Summary
    from archive.pace import Pace
    from archive.settings import Settings

HALF_A_YEAR = timedelta(weeks=WEEKS)


@click.command(
    epilog="""
\b
Examples:
  archive status
  archive status --json
"""
)
@as_json
@wearer
@common
def command(settings: Settings, *, as_json: bool) -> None:
    """Show what is in the archive, how big it is, and what is pending."""
    from archive import bootstrap, pace

    now = datetime.now(UTC)
    with bootstrap.reading(settings) as reader:
        summary, state = reader.summary(), reader.state
        days = reader.days(now - HALF_A_YEAR, now)
    known = pace.read(settings.home)
    if as_json:
        about = _as_object(summary, str(settings.home), state.uuid, state.generation)
        about["reembedding"] = _pace_object(summary.wanted.pending, known, now) if summary.wanted else None
        click.echo(json.dumps({**about, "days": {str(day): count for day, count in days.items()}}))
        return
    click.echo(f"Archive in {settings.home}")
    for line in (*_as_words(summary, known, now), *drawn(days, now.astimezone().date())):
        click.echo(line)


def _as_words(summary: Summary, pace: Pace | None, now: datetime) -> Iterator[str]:
    from archive import moments

    if not summary.photos:
        yield "  photos    none yet; begin with `archive ingest FOLDER`"
    else:
        yield f"  photos    {summary.photos:,}, {_bytes(summary.original_bytes)}, found in {summary.sources:,} places"
    if summary.first is not None and summary.last is not None:
        yield f"  taken     {moments.calendar(summary.first, now)} to {moments.calendar(summary.last, now)}"
    if summary.captured_by:
        by_source = sorted(summary.captured_by.items(), key=lambda item: -item[1])
        yield f"  times by  {', '.join(f'{source.value} {count:,}' for source, count in by_source)}"
    if summary.damaged:
        yield f"  damaged   {summary.damaged:,} photos are not what the camera gave, and are marked"
    if summary.marks:
        told = ", ".join(f"{count:,} {mark.value.replace('_', ' ')}" for mark, count in summary.marks.items())
        yield f"  marked    {told}: kept, and ranked lower"
    each = summary.bytes_per_segment
    of_each = f"; with the index {each:,.0f} bytes for each segment" if each else ""
    yield f"  catalog   {_bytes(summary.database_bytes)}{of_each}"
    if summary.answering:
        yield from _pair_words("pair", summary.answering, "segments outside are searched one by one")
    if summary.wanted:
        yield from _pair_words("wanted", summary.wanted, "segments not in it yet")
        yield f"  pending   {summary.wanted.pending:,} photos to embed with {summary.wanted.pair.name}: archive reembed"
        yield from _pace_words(summary.wanted.pending, pace, now)
    elif summary.answering and summary.answering.pending:
        yield f"  pending   {summary.answering.pending:,} photos to embed: archive reindex"
    else:
        yield "  pending   nothing"


def _pair_words(label: str, progress: Progress, outside: str) -> Iterator[str]:
    pair = progress.pair
    yield f"  {label:<8}  {pair.name}: {pair.segmenter}"
    yield f"            {pair.space}"
    yield f"            {progress.photos:,} photos, {progress.segments:,} segments"
    index = f"{progress.shards} shards, {_bytes(progress.shard_bytes)}"
    yield f"  index     {index}; {progress.unsealed:,} {outside}"


def _pace_words(pending: int, pace: Pace | None, now: datetime) -> Iterator[str]:
    from archive import moments

    seconds = pace.seconds_for(pending) if pace else None
    if pace is None or seconds is None:
        return
    words = f"at {pace.photos_per_second:,.1f} photos/s this is {moments.length(seconds)} of work"
    if pace.is_going_on:
        done_at = moments.calendar(now + timedelta(seconds=seconds), now)
        yield f"            being done now: {words}, done {done_at} if nothing comes between"
    else:
        yield f"            {words}; some of it is done after each ingest, and while `archive serve` is idle"


def _pace_object(pending: int, pace: Pace | None, now: datetime) -> dict[str, Any]:
    from archive.answers import instant

    seconds = pace.seconds_for(pending) if pace else None
    going_on = pace is not None and pace.is_going_on
    return {
        "pending": pending,
        "photos_per_second": round(pace.photos_per_second, 3) if pace else None,
        "seconds_left": None if seconds is None else round(seconds, 1),
        "going_on": going_on,
        "done_at": instant(now + timedelta(seconds=seconds)) if going_on and seconds is not None else None,
    }


def _bytes(number: int) -> str:
    size = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _as_object(summary: Summary, home: str, uuid: str, generation: int) -> dict[str, Any]:
    from archive.answers import instant

    return {
        "home": home,
        "uuid": uuid,
        "generation": generation,
        "photos": summary.photos,
        "sources": summary.sources,
        "damaged": summary.damaged,
        "captured_by": {source.value: count for source, count in summary.captured_by.items()},
        "marks": {mark.value: count for mark, count in summary.marks.items()},
        "first": instant(summary.first),
        "last": instant(summary.last),
        "bytes": {
            "originals": summary.original_bytes,
            "catalog": summary.database_bytes,
            "per_segment": summary.bytes_per_segment and round(summary.bytes_per_segment, 1),
        },
        "answering": _pair_object(summary.answering),
        "wanted": _pair_object(summary.wanted),
    }


def _pair_object(progress: Progress | None) -> dict[str, Any] | None:
    if progress is None:
        return None
    return {
        "name": progress.pair.name,
        "segmenter": progress.pair.segmenter,
        "space": progress.pair.space,
        "photos": progress.photos,
        "pending": progress.pending,
        "segments": progress.segments,
        "segments_outside_shards": progress.unsealed,
        "shards": progress.shards,
        "shard_bytes": progress.shard_bytes,
    }
