"""Probes: what a query looks like in a space, made from words, example pictures and things that were taught.

A segment scores the cosine with the nearest probe. Words alone are one probe, and each example is one of its own:
the mean of several pictures of a thing is the picture of none. Words and an example together become one probe, their
weighted sum: u = share * t / s_t + (1 - share) * e / s_e, where s is how much that part's cosines vary over the
archive. Two pictures are always nearer to one another than a picture is to words, so unscaled words would not count.

What must not be found is compared with each segment by itself, on heights above the archive's own background: a
tower does not understand the word "not" (Alhamoud et al., "Vision-Language Models Do Not Understand Negation", 2025).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archive import verdicts
from archive.types import Clue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from archive.types import Example, Vectors
    from archive.verdicts import Background, Calibration

TEXT_SHARE = 0.15
"""How much the words count beside an example. For 15 things on one desk, three examples each, this share told a thing
from a similar one best or nearly so (MobileNetV2 vectors); from 0.5 on, words drown what is particular to the thing."""

SEEN_ALIKE = 0.8
MAYBE_ALIKE = 0.65
"""How far a segment must lie on the way from the archive's median to the example itself. On the same desk the best
other photo of a thing lies 0.57 to 0.99 of that way, among 86 photos of other places the best lies 0.44 to 0.9, above
0.7 only where those show another keyboard or screen. Ranked by the best segment alone, a taught silver monitor beside a
black one has an average precision of 0.54 over the desk's photos; with the frame's share in it, 0.20."""

REJECTS_AT = 3.0
"""How high a segment must stand for what must not be found, and higher than for what is asked, to be rejected. Over ten
pairs of classes that are alike (cup and bottle, car and truck), on 222 everyday photos with MobileNetV2 vectors, it
keeps 83 of 100 of the wanted and rejects 57 of the others; 2 keeps 78 and rejects 64, 4 keeps 86 and rejects 47."""

REJECTED = -1.0
"""What a rejected segment scores: the lowest cosine there is."""

_LEAST_WAY = 1e-2
_WORD = re.compile(r"\w+")


class Measured(NamedTuple):
    """How segments stand for a query.

    cosines   float32 (n,): with the nearest probe; REJECTED where the segment shows what must not be found
    unjudged  float32 (n,): the same before anything was rejected
    """

    cosines: NDArray[np.float32]
    unjudged: NDArray[np.float32]


class Part(NamedTuple):
    """One thing that a query names: its vector (1, dim), how the archive's own segments score for it, and the bar.

    The bar is the background as the space's calibration sees it: its heights say how likely a score is right.
    """

    label: str
    vector: Vectors
    background: Background
    bar: Background


class Probes(NamedTuple):
    """A query in a space.

    rows        float32 (k, dim): unit rows, one for each probe
    labels      what each row is made of
    background  what a score is measured by: how the archive's own segments score for the nearest of them, or with
                examples, how far it lies on the way to them
    """

    rows: Vectors
    labels: tuple[str, ...]
    background: Background
    parts: tuple[Part, ...]
    negatives: tuple[Part, ...]
    has_examples: bool

    def measure(self, vectors: Vectors) -> Measured:
        """The cosines of unit rows (n, dim) with this query."""
        unjudged = _nearest(vectors, self.rows)
        if not self.negatives:
            return Measured(unjudged, unjudged)
        height = (unjudged - self.background.median) / self.background.scale
        rejected = np.zeros(len(vectors), dtype=bool)
        for part in self.negatives:
            against = (vectors @ part.vector[0] - part.bar.median) / part.bar.scale
            rejected |= against >= np.clip(height, REJECTS_AT, verdicts.SEEN_AT)
        return Measured(np.where(rejected, np.float32(REJECTED), unjudged), unjudged)

    def probe_of(self, vector: Vectors) -> str:
        """What the probe nearest to a unit row (1, dim) is made of."""
        return self.labels[int((self.rows @ vector[0]).argmax())]

    def clues(self, vector: Vectors) -> tuple[Clue, ...]:
        """How near a unit row (1, dim) is to each thing that the query names."""
        told = [(part, False) for part in self.parts] + [(part, True) for part in self.negatives]
        return tuple(_clue(part, vector, speaks_against=against) for part, against in told)


def compose(
    words: Example | None,
    examples: Sequence[Example],
    negatives: Sequence[Example],
    sample: Vectors | None,
    calibration: Calibration = verdicts.UNMEASURED,
) -> Probes:
    """The probes of a query that has words, examples or both; `sample` are segments (n, dim) of the archive.

    Words alone do without a sample where the calibration ignores the background.
    """
    parts = [_part(one, sample, calibration) for one in ([words] if words else [])]
    pictures = [_part(one, sample, verdicts.UNMEASURED) for one in examples]
    rows, labels = _rows(parts[0] if parts else None, pictures)
    background = _background(sample, rows)
    if not pictures:
        background = calibration.applied(background)
    else:
        itself = min(float(row @ part.vector[0]) for row, part in zip(rows, pictures, strict=True))
        background = _likeness(background, itself)
    return Probes(
        rows=rows,
        labels=labels,
        background=background,
        parts=(*parts, *pictures),
        negatives=tuple(_part(one, sample, calibration) for one in negatives),
        has_examples=bool(pictures),
    )


def names(text: str, thing: str) -> bool:
    """Whether a text names a thing: all its words, in their order, whatever their case."""
    said, wanted = (_WORD.findall(words.casefold()) for words in (text, thing))
    starts = range(len(said) - len(wanted) + 1)
    return bool(wanted) and any(said[start : start + len(wanted)] == wanted for start in starts)


def _rows(words: Part | None, pictures: Sequence[Part]) -> tuple[Vectors, tuple[str, ...]]:
    if words is None:
        return np.concatenate([part.vector for part in pictures]), tuple(part.label for part in pictures)
    if not pictures:
        return words.vector, (words.label,)
    rows = np.concatenate([_joined(words, part) for part in pictures])
    return rows, tuple(f"{words.label} with {part.label}" for part in pictures)


def _joined(words: Part, picture: Part) -> Vectors:
    row = TEXT_SHARE * words.vector / words.background.scale
    row = row + (1 - TEXT_SHARE) * picture.vector / picture.background.scale
    return np.asarray(row / np.linalg.norm(row), dtype=np.float32)


def _likeness(background: Background, itself: float) -> Background:
    """The background of a query with examples, whose bars lie at fixed shares of the way to the example `itself`.

    Unlike words, an example says how well it can be matched. How much the archive's segments vary must not matter: in
    an archive of one desk everything is like everything, and no match would stand out.
    """
    way = max(itself - background.median, _LEAST_WAY)
    scale = way * (SEEN_ALIKE - MAYBE_ALIKE) / (verdicts.SEEN_AT - verdicts.MAYBE_AT)
    return verdicts.Background(background.median + MAYBE_ALIKE * way - verdicts.MAYBE_AT * scale, scale)


def _part(example: Example, sample: Vectors | None, calibration: Calibration) -> Part:
    background = _background(sample, example.vector)
    return Part(example.label, example.vector, background, calibration.applied(background))


def _background(sample: Vectors | None, rows: Vectors) -> Background:
    return verdicts.UNSAMPLED if sample is None else verdicts.background(_nearest(sample, rows))


def _nearest(vectors: Vectors, rows: Vectors) -> NDArray[np.float32]:
    cosines: NDArray[np.float32] = (vectors @ rows.T).max(axis=1)
    return cosines


def _clue(part: Part, vector: Vectors, *, speaks_against: bool) -> Clue:
    score = float((part.vector @ vector[0])[0])
    return Clue(part.label, score, part.background.height(score), speaks_against)
