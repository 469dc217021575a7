"""How fast re-embedding goes, in a small file of the home that other processes read: nothing rests on it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from time import time
from typing import TYPE_CHECKING

from archive.progress import is_running

if TYPE_CHECKING:
    from pathlib import Path

NAME = "reembedding.json"

FADING = 0.9
"""How much what was measured before still counts, against one more turn."""

RECENT = 60.0
"""Seconds after a turn in which whoever made it counts as still at it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Photos and the seconds of work that they took, the older the less they count; by which pair, process and when."""

    pair_id: int
    photos: float
    seconds: float
    pid: int
    at: float

    @property
    def photos_per_second(self) -> float:
        """What one second of work embeds."""
        return self.photos / self.seconds if self.seconds else 0.0

    @property
    def is_going_on(self) -> bool:
        """Whether somebody is at it now."""
        return time() - self.at < RECENT and is_running(self.pid)

    def seconds_for(self, photos: int) -> float | None:
        """How long so many more photos take; None where nobody can tell."""
        return photos / self.photos_per_second if self.photos_per_second else None


def note(home: Path, pair_id: int, photos: int, seconds: float) -> None:
    """One more turn is done. A disk that is full ends no work for this."""
    before = read(home)
    if before is None or before.pair_id != pair_id:
        before = Pace(pair_id, 0.0, 0.0, 0, 0.0)
    now = Pace(pair_id, before.photos * FADING + photos, before.seconds * FADING + seconds, os.getpid(), time())
    beside = home / f"{NAME}.{now.pid}"
    try:
        beside.touch(mode=0o600)
        beside.write_text(json.dumps(asdict(now)), encoding="ascii")
        beside.replace(home / NAME)
    except OSError:
        # Full or read-only: the work itself finds that out, and says so, where it matters.
        beside.unlink(missing_ok=True)


def read(home: Path) -> Pace | None:
    """The pace of the last turns; None where there were none."""
    try:
        return Pace(**json.loads((home / NAME).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
