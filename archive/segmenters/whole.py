"""No segments at all: what is left is the whole frame, so the worth of real segments can be measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archive.types import Pixels, Region


class WholeSegmenter:
    """Proposes nothing; clean-up then leaves ordinal 0, the whole frame, alone."""

    name = "whole"

    def segment(self, pixels: Pixels) -> list[Region]:
        """Nothing, for every photo."""
        return []
