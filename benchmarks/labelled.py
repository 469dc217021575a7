"""A labelled set of photos, as the scorer takes it: images, boxes, and queries for what is there and what is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Flags = NDArray[np.bool_]


class Asked(NamedTuple):
    """One query: `relevant` is bool (photos,), all of it false where the thing is in none of them."""

    text: str
    label: str
    relevant: Flags


class LabelledSet(NamedTuple):
    """Photos in the order of their names, the queries, and by file and label the boxes float32 (n, 4)."""

    name: str
    photos: tuple[Path, ...]
    queries: tuple[Asked, ...]
    boxes: dict[str, list[tuple[str, Floats]]]

    def present(self) -> Flags:
        """For each query whether any photo shows what it asks for."""
        return np.array([query.relevant.any() for query in self.queries])

    def truth(self, photo: int, label: str) -> Floats:
        """The boxes (n, 4) of the things so labelled in a photo."""
        found = [edges for named, edges in self.boxes.get(self.photos[photo].name, []) if named == label]
        return np.array(found, np.float32).reshape(-1, 4)


def read(folder: Path, every: int = 1) -> LabelledSet:
    """Read a set, or every so-manieth photo of it; boxes of crowds do not count.

    A query whose photos are all left out is left out, too: it was never meant to be absent.
    """
    notes = json.loads((folder / "annotations.json").read_text())
    photos = tuple(sorted((folder / "images").iterdir())[::every])
    boxes: dict[str, list[tuple[str, Floats]]] = {}
    for box in notes["boxes"]:
        if not box.get("crowd"):
            edges = np.array([box["x"], box["y"], box["x"] + box["w"], box["y"] + box["h"]], np.float32)
            boxes.setdefault(box["file"], []).append((box["label"], edges))
    queries = []
    for query in json.loads((folder / "queries.json").read_text()):
        relevant = np.isin([photo.name for photo in photos], query["relevant"])
        if query["absent"] or relevant.any():
            queries.append(Asked(query["query"], query["label"], relevant))
    return LabelledSet(folder.name, photos, tuple(queries), boxes)
