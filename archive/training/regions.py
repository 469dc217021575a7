"""Fits the head that reads what a region means from one look: a ridge regression on what the classifier calls crops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archive.embedders import pooling
from archive.embedders.joint_space import unit
from archive.training.image import Crops, class_names, crop_boxes, ridge
from archive.training.joint import Meaning, classified_meaning
from archive.training.labels import Labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from archive.training.photographs import Photograph
    from archive.types import Glance, Pixels

    Floats = NDArray[np.float32]
    Embed = Callable[[Sequence[str]], Floats]

RIDGE = 100.0

NAMED_FROM = 0.1
"""The share of a photograph from which a region of it shows what the photograph is named after."""


def examples(
    photos: Sequence[Photograph],
    labels: Path,
    crops: Path,
    see: Callable[[Pixels], Glance],
    embed: Embed,
    meaning: Meaning,
) -> tuple[Floats, Floats]:
    """Features (n, 528) of the labelled regions of the photos, and the meanings (n, 163) that they are to have."""
    names = class_names(embed, meaning)
    features, wanted = [], []
    for photo in photos:
        path = crops / f"{photo.key}.npz"
        if not path.is_file():
            continue
        seen, marked, pixels = Crops.load(path), Labels.load(labels / f"{photo.key}.npz"), photo.pixels()
        height, width = pixels.shape[:2]
        boxes = np.concatenate([[[0, 0, width, height]], crop_boxes(pixels, marked)[seen.rows]]).astype(np.int32)
        glance = see(pixels)
        target = classified_meaning(seen.logits, names)
        if photo.names:
            large = (marked.boxes[seen.rows, 2:] - marked.boxes[seen.rows, :2]).prod(axis=1) > NAMED_FROM
            named = np.concatenate([[True], large])
            target[named] = unit(target[named] + meaning(embed(list(photo.names))).mean(axis=0))
        features.append(pooling.features(glance, boxes, pooling.evidence(glance, boxes))[1:])
        wanted.append(target[1:])
    return np.concatenate(features), np.concatenate(wanted)


def fit(features: Floats, wanted: Floats) -> dict[str, Floats]:
    """The head's matrix (528, 163) and constant (163,)."""
    matrix, constant = ridge(features, wanted, RIDGE)
    return {"matrix": matrix, "constant": constant}
