"""The spaces that are measured: the built-in pairs, and the tests' own pair where its parts are on disk."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from archive.observation import CONTEXT, Observer
from archive.pairs.shipped import SHIPPED, shipped_folder
from archive.protocols import RegionEmbedder

if TYPE_CHECKING:
    from pathlib import Path

    from archive.cleanup import CleanUp


class Space:
    """A pair at work, under the name that the tables give it."""

    def __init__(self, name: str, observer: Observer) -> None:
        self.name = name
        self.observer = observer

    @property
    def cleanup(self) -> CleanUp:
        """How the pair cleans up by default."""
        return self.observer.cleanup

    @property
    def looks_at_regions(self) -> bool:
        """Whether its vectors come from one look at the photo; else from crops."""
        return isinstance(self.observer.embedder, RegionEmbedder)

    @property
    def identity(self) -> str:
        """What its boxes and vectors depend on, whatever is done with them afterwards."""
        return f"{self.observer.segmenter.name} {self.observer.embedder.space}"

    @cached_property
    def warm(self) -> bool:
        """Load the networks now, so that no photo pays for it."""
        self.observer.observe(np.zeros((64, 64, 3), np.uint8))
        return True


def available(towers: Path, only: str | None = None) -> list[Space]:
    """The spaces whose weights are on disk, or the one of that name; `towers` is where exported text towers are kept.

    The pair that looks closer shares its space with the other one that comes with the archive, so it has to be named.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # seconds of a CPU are counted, and threads that wait count, too
    if only in SHIPPED:
        return [pocket(only)]
    return [space for space in (pocket(), *_tests_own(towers)) if only in (None, space.name)]


def pocket(name: str = "pocket") -> Space:
    """A pair that comes with the archive."""
    from archive.training.__main__ import shipped

    return Space(name, shipped(shipped_folder(name), name))


def _tests_own(towers: Path) -> list[Space]:
    from archive.embedders.openclip import OpenClipEmbedder
    from archive.segmenters.yolo import UltralyticsSegmenter
    from tests.paths import SHARED
    from tests.real_pair import CLASSIFIER, real_embedder_folder

    weights = SHARED / "models" / "yolov8n-seg.pt"
    if not (weights.is_file() and SHARED.joinpath(*CLASSIFIER).is_file()):
        return []
    embedder = OpenClipEmbedder(real_embedder_folder(), towers)
    return [Space("tests", Observer(UltralyticsSegmenter(weights), embedder, context=CONTEXT))]
