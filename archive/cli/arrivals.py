"""How the report of an ingest looks: as JSON for programs, as words for people."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from archive import moments
from archive.answers import instant
from archive.photos.names import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from archive.aftercare import Outcome
    from archive.ingest_report import Report
    from archive.provenance import SessionAudit

SESSIONS_LISTED = 20
NUMBERS_LISTED = 20


def as_object(report: Report, outcomes: dict[Path, Outcome]) -> dict[str, Any]:
    """The counts and lists of an ingest; `outcomes` is what was done to each card."""
    return {
        "new": report.new,
        "known": report.known,
        "forgotten": report.forgotten,
        "marked": {mark.value: count for mark, count in report.marked.items()},
        "unreadable": [{"path": shown(bad.path), "reason": bad.reason} for bad in report.unreadable],
        "damaged": [shown(path) for path in report.damaged],
        "unfinished": [shown(path) for path in report.unfinished],
        "retimed": report.retimed,
        "clocks": report.clocks,
        "reused": {
            "photos": report.reuse.photos,
            "vectors": report.reuse.carried,
            "of_vectors": report.reuse.vectors,
        },
        "sessions": [_session_object(session) for session in report.sessions],
        "cards": [_outcome_object(path, outcome) for path, outcome in outcomes.items()],
    }


def problems(report: Report) -> Iterator[str]:
    """A line for each file that is not in as it should be."""
    for bad in report.unreadable:
        yield f"unreadable: {shown(bad.path)}: {bad.reason}"
    for path in report.damaged:
        yield f"damaged: {shown(path)}: is not what the sensor gave; kept and marked"
    for path in report.unfinished:
        yield f"unfinished: {shown(path)}: the camera lost power before it was a photo"


def session_words(sessions: Sequence[SessionAudit], now: datetime | None) -> Iterator[str]:
    """A line for each session of a card; of many, for those with something missing or without a time.

    `now` is None on a dry run, which asks no clock.
    """
    listed = sessions
    if len(sessions) > SESSIONS_LISTED:
        listed = [session for session in sessions if session.missing or session.last is None]
    for session in listed[-SESSIONS_LISTED:]:
        yield _session_line(session, now)
    rest = len(sessions) - len(listed[-SESSIONS_LISTED:])
    if rest:
        yield f"and {rest:,} more sessions"


def outcome_words(path: Path, outcome: Outcome, *, dry_run: bool) -> Iterator[str]:
    """What was done to a card that somebody asked for."""
    would = "would be " if dry_run else ""
    left = f"; {outcome.left:,} stay on it" if outcome.left else ""
    yield f"{shown(path)}: {outcome.verified:,} photos {would}verified in the archive{left}"
    if outcome.freed:
        yield f"{outcome.freed:,} photos, {outcome.freed_bytes / 1e6:.1f} MB, {would}deleted from it"
    if outcome.synced:
        yield f"SYNC.TXT {would}written: sessions from now on are known to be later"
    if outcome.ejected:
        yield f"{would}ejected"


def numbers(missing: Sequence[int]) -> str:
    """Numbers with their runs drawn together: `4, 17-19`; a long list is cut off and counted."""
    runs: list[list[int]] = []
    for number in missing:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    words = ["-".join(str(number) for number in run) for run in runs[:NUMBERS_LISTED]]
    if len(runs) > NUMBERS_LISTED:
        words.append(f"... ({len(missing):,} in all)")
    return ", ".join(words)


def shown(path: Path) -> str:
    """A path, safe to print."""
    return printable(os.fsencode(path))


def _session_line(session: SessionAudit, now: datetime | None) -> str:
    missing = f", missing {numbers(session.missing)}" if session.missing else ""
    line = f"session {session.key.number}: {session.shot:,} shot, {session.stored:,} in{missing}"
    if now is None:
        return line
    if session.first is None or session.last is None or session.error_ms is None:
        return f"{line}; time unknown, tell it with --starts {session.key.number}=TIME"
    first, last = moments.calendar(session.first, now), moments.calendar(session.last, now)
    return f"{line}; {moments.span(first, last)}, {moments.within(session.error_ms)}"


def _session_object(session: SessionAudit) -> dict[str, Any]:
    return {
        "device": session.key.device,
        "session": session.key.number,
        "nonce": session.key.nonce,
        "shot": session.shot,
        "stored": session.stored,
        "missing": list(session.missing),
        "first": instant(session.first),
        "last": instant(session.last),
        "error_ms": session.error_ms,
    }


def _outcome_object(path: Path, outcome: Outcome) -> dict[str, Any]:
    return {
        "path": shown(path),
        "verified": outcome.verified,
        "left": outcome.left,
        "freed": outcome.freed,
        "freed_bytes": outcome.freed_bytes,
        "synced": outcome.synced,
        "ejected": outcome.ejected,
    }
