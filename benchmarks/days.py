"""Photos to put a clock to, made from the pictures that come with ultralytics: 1600 x 1200, as the wearable takes them.

A wearable-like day is a camera that mostly stands still: each scene is taken a few times with the noise of a sensor,
every other photo of it with a thing in another place. How often that happens on a real day is an
assumption; `benchmarks.reuse` measures real sequences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from archive.runtimes.pictures import pictures

if TYPE_CHECKING:
    from pathlib import Path

    from archive.types import Pixels

SIZE = (1600, 1200)
QUALITY = 80
GRAIN = 1.5
"""Standard deviation of a pixel's noise, of 255: a small sensor by daylight."""

TAKES = 6
"""Photos of one scene."""

THING = 120
"""Pixels along the side of what moves."""


def distinct(folder: Path, count: int) -> list[Path]:
    """So many photos, no two alike: parts of the pictures, some of them mirrored."""
    return [_saved(_scene(number), folder / f"distinct-{number:04d}.jpg") for number in range(count)]


def day(folder: Path, count: int) -> list[Path]:
    """So many photos of a wearable-like day."""
    random = np.random.default_rng(20261125)
    paths = []
    for number in range(count):
        scene, take = divmod(number, TAKES)
        photo = _scene(scene).astype(np.float32)
        if take % 2:
            left, top = (int(random.integers(0, side - THING)) for side in SIZE)
            photo[top : top + THING, left : left + THING] = _scene(scene + 1)[:THING, :THING]
        photo += random.normal(0, GRAIN, photo.shape).astype(np.float32)
        paths.append(_saved(photo.clip(0, 255).astype(np.uint8), folder / f"day-{number:04d}.jpg"))
    return paths


def _scene(number: int) -> Pixels:
    random = np.random.default_rng(number)
    picture = Image.fromarray(pictures()[number % 2])
    width = int(random.integers(picture.width // 2, picture.width))
    height = min(picture.height, width * 3 // 4)
    left = int(random.integers(0, picture.width - width + 1))
    top = int(random.integers(0, picture.height - height + 1))
    part = picture.crop((left, top, left + width, top + height)).resize(SIZE, Image.Resampling.BICUBIC)
    pixels = np.asarray(part)
    return np.ascontiguousarray(pixels[:, ::-1] if random.random() < 0.5 else pixels)


def _saved(pixels: Pixels, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "JPEG", quality=QUALITY)
    return path
