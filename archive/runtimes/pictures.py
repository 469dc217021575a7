"""Real pictures that are on every machine, to measure networks on: the photographs that come with ultralytics.

They are the same everywhere, so that a graph which is made from them is the same everywhere, too.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from archive.types import Pixels

NAMES = ("bus.jpg", "zidane.jpg")
SIDES = (96, 180, 320, 640)
EACH = 6
"""Crops of each side from each picture."""


def pictures() -> list[Pixels]:
    """A street with a bus and people, and two men: uint8 (height, width, 3)."""
    package = find_spec("ultralytics")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("ultralytics")
    folder = Path(package.origin).parent / "assets"
    return [np.asarray(Image.open(folder / name).convert("RGB")) for name in NAMES]


def quarters(pixels: Pixels) -> list[Pixels]:
    """A picture and its four quarters."""
    down, across = pixels.shape[0] // 2, pixels.shape[1] // 2
    parts = [pixels[top : top + down, left : left + across] for top in (0, down) for left in (0, across)]
    return [pixels, *(np.ascontiguousarray(part) for part in parts)]


def crops() -> list[Pixels]:
    """Squares of many sizes from all over the pictures, 48 of them."""
    taken = []
    for picture in pictures():
        height, width = picture.shape[:2]
        for side in SIDES:
            for at in range(EACH):
                # Steps of the golden ratio cover a line evenly, however many there are.
                top, left = round((height - side) * (0.618 * at % 1)), round((width - side) * (0.382 * at % 1))
                taken.append(np.ascontiguousarray(picture[top : top + side, left : left + side]))
    return taken
