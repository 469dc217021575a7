"""Residue: looking through files for pieces of photos that were erased.

Pieces are long enough, and varied enough, that meeting one by chance does not happen. A file is compared with all of
them in one pass: the eight bytes at every offset are looked up in a table of the pieces' first eight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from archive.types import Vectors

PIECES_OF_A_PHOTO = 8
LENGTH = 64
LEAST_VARIED = 20
"""Different bytes that a piece must have: even areas of two pictures are coded alike."""

MOST_PIECES = 50_000

_CHUNK = 1 << 20
_KEY = 8
_TABLE_BITS = 22
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio: Knuth's multiplicative hashing


class Piece(NamedTuple):
    """Bytes that must be nowhere. Those `of_a_picture` may rightly stand in another, remaining picture too."""

    content: bytes
    of_a_picture: bool


@dataclass(frozen=True, slots=True)
class Residue:
    """A file in which a piece was found."""

    path: Path
    of_a_picture: bool


def pieces_of_digest(digest: str) -> list[Piece]:
    """A sha256, as text and as bytes."""
    return [Piece(digest.encode(), of_a_picture=False), Piece(bytes.fromhex(digest), of_a_picture=False)]


def pieces_of_picture(content: bytes) -> list[Piece]:
    """A few stretches of a file, spread over it."""
    starts = np.linspace(0, max(0, len(content) - LENGTH), 8 * PIECES_OF_A_PHOTO, dtype=int).tolist()
    varied = [piece for start in starts if _is_varied(piece := content[start : start + LENGTH])]
    step = max(1, len(varied) // PIECES_OF_A_PHOTO)
    return [Piece(piece, of_a_picture=True) for piece in varied[::step][:PIECES_OF_A_PHOTO]]


def pieces_of_vectors(vectors: Vectors) -> list[Piece]:
    """The beginning of each row, as the catalog and the index have it; rows too short to be told apart have none."""
    stored = (row.astype(kind).tobytes()[:LENGTH] for kind in ("<f2", "<f4") for row in vectors)
    return [Piece(piece, of_a_picture=False) for piece in stored if _is_varied(piece)]


def search(paths: Iterable[Path], pieces: Iterable[Piece]) -> Iterator[Residue]:
    """The files that hold any of the pieces, each named at most twice: for a picture's pieces, and for others.

    A file that goes away meanwhile holds nothing.
    """
    wanted = _Wanted(pieces)
    for path in paths:
        try:
            yield from (Residue(path, kind) for kind in sorted(wanted.kinds_in(path)))
        except FileNotFoundError:
            continue


class _Wanted:
    """The pieces by their first bytes, and the table that rules out almost every offset of a file."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._by_key: dict[bytes, list[Piece]] = {}
        for piece in pieces:
            self._by_key.setdefault(piece.content[:_KEY], []).append(piece)
        self._table = np.zeros(1 << _TABLE_BITS, bool)
        self._table[_places(np.frombuffer(b"".join(self._by_key), "<u8"))] = True

    def kinds_in(self, path: Path) -> set[bool]:
        """Of which kinds a file holds pieces: of a picture, of something else."""
        found: set[bool] = set()
        overlap = b""
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                found |= self._kinds(overlap + chunk)
                overlap = (overlap + chunk)[-LENGTH:]
        return found

    def _kinds(self, content: bytes) -> set[bool]:
        found = set()
        for shift in range(min(_KEY, len(content) - _KEY + 1)):
            keys = np.frombuffer(content, "<u8", count=(len(content) - shift) // _KEY, offset=shift)
            for row in np.flatnonzero(self._table[_places(keys)]).tolist():
                start = shift + _KEY * row
                for piece in self._by_key.get(content[start : start + _KEY], ()):
                    if content.startswith(piece.content, start):
                        found.add(piece.of_a_picture)
        return found


def _places(keys: np.ndarray[tuple[int, ...], np.dtype[np.uint64]]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    return (keys * _SPREAD) >> np.uint64(64 - _TABLE_BITS)


def _is_varied(piece: bytes) -> bool:
    return len(piece) == LENGTH and len(set(piece)) >= LEAST_VARIED and len(set(piece[:_KEY])) >= _KEY // 2
