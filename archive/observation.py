"""Observation: what a pair sees in one photo, from upright pixels to the vectors of its segments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from archive.cleanup import CleanUp, clean
from archive.photos.crops import square
from archive.types import Pack, Pair

if TYPE_CHECKING:
    from archive.protocols import Embedder, Segmenter
    from archive.types import Pixels

CONTEXT = 0.15
"""How much of a segment's surroundings its crop shows, as a share of the box's width and height on each side."""


@dataclass(frozen=True, slots=True)
class Observer:
    """A segmenter and an embedder at work, with the clean-up and the crops between them."""

    segmenter: Segmenter
    embedder: Embedder
    cleanup: CleanUp = field(default_factory=CleanUp)
    context: float = CONTEXT

    def observe(self, pixels: Pixels, photo_id: int = 0) -> Pack:
        """All segments of one photo, the whole frame first."""
        height, width = pixels.shape[:2]
        regions = clean(self.segmenter.segment(pixels), width, height, self.cleanup)
        crops = [
            square(pixels, region.box, 0.0 if ordinal == 0 else self.context) for ordinal, region in enumerate(regions)
        ]
        return Pack(
            photo_id=photo_id,
            boxes=np.array([region.box for region in regions], dtype=np.int32),
            confidences=np.array([region.confidence for region in regions], dtype=np.float32),
            vectors=self.embedder.embed_images(crops),
        )

    def pair(self, name: str, segmenter_source: str, embedder_source: str) -> Pair:
        """The pair that this observer is, identified to the byte: whatever changes a box or a vector is in it."""
        return Pair(
            name=name,
            segmenter=f"{self.segmenter.name}/{self.cleanup.identity}/context{self.context:g}",
            space=self.embedder.space,
            dim=self.embedder.dim,
            segmenter_source=segmenter_source,
            embedder_source=embedder_source,
        )
