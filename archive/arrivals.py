"""What the card called each photo, written down before its original is kept.

A run that is killed between the original and its row leaves a file that is named by its digest alone. This list still
knows its name, its place on the card and its time, so that it can be taken in without the card. It is one line of JSON
for each photo of the run, and goes as soon as every photo of it has its row.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archive.disk import PRIVATE_FILE, replace_file, sync

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where a photo came from: `path` as the card's bytes have it, below the source; `modified` in epoch seconds.

    `wearer` is the id of the one whose card it was, 0 for nobody in particular.
    """

    digest: str
    path: bytes
    modified: float | None
    wearer: int = 0


class Arrivals:
    """The list, a file in the archive's home. Only the holder of the writer lock may change it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, arrival: Arrival) -> None:
        """Write a photo down, durably on return."""
        is_new = not self._path.exists()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        with os.fdopen(os.open(self._path, flags, PRIVATE_FILE), "wb") as file:
            file.write(_line(arrival))
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync(self._path.parent)

    def all(self) -> dict[str, Arrival]:
        """What is written down, by digest; a line that a power cut left half is passed over."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return {}
        return {arrival.digest: arrival for line in lines if (arrival := _parsed(line))}

    def keep(self, is_waiting: Callable[[str], bool]) -> None:
        """Forget every photo but those still waiting for their row; with none, the file goes."""
        if not self._path.exists():
            return
        waiting = [arrival for arrival in self.all().values() if is_waiting(arrival.digest)]
        if waiting:
            replace_file(self._path, b"".join(map(_line, waiting)))
        else:
            self._path.unlink()
            sync(self._path.parent)


def _line(arrival: Arrival) -> bytes:
    # A power cut may have left half a line before it, of which this one must not become the other half.
    return f"\n{json.dumps([arrival.digest, arrival.path.hex(), arrival.modified, arrival.wearer])}\n".encode()


def _parsed(line: bytes) -> Arrival | None:
    try:
        digest, path, modified, *wearer = json.loads(line)  # a run of an earlier version wrote no wearer
        return Arrival(digest, bytes.fromhex(path), modified, *wearer)
    except (ValueError, TypeError):
        return None
