"""Where words and pictures are to lie in the pocket's space; `archive.embedders.joint_space` says what that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archive.embedders.colours import COLOURS
from archive.embedders.joint_space import CLASSES, DIM, HUES, MEANING, TEXT_SLACK, missing, unit
from archive.training.synonyms import KINDS, SYNONYMS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

CLASS_SHARE, HUE_SHARE, MEANING_SHARE = 0.70, 0.28, 0.65
"""Lengths of a text's three parts; their squares sum to just under one."""

STEEPNESS = 6.0
UNRELATED = 0.3
"""Two names whose MiniLM cosine is this or less have nothing to do with one another."""

KIND_SHARE = 0.7
RIDGE = 10.0


class Meaning(NamedTuple):
    """A linear map from MiniLM's 384 dimensions to the space's own: `matrix` float32 (384, 163)."""

    matrix: Floats

    @classmethod
    def of(cls, names: Floats) -> Meaning:
        """Whiten the names' rows (n, 384), so that rare meanings count, and keep where they differ most."""
        values, vectors = np.linalg.eigh(names.T.astype(np.float64) @ names)
        root = (vectors / np.sqrt(values + RIDGE)) @ vectors.T
        _, _, directions = np.linalg.svd(names @ root, full_matrices=False)
        return cls((root @ directions[: MEANING.stop - MEANING.start].T).astype(np.float32))

    def __call__(self, rows: Floats) -> Floats:
        """Rows (n, 384) as unit rows (n, 163)."""
        return unit(rows @ self.matrix)


def class_likeness(rows: Floats, embed: Callable[[Sequence[str]], Floats]) -> Floats:
    """How much each name's MiniLM row (n, 384) means each class: float32 (n, 80), from 0 to 1."""
    likeness = np.zeros((len(rows), len(SYNONYMS)), np.float32)
    for column, (name, others) in enumerate(SYNONYMS.items()):
        cosine = (rows @ embed([name, *others.split("|")]).T).max(axis=1)
        likeness[:, column] = ((cosine - UNRELATED) / (1 - UNRELATED)).clip(0, 1) ** STEEPNESS
    columns = {name: column for column, name in enumerate(SYNONYMS)}
    for kind, members in KINDS.items():
        cosine = rows @ embed([kind])[0]
        near = KIND_SHARE * ((cosine - UNRELATED) / (1 - UNRELATED)).clip(0, 1) ** (2 * STEEPNESS)
        for member in members.split("|"):
            likeness[:, columns[member]] = np.maximum(likeness[:, columns[member]], near)
    scaled: Floats = likeness / np.maximum(1, np.linalg.norm(likeness, axis=1, keepdims=True))
    return scaled


def text_rows(likeness: Floats, hues: Sequence[str | None], meaning: Floats) -> Floats:
    """Unit rows (n, 256) of texts: class likeness (n, 80), the colours they name, meanings (n, 163)."""
    rows = np.zeros((len(likeness), DIM), np.float32)
    rows[:, CLASSES] = CLASS_SHARE * likeness
    for row, hue in enumerate(hues):
        if hue is not None:
            rows[row, HUES.start + COLOURS.index(hue)] = HUE_SHARE
    rows[:, MEANING] = MEANING_SHARE * meaning
    rows[:, TEXT_SLACK] = missing(rows)
    return rows


def classified_meaning(logits: Floats, names: Floats) -> Floats:
    """What a classifier's logits (n, 1001) mean, unit rows (n, 163); `names` float32 (1000, 163) are its classes'.

    The square root of the chances counts second thoughts, too: photo mAP .51 instead of .48 for the chances themselves.
    """
    chances = np.exp((logits - logits.max(axis=1, keepdims=True)) / 2)
    return unit(chances[:, 1:] @ names)
