"""Ranking: from the cosines of segments to one score for a photo, and the boxes that explain it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archive.types import Box, ScoredBox, Why, segment_id

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from archive.probes import Probes
    from archive.types import Ids, Pack

FRAME_SHARE = 0.5
"""How much of a photo's score its whole frame has, where words alone ask; the best segment has the rest."""

BOXES_SHOWN = 3
BOX_MARGIN = 0.02
"""A further box is shown only if its cosine lies within this of the best one's."""

_PACKS_AT_ONCE = 256


class Scores(NamedTuple):
    """How photos stand for one query.

    photos  int64 (p,): their ids
    fused   float32 (p,): what they are ranked by
    best    float32 (p,): the highest cosine of any of their segments, the frame included
    """

    photos: Ids
    fused: NDArray[np.float32]
    best: NDArray[np.float32]

    def without(self, photos: Collection[int]) -> Scores:
        """The same, but for some photos."""
        kept = ~np.isin(self.photos, list(photos))
        return Scores(self.photos[kept], self.fused[kept], self.best[kept])

    def ranked(self) -> NDArray[np.intp]:
        """Positions of the photos, best first; ties go to the newer photo, so that the order is always the same."""
        return np.lexsort((-self.photos, -self.fused))


def score(packs: Iterable[Pack], probes: Probes) -> Scores:
    """Score the photos of the packs for a query. Reads the packs once, a few at a time."""
    rest = iter(packs)
    parts = []
    while some := list(islice(rest, _PACKS_AT_ONCE)):
        parts.append(_score_some(some, probes))
    return join(parts)


def join(parts: Iterable[Scores]) -> Scores:
    """One answer about the photos of several; no photo may stand in two of them."""
    nothing = np.zeros(0, np.float32)
    empty = Scores(np.zeros(0, np.int64), nothing, nothing)
    columns = zip(empty, *parts, strict=True)
    return Scores(*(np.concatenate(column) for column in columns))


def lowered(scores: Scores, penalties: Mapping[int, float], unit: float) -> Scores:
    """The same scores, those of photos with a penalty lowered by so many units; the segments' own stay."""
    if not penalties:
        return scores
    down = np.array([penalties.get(photo, 0.0) for photo in scores.photos.tolist()], np.float32) * np.float32(unit)
    return scores._replace(fused=scores.fused - down, best=scores.best - down)


def last_of(scores: NDArray[np.float32], count: int) -> float:
    """The last of the best so many scores, below every score while there are fewer."""
    return -np.inf if len(scores) < count else float(np.partition(scores, -count)[-count])


def fused(frame: NDArray[np.float32], segment: NDArray[np.float32]) -> NDArray[np.float32]:
    """What photos are ranked by where words alone ask, by the cosines of their frames and of their best segments."""
    mixed: NDArray[np.float32] = FRAME_SHARE * frame + (1 - FRAME_SHARE) * segment
    return mixed


def of_words(photos: Ids, frame: NDArray[np.float32], segment: NDArray[np.float32]) -> Scores:
    """The scores of photos where words alone ask, by the cosines of their frames and of their best segments."""
    return Scores(photos, fused(frame, segment), np.maximum(frame, segment))


def boxes(packs: Sequence[Pack], probes: Probes) -> list[tuple[ScoredBox, ...]]:
    """Of each pack the boxes that explain its photo's score, best first; the whole frame's only where it is alone."""
    if not packs:
        return []
    cosines = probes.measure(np.concatenate([pack.vectors for pack in packs])).cosines
    ends = np.cumsum([len(pack) for pack in packs])
    return [_boxes(pack, cosines[end - len(pack) : end]) for pack, end in zip(packs, ends.tolist(), strict=True)]


def _boxes(pack: Pack, cosines: NDArray[np.float32]) -> tuple[ScoredBox, ...]:
    if len(cosines) == 1:
        return (_scored(pack, 0, cosines),)
    order = (cosines[1:].argsort(kind="stable")[::-1][:BOXES_SHOWN] + 1).tolist()
    near = [ordinal for ordinal in order if cosines[order[0]] - cosines[ordinal] <= BOX_MARGIN]
    return tuple(_scored(pack, ordinal, cosines) for ordinal in near)


def why(pack: Pack, probes: Probes) -> Why:
    """Which of a photo's vectors answers a query best, and how near it is to each thing that the query names."""
    cosines, _ = _cosines([pack], np.zeros(1, np.intp), np.array([len(pack)]), probes)
    ordinal = int(cosines.argmax())
    vector = pack.vectors[ordinal : ordinal + 1]
    return Why(
        matched=_scored(pack, ordinal, cosines),
        whole_frame=ordinal == 0,
        probe=probes.probe_of(vector),
        height=probes.background.height(float(cosines[ordinal])),
        frame_score=float(cosines[0]),
        clues=probes.clues(vector),
    )


def _score_some(packs: list[Pack], probes: Probes) -> Scores:
    counts = np.array([len(pack) for pack in packs])
    frames = np.concatenate([[0], counts.cumsum()[:-1]])
    cosines, segment = _cosines(packs, frames, counts, probes)
    frame = cosines[frames]
    photos = np.array([pack.photo_id for pack in packs], dtype=np.int64)
    if not probes.has_examples:
        return of_words(photos, frame, segment)
    # What surrounds a thing tells words apart, but not one thing from another like it (figures at `SEEN_ALIKE`).
    best = np.maximum(frame, segment)
    return Scores(photos, best, best)


def _cosines(
    packs: list[Pack], frames: NDArray[np.intp], counts: NDArray[np.intp], probes: Probes
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The cosines of all segments, and that of each photo's best; `frames` are the positions of the whole frames.

    A frame that shows something rejected still looks like what is asked for, so it says no more than what is left.
    """
    measured = probes.measure(np.concatenate([pack.vectors for pack in packs]))
    segment = _best_segment(measured.cosines, frames, counts)
    robbed = segment < _best_segment(measured.unjudged, frames, counts)
    rejected = measured.cosines[frames] < measured.unjudged[frames]
    frame = measured.unjudged[frames]
    cosines = measured.cosines.copy()
    cosines[frames] = np.where(robbed | rejected, np.minimum(frame, segment), frame)
    return cosines, segment


def _best_segment(
    cosines: NDArray[np.float32], frames: NDArray[np.intp], counts: NDArray[np.intp]
) -> NDArray[np.float32]:
    """The highest cosine of each photo's segments; its frame's counts only where there is no other."""
    others = cosines.copy()
    others[frames[counts > 1]] = -np.inf
    best: NDArray[np.float32] = np.maximum.reduceat(others, frames)
    return best


def _scored(pack: Pack, ordinal: int, cosines: NDArray[np.float32]) -> ScoredBox:
    box = Box(*pack.boxes[ordinal].tolist())
    return ScoredBox(segment_id(pack.photo_id, ordinal), box, float(cosines[ordinal]))
