"""Real JPEG files of the world of coloured squares, with capture times where a test wants them."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tests.fakes import COLOURS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from archive.types import Pixels

SIZE = (320, 240)
Squares = dict[str, tuple[int, int, int, int]]


def pixels(squares: Mapping[str, tuple[int, int, int, int]], size: tuple[int, int] = SIZE) -> Pixels:
    """A grey photo with a rectangle (left, top, right, bottom) for each colour."""
    picture = np.empty((size[1], size[0], 3), dtype=np.uint8)
    picture[:] = COLOURS["grey"]
    for colour, (left, top, right, bottom) in squares.items():
        picture[top:bottom, left:right] = COLOURS[colour]
    return picture


def jpeg(
    squares: Mapping[str, tuple[int, int, int, int]], taken: datetime | None = None, size: tuple[int, int] = SIZE
) -> bytes:
    """The same as the bytes of a JPEG; `taken` is written to EXIF as UTC with its offset."""
    exif = Image.Exif()
    if taken is not None:
        inner = exif.get_ifd(0x8769)
        inner[0x9003] = f"{taken:%Y:%m:%d %H:%M:%S}"
        inner[0x9011] = "+00:00"
    buffer = BytesIO()
    Image.fromarray(pixels(squares, size)).save(buffer, "JPEG", quality=95, exif=exif)
    return buffer.getvalue()


def write(path: Path, squares: Mapping[str, tuple[int, int, int, int]], taken: datetime | None = None) -> Path:
    """The same as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(squares, taken))
    return path


def day(folder: Path, count: int, begin: datetime, every: float = 60.0) -> list[Path]:
    """A folder of `count` photos, `every` seconds apart, each different: a square in one of the colours wanders."""
    from datetime import timedelta

    colours = [name for name in COLOURS if name != "grey"]
    paths = []
    for number in range(count):
        left, top = 10 + 7 * number % 200, 10 + 11 * number % 150
        squares = {colours[number % len(colours)]: (left, top, left + 60, top + 50)}
        paths.append(write(folder / f"IMG_{number:04d}.jpg", squares, begin + timedelta(seconds=every * number)))
    return paths
