"""Pictures that the tests of this folder draw and encode themselves."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from archive.types import Pixels


def quarters(width: int = 96, height: int = 64) -> Pixels:
    """Red, green, blue and white quarters: no way of turning it looks like another."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[: height // 2, : width // 2] = (220, 20, 20)
    pixels[: height // 2, width // 2 :] = (20, 200, 20)
    pixels[height // 2 :, : width // 2] = (20, 20, 220)
    pixels[height // 2 :, width // 2 :] = (240, 240, 240)
    return pixels


def scenery(width: int = 640, height: int = 480) -> Image.Image:
    """Soft coloured noise that compresses as a photo does."""
    noise = np.random.default_rng(7).integers(0, 255, (height // 16, width // 16, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as a file of that format."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
