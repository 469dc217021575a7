"""Networks that keep the state of the photo they are at: one for each thread that segments."""

from __future__ import annotations

from threading import Lock, local
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Made = TypeVar("Made")

_making = Lock()
"""Held while something is made: libraries that are being imported and patched do not bear company."""


class PerThread(Generic[Made]):
    """A property that is made on first use in each thread, and kept as long as the thread and its owner live."""

    def __init__(self, make: Callable[[Any], Made]) -> None:
        self._make = make
        # Not the property's own name: what an object holds under that would stand before the property.
        self._key = f"{make.__name__} of each thread"

    def __get__(self, owner: object, _kind: type | None = None) -> Made:
        """This thread's own."""
        kept: local = owner.__dict__.setdefault(self._key, local())
        if not hasattr(kept, "made"):
            with _making:
                kept.made = self._make(owner)
        made: Made = kept.made
        return made
