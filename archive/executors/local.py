"""The executor of one machine: threads of this process, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from archive.observation import Observer
    from archive.protocols import Reused, Sent
    from archive.types import Pack


@dataclass(frozen=True, slots=True)
class LocalExecutor:
    """Observes `workers` photos at a time with one observer, from pixels that are decoded already."""

    observer: Observer
    workers: int

    def observe_all(self, photos: Iterable[Sent], reused: Reused | None = None) -> Iterator[tuple[Sent, Pack]]:
        """Each photo with its pack, in order."""
        return self.observer.observe_all(photos, self.workers, reused)
