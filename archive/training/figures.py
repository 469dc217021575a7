"""Figures for the model card that a labelled set gives besides the scorer's: recall by size, and words left out.

A set holds `annotations.json` and `queries.json` as the scorer takes them; the archive was made of its photos.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archive.embedders.joint_space import CLASSES
from archive.embedders.pooling import overlaps
from archive.ranking import FRAME_SHARE
from archive.training.synonyms import SYNONYMS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from archive.protocols import TextEmbedder
    from archive.types import Pack, Vectors

    Floats = NDArray[np.float32]

FOLDS = 4
SMALL, MEDIUM = 32, 96
"""Sides in pixels, the root of the area, below which a thing is small and medium."""

SAME_THING = 0.5


class Labelled(NamedTuple):
    """A labelled set: boxes float32 (n, 4) by file and label, and its queries for what is there."""

    boxes: dict[str, list[tuple[str, Floats]]]
    queries: list[dict[str, object]]

    @classmethod
    def read(cls, folder: Path) -> Labelled:
        """Read a set; boxes of crowds do not count."""
        notes = json.loads((folder / "annotations.json").read_text())
        boxes: dict[str, list[tuple[str, Floats]]] = {}
        for box in notes["boxes"]:
            if not box.get("crowd"):
                edges = np.array([box["x"], box["y"], box["x"] + box["w"], box["y"] + box["h"]], np.float32)
                boxes.setdefault(box["file"], []).append((box["label"], edges))
        queries = [query for query in json.loads((folder / "queries.json").read_text()) if not query.get("absent")]
        return cls(boxes, queries)


def recall(packs: dict[str, Pack], labelled: Labelled) -> dict[str, float]:
    """The share of labelled things with a segment of IoU 0.5 or more, by size, and how many segments a photo has."""
    found: dict[str, list[bool]] = {"small": [], "medium": [], "large": []}
    for name, boxes in labelled.boxes.items():
        if name not in packs:
            continue
        segments = packs[name].boxes[1:].astype(np.float32)
        for _, edges in boxes:
            found[size_of(edges)].append(bool(len(segments)) and overlaps(edges, segments).max() >= SAME_THING)
    shares = {size: float(np.mean(values)) for size, values in found.items() if values}
    every = [value for values in found.values() for value in values]
    return {**shares, "all": float(np.mean(every)), "segments": float(np.mean([len(pack) for pack in packs.values()]))}


def size_of(edges: Floats) -> str:
    """How large a thing with these edges (4,) is in its photo: small, medium or large."""
    side = float((edges[2:] - edges[:2]).prod() ** 0.5)
    return "small" if side < SMALL else "medium" if side < MEDIUM else "large"


def mean_precision(packs: dict[str, Pack], labelled: Labelled, embedder: TextEmbedder, *, left_out: bool) -> float:
    """Photo mAP over the queries; with `left_out` each is asked in a space that lacks its class, in four folds.

    The class channel is what the network's own eighty words fill; a fold empties the columns of a quarter of them, so
    that only meanings speak for their queries.
    """
    names = list(packs)
    folds = np.random.default_rng(0).permutation(len(SYNONYMS)) % FOLDS
    columns = {name: column for column, name in enumerate(SYNONYMS)}
    precisions = []
    for query in labelled.queries:
        row = embedder.embed_text([str(query["query"])])[0].copy()
        column = columns.get(str(query["label"]))
        if left_out and column is None:
            continue
        if left_out and column is not None:
            row[CLASSES][folds == folds[column]] = 0
        relevant = query["relevant"]
        scores = np.array([_photo_score(packs[name].vectors, row) for name in names])
        precisions.append(_average_precision([names[at] for at in np.argsort(-scores, kind="stable")], relevant))
    return float(np.mean(precisions))


def _photo_score(vectors: Vectors, row: Floats) -> float:
    cosines = vectors @ row
    segment = cosines[1:].max() if len(cosines) > 1 else cosines[0]
    return float(FRAME_SHARE * cosines[0] + (1 - FRAME_SHARE) * segment)


def _average_precision(ranked: Sequence[str], relevant: object) -> float:
    wanted = set(relevant) if isinstance(relevant, list) else set()
    found, total = 0, 0.0
    for place, name in enumerate(ranked, 1):
        if name in wanted:
            found += 1
            total += found / place
    return total / max(1, len(wanted))
