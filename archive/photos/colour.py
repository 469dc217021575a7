"""Every way in which a file can hold colours, brought to RGB with eight bits each."""

from __future__ import annotations

import numpy as np
from PIL import Image

DEEP_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
"""Pillow's modes of grey with more than eight bits."""


def to_rgb(image: Image.Image) -> Image.Image:
    """The same picture in mode RGB.

    What is transparent becomes white: that is what viewers and pages show behind it, and dark text, the usual
    content of such files, stays readable. The colours that Pillow would uncover instead were never meant to be seen.
    """
    if image.mode in DEEP_MODES:
        image = _shallow(image)
    if image.mode in {"La", "LA", "PA", "RGBa", "RGBA"} or "transparency" in image.info:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    drawn = image.convert("RGBA")
    white = Image.new("RGBA", drawn.size, "white")
    return Image.alpha_composite(white, drawn).convert("RGB")


def _shallow(image: Image.Image) -> Image.Image:
    """Sixteen bits lose the lower eight; wider and broken numbers have no known range, so theirs is stretched."""
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        return Image.fromarray((values >> 8).astype(np.uint8))
    numbers = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    if high == low:
        return Image.new("L", image.size, 128)
    return Image.fromarray(((numbers - low) * (255 / (high - low))).astype(np.uint8))
