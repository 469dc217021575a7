"""Real vectors: what the built-in pair sees on every photo of the shared material, and how much of it comes again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archive.embedders.text_tower import OnnxTextTower
from archive.indexes.phrases import phrases
from archive.pairs.shipped import shipped_folder
from archive.photos.reading import decode
from benchmarks.spaces import pocket
from tests.paths import SHARED

if TYPE_CHECKING:
    from pathlib import Path

    from archive.types import Vectors

SEQUENCES = ("eval/desk-sequence", "photos/openglass")
FOLDERS = (*SEQUENCES, "photos/esp32cam-desk", "eval/everyday", "train/unlabelled", "train/grocery")
LABELS = ("models", "imagenet_labels_1001.txt")
ALIKE = (0.9, 0.95, 0.98)


def real_vectors() -> tuple[Vectors, dict[str, list[Vectors]], Vectors]:
    """All segments (n, dim); for each sequence the packs' vectors in order; and words, the asked-about last.

    The words that are asked, names of ImageNet's classes, are not among those that the index learns from.
    """
    seeing = pocket().observer
    seen = {
        folder: [seeing.observe(decode(path.read_bytes()).pixels).vectors for path in _photos(folder)]
        for folder in FOLDERS
    }
    vectors = np.concatenate([vectors for packs in seen.values() for vectors in packs])
    known = phrases()
    labels = [line.split(",")[0].lower() for line in SHARED.joinpath(*LABELS).read_text().splitlines()]
    asked = [label for label in labels if label not in {*known}]
    tower = OnnxTextTower(shipped_folder("pocket"))
    words = np.concatenate([tower.embed_text([text]) for text in (*known, *asked)])
    return vectors, {folder: seen[folder] for folder in SEQUENCES}, words


def near_duplicates(sequences: dict[str, list[Vectors]]) -> dict[str, dict[str, float]]:
    """For each sequence, the share of photos and of segments that the photo before has one like, by cosine."""
    found = {}
    for folder, packs in sequences.items():
        frames = np.array([float(packs[at][0] @ packs[at - 1][0]) for at in range(1, len(packs))])
        nearest = [(packs[at][1:] @ packs[at - 1][1:].T).max(axis=1, initial=-1) for at in range(1, len(packs))]
        segments = np.concatenate(nearest)
        found[folder] = {f"frames >= {level}": float(np.mean(frames >= level)) for level in ALIKE}
        found[folder] |= {f"segments >= {level}": float(np.mean(segments >= level)) for level in ALIKE}
    return found


def _photos(folder: str) -> list[Path]:
    return sorted(SHARED.joinpath(folder).rglob("*.jpg"), key=lambda path: (len(path.name), path.name))
