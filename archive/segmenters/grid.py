"""Overlapping squares: a segmenter that needs no weights and finds nothing in particular."""

from __future__ import annotations

from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING

from archive.types import Box, Region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archive.types import Pixels

MOST_PER_LINE = 12
"""Squares side by side; on longer strips they stand apart rather than be thousands."""


class GridSegmenter:
    """Squares of several sizes, spread evenly over the photo, whatever it shows.

    `scales` are the squares' sides as shares of the photo's shorter side, `overlap` the share of a square that its
    neighbour covers too, at least. A square's confidence is its scale, so a cap keeps the large ones first.
    """

    def __init__(self, scales: Sequence[float] = (1, 1 / 2, 1 / 3), *, overlap: float = 1 / 3) -> None:
        self.scales = tuple(map(float, scales))
        self.overlap = overlap

    @cached_property
    def name(self) -> str:
        """Kind and settings."""
        return f"grid-{'+'.join(f'{scale:.3g}' for scale in self.scales)}-o{self.overlap:.3g}"

    def segment(self, pixels: Pixels) -> list[Region]:
        """The same squares for every photo of the same size."""
        height, width = pixels.shape[:2]
        return [
            Region(Box(left, top, left + side, top + side), min(scale, 1.0))
            for scale in self.scales
            for side in [max(1, min(width, height, round(min(width, height) * scale)))]
            for top in self._starts(height, side)
            for left in self._starts(width, side)
        ]

    def _starts(self, length: int, side: int) -> list[int]:
        room = length - side
        gaps = min(ceil(room / max(1.0, side * (1 - self.overlap))), MOST_PER_LINE - 1)
        return [round(room * step / gaps) for step in range(gaps + 1)] if gaps else [0]
