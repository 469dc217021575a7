"""Measures what scores mean: how often the best photos of a query show what was asked for.

Many small archives are drawn from the training photographs. Nobody labelled them: a class is in a photo as likely as
the detector, at the view in which it is surest, says that it is. What the detector takes for something else is then
counted as right, so the chances are a little high; heights above the background are left out, since the few that stand
highest stand very high, whatever they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from archive import verdicts
from archive.training.labels import Labels
from archive.training.synonyms import SYNONYMS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from archive.observation import Observer
    from archive.training.photographs import Photograph
    from archive.types import Pack

    Floats = NDArray[np.float32]

PHRASES = ("{}", "my {}", "where is the {}")


@dataclass(frozen=True, slots=True)
class Plan:
    """How many archives of how many photos are drawn, and how many of the best photos are judged for each query."""

    archives: int = 40
    photos: int = 150
    judged: int = 3
    seed: int = 20261124


def observed(photos: Sequence[Photograph], seeing: Observer) -> list[Pack]:
    """The packs of the photos."""
    return [seeing.observe(photo.pixels()) for photo in photos]


def measure(
    photos: Sequence[Photograph], packs: Sequence[Pack], labels: Path, seeing: Observer, plan: Plan = Plan()
) -> verdicts.Calibration:
    """Fit the calibration on the best photos of every class's name, in every archive that is drawn."""
    texts = [phrase.format(name) for name in _names() for phrase in PHRASES]
    queries = seeing.embedder.embed_text(texts)
    classes = np.repeat([column for column, _ in _columns()], len(PHRASES))
    scores = [pack.vectors @ queries.T for pack in packs]
    best = np.stack([rows.max(axis=0) for rows in scores])
    shown = np.stack([_shown(Labels.load(labels / f"{photo.key}.npz")) for photo in photos])
    noise = np.random.default_rng(plan.seed)
    inputs, right = [], []
    for _ in range(plan.archives):
        drawn = noise.choice(len(photos), min(plan.photos, len(photos)), replace=False)
        for query, column in enumerate(classes):
            order = drawn[np.argsort(-best[drawn, query], kind="stable")[: plan.judged]]
            inputs.append(best[order, query])
            right.append(shown[order, column])
    return _logistic(np.concatenate(inputs), np.concatenate(right))


def _columns() -> list[tuple[int, str]]:
    return [
        (column, name) for column, names in enumerate(SYNONYMS.items()) for name in (names[0], *names[1].split("|")[:1])
    ]


def _names() -> list[str]:
    return [name for _, name in _columns()]


def _shown(labels: Labels) -> Floats:
    """For each class how likely the photo shows it, float32 (80,)."""
    surest: Floats = labels.scores.max(axis=0, initial=0)
    return surest


def _logistic(scores: Floats, chances: Floats) -> verdicts.Calibration:
    """Logistic regression on scores (n,) of hits that are right with chances (n,): each stands once for either."""
    from sklearn.linear_model import LogisticRegression

    inputs = np.concatenate([scores, scores])[:, np.newaxis]
    right = np.repeat([1, 0], len(scores))
    fitted = LogisticRegression(C=100.0, max_iter=1000).fit(inputs, right, np.concatenate([chances, 1 - chances]))
    return verdicts.Calibration(offset=float(fitted.intercept_[0]), of_score=float(fitted.coef_[0][0]), of_height=0.0)
