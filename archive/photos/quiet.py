"""Keeps Pillow's warnings away from people, whichever threads decode."""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Silence:
    """Shared by all threads: the process has one list of warning filters.

    The first to enter sets it, the last to leave restores it; a `catch_warnings` in each thread would restore in any
    order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved = warnings.catch_warnings()

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\b")

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._saved.__exit__(None, None, None)


_silence = _Silence()


@contextmanager
def no_warnings() -> Iterator[None]:
    """Pillow warns of nothing inside; what a warning would mean is checked on the pixels instead."""
    _silence.enter()
    try:
        yield
    finally:
        _silence.leave()
