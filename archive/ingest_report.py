"""What an ingest did, counted while it goes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from archive.reuse import Reuse

if TYPE_CHECKING:
    from pathlib import Path

    from archive.provenance import SessionAudit
    from archive.types import Mark


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that could not become a photo, and why. It was left as it was."""

    path: Path
    reason: str


@dataclass(slots=True)
class Report:
    """What an ingest did; on a dry run, what it would do."""

    new: int = 0
    known: int = 0
    forgotten: int = 0
    marked: Counter[Mark] = field(default_factory=Counter)
    unreadable: list[Unreadable] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)
    """Photos of the wearable that are in, and marked, although their bytes are not what the sensor gave."""
    unfinished: list[Path] = field(default_factory=list)
    """Files of the wearable that never became a photo, since it lost power."""
    sessions: list[SessionAudit] = field(default_factory=list)
    retimed: int = 0
    """Photos that were in already and whose time is known better now."""
    clocks: int = 0
    """Photos that show a clock, from which their session's time was learned."""
    reuse: Reuse = field(default_factory=Reuse)
    """What needed no look, since a photo before had shown it."""

    @property
    def files(self) -> int:
        """All files that were looked at."""
        return self.new + self.known + self.forgotten + len(self.unreadable) + len(self.unfinished)
