"""Room: whether what is on a card can fit on the archive's disk, before the first photo is copied."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from archive.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from archive.photos.cards import FoundFile

BESIDES = 100_000
"""Bytes that a photo needs besides its original: 30 segments of 512 dimensions in the catalog, again in the index."""

RESERVE = 64 << 20
"""Bytes that stay free: SQLite's log, and a shard that is written before the ones it replaces go."""


def require_room(files: Sequence[FoundFile], home: Path, is_known: Callable[[FoundFile, int], bool]) -> None:
    """Refuse to begin what cannot end. `is_known` tells by place and size, without reading it, that a file is in.

    Raises:
        ArchiveError: the disk has too little room for the files that may be new.
    """
    free = shutil.disk_usage(home).free
    sizes = [(file, _size(file.path)) for file in files]
    if _needed(size for _, size in sizes) <= free:
        return
    new = [size for file, size in sizes if not is_known(file, size)]
    if new and _needed(new) > free:
        message = (
            f"{len(new):,} photos need about {_needed(new) / 1e6:,.0f} MB, the disk of {home} has {free / 1e6:,.0f} MB "
            "free; free some space, or ingest a part of them"
        )
        raise ArchiveError(message)


def _needed(sizes: Iterable[int]) -> int:
    return RESERVE + sum(size + BESIDES for size in sizes)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # it is named when it is read
        return 0
