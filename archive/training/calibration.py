"""Measures what scores mean: how often the best photos of a query show what was asked for.

Many small archives are drawn from the training photographs. A class is in a photo where the detector, in any view, is
sure of it, and is not where it sees none; photos in between say nothing.
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

SURE, NONE = 0.6, 0.05
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
        every = np.concatenate([scores[at] for at in drawn])
        for query, column in enumerate(classes):
            truth = shown[drawn, column]
            if np.isnan(truth).all():
                continue
            ground = verdicts.background(every[:, query])
            order = drawn[np.argsort(-best[drawn, query], kind="stable")[: plan.judged]]
            for at in order[~np.isnan(shown[order, column])]:
                inputs.append((best[at, query], ground.height(float(best[at, query]))))
                right.append(shown[at, column])
    return _logistic(np.array(inputs), np.array(right))


def _columns() -> list[tuple[int, str]]:
    return [
        (column, name) for column, names in enumerate(SYNONYMS.items()) for name in (names[0], *names[1].split("|")[:1])
    ]


def _names() -> list[str]:
    return [name for _, name in _columns()]


def _shown(labels: Labels) -> Floats:
    """For each class 1 where the photo shows it, 0 where it does not, not a number where nobody can tell."""
    surest = labels.scores.max(axis=0, initial=0)
    truth: Floats = np.where(surest >= SURE, 1.0, np.where(surest < NONE, 0.0, np.nan)).astype(np.float32)
    return truth


def _logistic(inputs: NDArray[np.float64], right: NDArray[np.float64]) -> verdicts.Calibration:
    """Logistic regression; a height may speak for a hit only."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=10.0, max_iter=1000).fit(inputs, right)
    of_score, of_height = (float(value) for value in fitted.coef_[0])
    if of_height < 0:
        fitted = LogisticRegression(C=10.0, max_iter=1000).fit(inputs[:, :1], right)
        of_score, of_height = float(fitted.coef_[0][0]), 0.0
    return verdicts.Calibration(offset=float(fitted.intercept_[0]), of_score=of_score, of_height=of_height)
