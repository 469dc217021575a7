"""The picture that a person sees: the photo with boxes around what was found."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archive.types import Box, Pixels

BEST = (255, 214, 10)
OTHER = (120, 220, 255)
DARK = (20, 20, 24)
"""Under both colours, so that a line shows on snow and on asphalt."""

QUALITY = 90


class _Style(NamedTuple):
    colour: tuple[int, int, int]
    line: int
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont


def annotated(pixels: Pixels, boxes: Sequence[tuple[Box, str]]) -> Image.Image:
    """The photo with each box drawn and labelled, the first one strongest and on top; an empty label is left out."""
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    unit = max(1, round(max(image.size) / 400))
    best = _Style(BEST, 2 * unit, ImageFont.load_default(max(10, 11 * unit)))
    other = _Style(OTHER, unit, ImageFont.load_default(max(10, 8 * unit)))
    styled = [(box, label, other if place else best) for place, (box, label) in enumerate(boxes)][::-1]
    for box, _, style in styled:
        _outline(draw, box, style)
    for box, label, style in styled:  # after all lines, which would strike them out
        if label:
            _label(draw, box, label, style, image.size)
    return image


def save_jpeg(image: Image.Image, path: Path) -> None:
    """Write the pixels, and nothing else that the picture knows, so that the file is either whole or not there."""
    bare = image.convert("RGB")
    bare.info.clear()
    with NamedTemporaryFile(dir=path.parent, prefix=".new-", suffix=".jpg", delete=False) as file:
        unfinished = Path(file.name)
        try:
            bare.save(file, "JPEG", quality=QUALITY)
            file.flush()
            os.fsync(file.fileno())
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink()
            raise


def _outline(draw: ImageDraw.ImageDraw, box: Box, style: _Style) -> None:
    """A coloured line just inside the box, between two dark ones."""
    edge = max(1, style.line // 3)
    _frame(draw, box, 0, DARK, style.line + 2 * edge)
    _frame(draw, box, edge, style.colour, style.line)


def _frame(draw: ImageDraw.ImageDraw, box: Box, inset: int, colour: tuple[int, int, int], line: int) -> None:
    left, top, right, bottom = box.left + inset, box.top + inset, box.right - 1 - inset, box.bottom - 1 - inset
    if right > left and bottom > top:
        draw.rectangle((left, top, right, bottom), outline=colour, width=line)


def _label(draw: ImageDraw.ImageDraw, box: Box, text: str, style: _Style, size: tuple[int, int]) -> None:
    """The text on a plate above the box, or inside it where the photo ends above, moved so that all of it shows."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=style.font)
    gap = 2 * style.line
    width, height = round(right - left) + 2 * gap, round(bottom - top) + 2 * gap
    x = max(0, min(box.left, size[0] - width))
    y = box.top - height if box.top >= height else min(box.top, max(0, size[1] - height))
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=style.colour, outline=DARK)
    draw.text((x + gap - left, y + gap - top), text, fill=DARK, font=style.font)
