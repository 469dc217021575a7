"""The photographs that the pocket learns from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from archive.training.teachers import shared

if TYPE_CHECKING:
    from pathlib import Path

    from archive.types import Pixels


@dataclass(frozen=True, slots=True)
class Photograph:
    """A training photograph. `names` says what it shows, from the particular to the general; empty where unknown."""

    path: Path
    names: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What its labels are filed under."""
        return f"{self.path.parent.parent.name}-{self.path.stem}"

    def pixels(self) -> Pixels:
        """The upright photo."""
        with Image.open(self.path) as image:
            return np.ascontiguousarray(ImageOps.exif_transpose(image).convert("RGB"))


def photographs() -> list[Photograph]:
    """900 photographs of everyday scenes, then 486 of named groceries, always in this order."""
    folder = shared() / "train"
    notes = json.loads((folder / "grocery" / "annotations.json").read_text())
    scenes = [Photograph(path) for path in sorted((folder / "unlabelled" / "images").iterdir())]
    groceries = [
        Photograph(
            folder / "grocery" / "images" / note["file"],
            tuple(dict.fromkeys([note["label"], note["coarse"], note["top"]])),
        )
        for note in notes["images"]
    ]
    return scenes + groceries
