"""What a search in a Milvus is narrowed to, in the server's own words: short enough, however many photos there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from archive.types import Ids

IDS_AT_ONCE = 8_192
"""Photos that one expression names: about 80 kB."""

RUNS_AT_ONCE = 64
"""Runs of neighbouring photos that one expression names: the server's parser goes one step deeper for each."""

LONG_RUN = 8
"""Neighbouring ids from which a run is named by its ends. What one day brought is mostly one run."""


class Narrowing(NamedTuple):
    """An expression, empty where nothing is left out, and how many photos it lets through; None where it names none."""

    expression: str
    photos: int | None


def narrowings(photos: Ids | None, wearers: Sequence[int] | None) -> Iterator[Narrowing]:
    """The searches that together look at the segments of these photos (sorted ids) of these wearers; None is all."""
    of_wearers = None if wearers is None else f"wearer in [{_listed(wearers)}]"
    if photos is None:
        yield Narrowing(of_wearers or "", None)
        return
    firsts, lengths = _runs(photos)
    is_long = lengths >= LONG_RUN
    for terms, count in (*_of_runs(firsts[is_long], lengths[is_long]), *_of_ids(firsts[~is_long], lengths[~is_long])):
        yield Narrowing(f"{of_wearers} and {terms}" if of_wearers else terms, count)


def numbered(field: str, numbers: Iterable[int]) -> str:
    """The rows whose field has one of these numbers."""
    return f"{field} in [{_listed(numbers)}]"


def _of_runs(firsts: Ids, lengths: Ids) -> Iterator[tuple[str, int]]:
    for start in range(0, len(firsts), RUNS_AT_ONCE):
        some = slice(start, start + RUNS_AT_ONCE)
        ends = zip(firsts[some].tolist(), (firsts[some] + lengths[some]).tolist(), strict=True)
        terms = " or ".join(f"(photo >= {first} and photo < {end})" for first, end in ends)
        yield f"({terms})", int(lengths[some].sum())


def _of_ids(firsts: Ids, lengths: Ids) -> Iterator[tuple[str, int]]:
    ids = [
        first + more for first, length in zip(firsts.tolist(), lengths.tolist(), strict=True) for more in range(length)
    ]
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = ids[start : start + IDS_AT_ONCE]
        yield numbered("photo", some), len(some)


def _runs(photos: Ids) -> tuple[Ids, Ids]:
    """The first id of each run of neighbours, and how long the run is."""
    starts = np.flatnonzero(np.diff(photos, prepend=-2) != 1)
    return photos[starts], np.diff(starts, append=len(photos))


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(str(int(number)) for number in numbers)
