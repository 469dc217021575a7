"""What a process that answers many questions keeps of the catalog, decoded, from one of them to the next."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from archive.types import Pack, Vectors

Content = TypeVar("Content")


class Found(NamedTuple, Generic[Content]):
    """Something that was read, and the photos whose packs were met there and found altered."""

    content: Content
    damaged: frozenset[int]


class Slot(Generic[Content]):
    """Keeps one thing for as long as what it was made from stays the same; any thread may ask."""

    def __init__(self) -> None:
        self._making = Lock()
        self._kept: tuple[Hashable, Found[Content]] | None = None

    def get(self, made_from: Hashable, make: Callable[[], Found[Content]]) -> Found[Content]:
        """What was made from that state of things, made now if it is not kept."""
        with self._making:
            if self._kept is None or self._kept[0] != made_from:
                self._kept = None  # the old one need not stay in memory beside the new one
                self._kept = (made_from, make())
            return self._kept[1]

    def let_go(self) -> None:
        """Drop what is kept."""
        with self._making:
            self._kept = None


class Kept:
    """The background sample, and the packs that no shard holds: what each question needs again."""

    def __init__(self) -> None:
        self.sample: Slot[Vectors] = Slot()
        self.outside: Slot[list[Pack]] = Slot()

    def let_go(self) -> None:
        """Drop everything: photos may have been erased."""
        self.sample.let_go()
        self.outside.let_go()
