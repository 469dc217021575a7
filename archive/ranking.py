"""Ranking: from the cosines of segments to one score for a photo, and the boxes that explain it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archive.types import ScoredBox, segment_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from archive.types import Ids, Pack, Vectors

FRAME_SHARE = 0.5
"""How much of a photo's score its whole frame has; the best segment has the rest."""

BOXES_SHOWN = 3
BOX_MARGIN = 0.02
"""A further box is shown only if its cosine lies within this of the best one's."""

_PACKS_AT_ONCE = 256


class Scores(NamedTuple):
    """How photos stand for one query.

    photos    int64 (p,): their ids
    fused     float32 (p,): what they are ranked by
    best      float32 (p,): the highest cosine of any of their segments, the frame included
    segments  float32 (s,): the cosines of all their segments
    """

    photos: Ids
    fused: NDArray[np.float32]
    best: NDArray[np.float32]
    segments: NDArray[np.float32]

    def ranked(self) -> NDArray[np.intp]:
        """Positions of the photos, best first; ties go to the newer photo, so that the order is always the same."""
        return np.lexsort((-self.photos, -self.fused))


def score(packs: Iterable[Pack], query: Vectors) -> Scores:
    """Score the photos of the packs for a unit row (1, dim). Reads the packs once, a few at a time."""
    rest = iter(packs)
    parts = []
    while some := list(islice(rest, _PACKS_AT_ONCE)):
        parts.append(_score_some(some, query))
    return join(parts)


def join(parts: Iterable[Scores]) -> Scores:
    """One answer about the photos of several; no photo may stand in two of them."""
    nothing = np.zeros(0, np.float32)
    empty = Scores(np.zeros(0, np.int64), nothing, nothing, nothing)
    columns = zip(empty, *parts, strict=True)
    return Scores(*(np.concatenate(column) for column in columns))


def lowered(scores: Scores, penalties: Mapping[int, float], unit: float) -> Scores:
    """The same scores, those of photos with a penalty lowered by so many units; the segments' own stay."""
    if not penalties:
        return scores
    down = np.array([penalties.get(photo, 0.0) for photo in scores.photos.tolist()], np.float32) * np.float32(unit)
    return scores._replace(fused=scores.fused - down, best=scores.best - down)


def boxes(pack: Pack, query: Vectors) -> tuple[ScoredBox, ...]:
    """The boxes that explain a photo's score, best first: its whole frame only where it has no other segment."""
    cosines = pack.vectors @ query[0]
    if len(cosines) == 1:
        return (_scored(pack, 0, cosines),)
    order = cosines[1:].argsort(kind="stable")[::-1] + 1
    near = [int(ordinal) for ordinal in order[:BOXES_SHOWN] if cosines[order[0]] - cosines[ordinal] <= BOX_MARGIN]
    return tuple(_scored(pack, ordinal, cosines) for ordinal in near)


def _score_some(packs: list[Pack], query: Vectors) -> Scores:
    cosines = np.concatenate([pack.vectors for pack in packs]) @ query[0]
    counts = np.array([len(pack) for pack in packs])
    frames = np.concatenate([[0], counts.cumsum()[:-1]])
    frame = cosines[frames]
    # The frame's own cosine must not count as a segment's, unless there is no other.
    others = cosines.copy()
    others[frames[counts > 1]] = -np.inf
    segment = np.maximum.reduceat(others, frames)
    return Scores(
        photos=np.array([pack.photo_id for pack in packs], dtype=np.int64),
        fused=(FRAME_SHARE * frame + (1 - FRAME_SHARE) * segment).astype(np.float32),
        best=np.maximum(frame, segment),
        segments=cosines,
    )


def _scored(pack: Pack, ordinal: int, cosines: NDArray[np.float32]) -> ScoredBox:
    return ScoredBox(segment_id(pack.photo_id, ordinal), pack.segment(ordinal).box, float(cosines[ordinal]))
