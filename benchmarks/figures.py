"""Figures of rankings and of verdicts. Everything runs from 0 to 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archive.embedders.pooling import overlaps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from archive.types import Pack, Vectors
    from benchmarks.labelled import LabelledSet

    Floats = NDArray[np.float32]
    Flags = NDArray[np.bool_]

SAME_THING = 0.5
BANK_SHARPNESS = 20.0
"""The inverse temperature of QB-Norm, as its authors set it for CLIP."""


class Standing(NamedTuple):
    """How photos stand for queries: what they are ranked by (photos, queries), and each one's best segment."""

    fused: Floats
    ordinal: NDArray[np.intp]


class Quality(NamedTuple):
    """What a ranking is worth: the scorer's figures, and the average precision of each query for something present."""

    mean_precision: float
    first: float
    box: float
    present_absent: float
    precisions: NDArray[np.float64]


def standing(packs: Sequence[Pack], queries: Vectors, share: float, bank: Vectors | None = None) -> Standing:
    """Rank photos for query rows (q, dim) by `share` of the frame's cosine and the rest of the best segment's.

    With a bank of distractors (b, dim) each segment's cosines are normalised by those with the bank: Bogolin, Croitoru,
    Jin, Liu and Albanie, "Cross Modal Retrieval with Querybank Normalisation" (2022), in logarithms.
    """
    fused = np.empty((len(packs), len(queries)), np.float32)
    ordinal = np.zeros((len(packs), len(queries)), np.intp)
    for row, pack in enumerate(packs):
        cosines = pack.vectors @ queries.T
        if bank is not None:
            crowd = np.exp(BANK_SHARPNESS * pack.vectors @ bank.T).sum(axis=1, keepdims=True)
            cosines = cosines - np.log(crowd) / BANK_SHARPNESS
        if len(pack) > 1:
            ordinal[row] = 1 + cosines[1:].argmax(axis=0)
        best = np.take_along_axis(cosines, ordinal[row][np.newaxis], axis=0)[0]
        fused[row] = share * cosines[0] + (1 - share) * best
    return Standing(fused, ordinal)


def quality(found: Standing, packs: Sequence[Pack], labelled: LabelledSet) -> Quality:
    """What a ranking is worth on a labelled set."""
    precisions, first, box = [], [], []
    for column, query in enumerate(labelled.queries):
        if not query.relevant.any():
            continue
        order = np.argsort(-found.fused[:, column], kind="stable")
        precisions.append(average_precision(query.relevant[order]))
        top = int(order[0])
        first.append(bool(query.relevant[top]))
        if query.relevant[top]:
            edges = packs[top].boxes[found.ordinal[top, column]].astype(np.float32)
            box.append(bool(overlaps(edges, labelled.truth(top, query.label)).max(initial=0) >= SAME_THING))
    highest, present = found.fused.max(axis=0), labelled.present()
    return Quality(
        mean_precision=float(np.mean(precisions)),
        first=float(np.mean(first)),
        box=float(np.mean(box)) if box else float("nan"),
        present_absent=auroc(highest[present], highest[~present]),
        precisions=np.array(precisions),
    )


def average_precision(relevant: Flags) -> float:
    """Of a ranking, given for each place whether what stands there is relevant; at least one must be."""
    places = np.flatnonzero(relevant) + 1
    return float(np.mean(np.arange(1, len(places) + 1) / places))


def recall_at(relevant: Flags, count: int) -> float:
    """Of a ranking as above: how much of what is relevant stands in its first places, of as much as can stand there."""
    return float(relevant[:count].sum() / min(count, relevant.sum()))


def auroc(higher: NDArray[np.floating], lower: NDArray[np.floating]) -> float:
    """How often one of the former exceeds one of the latter; a tie counts half, and nothing to compare is NaN."""
    if not len(higher) or not len(lower):
        return float("nan")
    difference = higher[:, np.newaxis] - lower
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def calibration_error(chances: NDArray[np.floating], right: Flags, bins: int = 10) -> float:
    """The expected calibration error (Naeini, Cooper and Hauskrecht, 2015) over bins of equal width."""
    places = np.minimum((chances * bins).astype(int), bins - 1)
    gaps = [abs(float(chances[places == at].sum() - right[places == at].sum())) for at in range(bins)]
    return sum(gaps) / len(chances)


def risks(chances: NDArray[np.floating], right: Flags, coverages: Sequence[float]) -> list[float]:
    """The share of wrong ones among the surest of all, for each coverage (El-Yaniv and Wiener, 2010)."""
    wrong = ~right[np.argsort(-chances, kind="stable")]
    return [float(np.mean(wrong[: max(1, round(share * len(wrong)))])) for share in coverages]
