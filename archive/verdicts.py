"""Verdicts: whether a query's best segment stands out from everything else that the archive has seen.

A fixed cosine separates nothing: each query has its own level. So a score is measured in robust standard deviations
above the median of the same query's scores over the archive's own segments (the modified z-score of Iglewicz and
Hoaglin, "How to Detect and Handle Outliers", 1993, with the median absolute deviation as the scale).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archive.types import Mark, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

SEEN_AT = 6.5
MAYBE_AT = 4.5
"""Heights of the bars. Over 71 labelled queries of everyday things, with MobileNetV2 vectors, 6.5 divides present from
absent best (two of three right on either side), and nine of ten things that are there stand above 4.5."""

PENALTIES = {Mark.BLACK: 2.0, Mark.COVERED: 2.0, Mark.BLURRED: 0.5, Mark.DAMAGED: 0.25, Mark.DUPLICATE: 0.05}
"""By how many robust standard deviations of a query's background the score of a photo is lowered for each of its marks.

Chosen, not measured. Two take a photo that shows nothing below a bar that it barely passes, though not one that stands
far above it. Half of one puts a blurred photo behind a sharp one that scores nearly as high, not behind one of
something else. A twentieth decides among near duplicates alone: the first stands.
"""

_SIGMA_PER_MAD = 1.4826
_LEAST_SCALE = 1e-3


class Background(NamedTuple):
    """How a query scores against the archive's own segments: the median cosine, and a robust standard deviation."""

    median: float
    scale: float

    def height(self, score: float) -> float:
        """How many robust standard deviations a score lies above the median."""
        return (score - self.median) / self.scale

    def score_at(self, height: float) -> float:
        """The score that lies that high."""
        return self.median + height * self.scale


class Calibration(NamedTuple):
    """How sure a score makes one, in a space where that was measured: the log-odds of its being right.

    log-odds = `offset` + `of_score` * score + `of_height` * height above the background. Fitted by logistic regression
    (Platt, "Probabilistic Outputs for Support Vector Machines", 1999) on queries for what is there and what is not.
    """

    offset: float
    of_score: float
    of_height: float

    @property
    def ignores_background(self) -> bool:
        """Whether a score alone says how sure it makes one, whatever else the archive has seen."""
        return self.of_height == 0

    def applied(self, measured: Background) -> Background:
        """A background above which heights mean the same chances as in every other space."""
        slope = self.of_score + self.of_height / measured.scale
        constant = MAYBE_AT + self.offset - self.of_height * measured.median / measured.scale
        return Background(-constant / slope, 1 / slope)


UNSAMPLED = Background(0.0, 1.0)
"""Stands for the background of a query whose calibration ignores it, so that nobody need sample the archive."""

UNMEASURED = Calibration(offset=-MAYBE_AT, of_score=0.0, of_height=1.0)
"""What is taken for a space that nobody has measured: even chances at the `maybe` bar, and steeper by one a height."""


def background(scores: NDArray[np.float32]) -> Background:
    """The background that the cosines (n,) of one query make up; n is at least 1."""
    median = float(np.median(scores))
    deviation = float(np.median(np.abs(scores - median)))
    return Background(median, max(_SIGMA_PER_MAD * deviation, _LEAST_SCALE))


def penalties(marks: Mapping[int, set[Mark]]) -> dict[int, float]:
    """How far marked photos are lowered, by id."""
    return {photo: sum(PENALTIES[mark] for mark in its) for photo, its in marks.items()}


def judge(height: float) -> Verdict:
    """The verdict on a segment that stands that high above the background."""
    if height >= SEEN_AT:
        return Verdict.SEEN
    return Verdict.MAYBE if height >= MAYBE_AT else Verdict.NOT_SEEN


def bar(verdict: Verdict) -> float:
    """The height that a segment needs to count as a sighting under that verdict."""
    return SEEN_AT if verdict is Verdict.SEEN else MAYBE_AT


def probability(height: float) -> float:
    """The probability that a hit is right: one half at the `maybe` bar. It is as good as the space's calibration."""
    return 0.5 * (1 + math.tanh((height - MAYBE_AT) / 2))
