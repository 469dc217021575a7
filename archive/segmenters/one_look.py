"""A YOLO-seg network as a graph: one look at a photo gives its regions, and the features that they are pooled from."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from archive.errors import WeightsRejected
from archive.segmenters.regions import distinct, regions
from archive.segmenters.weights import present, short_digest
from archive.types import Glance

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from archive.types import Pixels, Region

STRIDE = 32
GREY = 114
"""What ultralytics pads a view with."""

THING_SHARE = 0.25
OVERLAP = 0.7
MOST = 1000
"""Boxes of one look that are kept for what they say of the regions that they overlap."""

REGIONS = 300


class OneLookNetwork:
    """Looks at photos, each thread at its own; what it saw last is kept, so that a segmenter and an embedder share it.

    `size` is the longer side of its view in pixels and `floor` the least score of a box that counts.
    """

    def __init__(self, weights: Path, *, size: int = 1024, floor: float = 0.01) -> None:
        self.weights = present(weights)
        self.size = size
        self.floor = floor
        self._last = _Last()
        self._loading = threading.Lock()

    @cached_property
    def name(self) -> str:
        """Weights and settings, to the byte."""
        return f"one-look-{short_digest(self.weights)}-{self.size}px-c{self.floor:g}"

    def see(self, pixels: Pixels) -> Glance:
        """What the network makes of a photo.

        Raises:
            WeightsRejected: the weights are not a graph of such a network.
        """
        if self._last.pixels is not pixels or self._last.glance is None:
            self._last.pixels, self._last.glance = pixels, self._look(pixels)
        return self._last.glance

    def _look(self, pixels: Pixels) -> Glance:
        view, scale = self._view(pixels)
        with self._loading:
            session = self._session
        rows, prototypes, *levels = session.run(None, {"images": view})
        kinds = rows.shape[1] - 4 - prototypes.shape[1]
        scores = rows[0, 4 : 4 + kinds].T
        sure = sureness(scores)
        kept = np.flatnonzero(sure >= self.floor)
        kept = kept[np.argsort(-sure[kept], kind="stable")][:MOST]
        centre, half = rows[0, :2, kept], rows[0, 2:4, kept] / 2
        height, width = pixels.shape[:2]
        boxes = np.concatenate([centre - half, centre + half], axis=1) / scale
        return Glance(
            boxes=boxes.clip(0, [width, height, width, height]).astype(np.float32),
            scores=np.ascontiguousarray(scores[kept]),
            levels=tuple(level[0] for level in levels),
            scale=scale,
        )

    def _view(self, pixels: Pixels) -> tuple[NDArray[np.float32], float]:
        """The photo as the network takes it, float32 (1, 3, height, width), padded below and on the right."""
        height, width = pixels.shape[:2]
        scale = self.size / max(height, width)
        across, down = max(1, round(width * scale)), max(1, round(height * scale))
        small = Image.fromarray(pixels).resize((across, down), Image.Resampling.BILINEAR, reducing_gap=3.0)
        view = np.full((_padded(down), _padded(across), 3), GREY, np.uint8)
        view[:down, :across] = np.asarray(small)
        return np.ascontiguousarray(view.transpose(2, 0, 1)[None], np.float32) / np.float32(255), scale

    @cached_property
    def _session(self) -> Any:  # noqa: ANN401  (onnxruntime has no types worth the name)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # photos are looked at side by side instead
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(str(self.weights), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no base
            raise WeightsRejected(f"{self.weights} is damaged; install archive again") from error
        if len(session.get_outputs()) < 3:
            raise WeightsRejected(
                f"{self.weights} shows no feature maps; choose another pair with `archive models list`"
            )
        return session


def sureness(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """How sure the network is of there being anything at all, whatever it is: float32 (n,), which may exceed 1.

    Small things are often a little of several classes, and strange ones of none. Against the surest class alone, the
    sum finds .02 more of the small things in everyday photos, and with a share of THING .05 more of those on a desk.
    """
    sums: NDArray[np.float32] = scores[:, :-1].sum(axis=1) + THING_SHARE * scores[:, -1]
    return sums


class OneLookSegmenter:
    """The regions of a network's look, whatever it calls them."""

    def __init__(self, network: OneLookNetwork) -> None:
        self._network = network

    @property
    def name(self) -> str:
        """Kind, weights and settings."""
        return f"{self._network.name}-o{OVERLAP:g}-n{REGIONS}"

    def segment(self, pixels: Pixels) -> list[Region]:
        """Propose a box for each thing found, the surest first."""
        glance = self._network.see(pixels)
        chosen = distinct(glance.boxes, OVERLAP, REGIONS)
        return regions(glance.boxes[chosen], sureness(glance.scores[chosen]), pixels)


class _Last(threading.local):
    """The photo that this thread looked at last; holding it keeps its identity from passing to another."""

    pixels: Pixels | None = None
    glance: Glance | None = None


def _padded(side: int) -> int:
    return -(-side // STRIDE) * STRIDE
