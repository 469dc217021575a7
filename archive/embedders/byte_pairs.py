"""CLIP's byte-pair encoding of plain texts, from a table that is mapped: its whole vocabulary takes 0.2 s to read.

Plain is what is ASCII in small letters and names none of the vocabulary's own tokens: most of what people ask in
English. The rules are those of `archive.embedders.vocabulary`, beside whose vocabulary the table is written.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

TABLE = "pairs.npy"
"""uint32 (n, 3): two tokens as `left << 16 | right`, ascending; how late they are joined; and what they become."""

START, END = 49406, 49407
"""The tokens around each text."""

_PIECES = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|[0-9]|[^\sa-z0-9]+")
_FIRST_LETTER = 0x21
_ENDING = 256
"""From a letter's token to that of the same letter at the end of a piece."""


def is_plain(text: str) -> bool:
    """Whether a cleaned text can be encoded here."""
    return text.isascii() and text.isprintable() and "<" not in text and text == text.lower()


def table(merges: Iterable[tuple[str, str]], vocabulary: Mapping[str, int]) -> NDArray[np.uint32]:
    """The table of a vocabulary, whose merges are in the order in which they are done."""
    rows = [
        (vocabulary[left] << 16 | vocabulary[right], rank, vocabulary[left + right])
        for rank, (left, right) in enumerate(merges)
    ]
    return np.array(sorted(rows), np.uint32)


class BytePairs:
    """The encoding of the table in a file, cut to `context` tokens."""

    def __init__(self, path: Path, context: int) -> None:
        self._table = np.load(path, mmap_mode="r")
        self._context = context

    def encode(self, text: str) -> list[int]:
        """The tokens of a cleaned text that is plain."""
        found = [token for piece in _PIECES.findall(text) for token in self._piece(piece)]
        return [START, *found[: self._context - 2], END]

    def _piece(self, piece: str) -> list[int]:
        tokens = [ord(letter) - _FIRST_LETTER for letter in piece]
        tokens[-1] += _ENDING
        while (first := self._next(tokens)) is not None:
            place, joined = first
            tokens[place : place + 2] = [joined]
        return tokens

    def _next(self, tokens: list[int]) -> tuple[int, int] | None:
        """Where two neighbours are to be joined next, and what they become; None where none are."""
        keys = np.array([left << 16 | right for left, right in pairwise(tokens)], np.uint32)
        places = np.minimum(np.searchsorted(self._table[:, 0], keys), len(self._table) - 1)
        rows = self._table[places]
        known = np.flatnonzero(rows[:, 0] == keys)
        if not len(known):
            return None
        place = int(known[rows[known, 1].argmin()])
        return place, int(rows[place, 2])
