"""Which files were already found to have their sha256: a fresh process need not hash a gigabyte before each answer.

A private file of the home, which names files and nothing that is in them. A file counts as the same for as long as its
size, its inode and the times of its last change are the same; the system sets one of those times itself, so no program
can write to a file and keep it. What a disk alters by itself is found by `archive check`, which never looks here.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from archive.disk import replace_file, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

NAME = "verified.json"
MOST = 256
"""Files remembered; the ones noted first are dropped."""


class Verified:
    """What is remembered in a home. A record that cannot be read or written only costs the hashing."""

    def __init__(self, home: Path) -> None:
        self._path = home / NAME
        self._known = _read(self._path)

    def holds(self, name: str, state: os.stat_result, sha256: str) -> bool:
        """Whether the file of that name, in that state, was found to have that sha256."""
        return self._known.get(name) == [sha256, *_identity(state)]

    def note(self, name: str, state: os.stat_result, sha256: str) -> None:
        """Remember that it has; `state` is that of the open file that was hashed, from before."""
        self._known.pop(name, None)
        self._known[name] = [sha256, *_identity(state)]
        for oldest in list(self._known)[:-MOST]:
            del self._known[oldest]
        with suppress(OSError):  # a full or read-only disk: it is hashed again the next time
            replace_file(self._path, json.dumps(self._known).encode())


def has_digest(path: Path, sha256: str, verified: Verified | None) -> bool:
    """Whether a file has that sha256: by its content, or by what was found before.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        state = os.fstat(file.fileno())
        if verified is not None and verified.holds(str(path), state, sha256):
            return True
        if sha256_of(file) != sha256:
            return False
        if verified is not None:
            verified.note(str(path), state, sha256)
        return True


def _identity(state: os.stat_result) -> list[int]:
    return [state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]


def _read(path: Path) -> dict[str, list[str | int]]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
