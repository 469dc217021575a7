"""A YOLO-seg network as a graph: one look at a photo gives its regions, and the features that they are pooled from.

A look is a few views of the whole photo, each at its own size, whose boxes are taken together.
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from archive.errors import WeightsRejected
from archive.segmenters.maskless import without_masks
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

AFAR = 0.5
"""A photo is seen once more at this share of the size: what fills it is too near to be recognised at full size. At 1024
pixels the portrait of a cat scores .19 as a cat, at 512 .78, and it costs a fifth more."""

SMALL = 0.06
"""Of a closer view those boxes count that are small: the root of their area, as a share of the photo's longer side.

What is larger is recognised less well there: of the large things in everyday photos of 640 pixels, 1600 pixels in
place of 1024 have .57 called by their names, where .62 were.
"""

THING_SHARE = 0.25
OVERLAP = 0.7
MOST = 1000
"""Boxes of one look that are kept for what they say of the regions that they overlap."""

REGIONS = 300


class _Graph(NamedTuple):
    """A graph ready to run; one that is slim gives boxes, scores and levels, any other prototypes of masks, too."""

    session: Any
    is_slim: bool


class OneLookNetwork:
    """Looks at photos, closely and from afar, each thread at its own.

    What it saw last is kept, so that a segmenter and an embedder share it.

    `size` is the longer side of its view in pixels and `floor` the least sureness of a box that counts. It lies below
    what a region needs: what is hardly seen still says something of the regions around it. `closer` is the longer side
    of one view more, for small things; None is for none.
    """

    def __init__(self, weights: Path, *, size: int = 1024, floor: float = 0.002, closer: int | None = None) -> None:
        self.weights = present(weights)
        self.size = size
        self.floor = floor
        self.closer = closer
        self._last = _Last()
        self._loading = threading.Lock()
        self._has_looked = False
        self._graph: _Graph | None = None

    @cached_property
    def name(self) -> str:
        """Weights and settings, to the byte."""
        closer = "" if self.closer is None else f"-{self.closer}px{SMALL:g}"
        return f"one-look-{short_digest(self.weights)}-{self.size}px-a{AFAR:g}-c{self.floor:g}{closer}"

    def see(self, pixels: Pixels) -> Glance:
        """What the network makes of a photo.

        Raises:
            WeightsRejected: the weights are not a graph of such a network.
        """
        if self._last.pixels is not pixels or self._last.glance is None:
            self._last.pixels, self._last.glance = pixels, self._look(pixels)
            self._has_looked = True
        return self._last.glance

    def _look(self, pixels: Pixels) -> Glance:
        height, width = pixels.shape[:2]
        close, afar = self._seen(pixels, self.size), self._seen(pixels, round(self.size * AFAR))
        views = [close, afar]
        if self.closer is not None:
            views.append(_only_small(self._seen(pixels, self.closer), SMALL * max(height, width)))
        boxes = np.concatenate([view.boxes for view in views])
        scores = np.concatenate([view.scores for view in views])
        order = np.argsort(-sureness(scores), kind="stable")[:MOST]
        return Glance(
            boxes=boxes[order].clip(0, np.array([width, height, width, height], np.float32)),
            scores=np.ascontiguousarray(scores[order]),
            levels=close.levels,
            scale=close.scale,
        )

    def _seen(self, pixels: Pixels, size: int) -> Glance:
        """What the network makes of one view whose longer side has that size."""
        view, scale = view_of(pixels, size)
        graph = self._at_work()
        rows, *levels = graph.session.run(None, {"images": view})
        masks = 0 if graph.is_slim else levels.pop(0).shape[1]
        scores = rows[0, 4 : rows.shape[1] - masks].T
        kept = np.flatnonzero(sureness(scores) >= self.floor)
        centre, half = rows[0, :2, kept], rows[0, 2:4, kept] / 2
        boxes = (np.concatenate([centre - half, centre + half], axis=1) / scale).astype(np.float32)
        return Glance(boxes, scores[kept], tuple(level[0] for level in levels), scale)

    def _at_work(self) -> _Graph:
        """The graph: for the first photo as it stands in its file, for any further one without what only masks need.

        The library that takes it away takes longer to load than one photo would save.
        """
        with self._loading:
            if self._graph is None:
                self._graph = self._opened(is_slim=False)
            elif self._has_looked and not self._graph.is_slim:
                self._graph = self._opened(is_slim=True)
            return self._graph

    def _opened(self, *, is_slim: bool) -> _Graph:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # photos are looked at side by side instead
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            content = without_masks(self.weights) if is_slim else str(self.weights)
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no base
            raise WeightsRejected(f"{self.weights} is damaged; install archive again") from error
        if not is_slim and len(session.get_outputs()) < 3:
            raise WeightsRejected(
                f"{self.weights} shows no feature maps; choose another pair with `archive models list`"
            )
        return _Graph(session, is_slim)


def _only_small(glance: Glance, side: float) -> Glance:
    """What was seen of things the root of whose area is less than so many pixels of the photo."""
    small = (glance.boxes[:, 2:] - glance.boxes[:, :2]).prod(axis=1) < side**2
    return glance._replace(boxes=glance.boxes[small], scores=glance.scores[small])


def view_of(pixels: Pixels, size: int) -> tuple[NDArray[np.float32], float]:
    """A photo as a network takes it: its longer side of that size, padded below and on the right to the stride.

    Returns the view, float32 (1, 3, height, width) from 0 to 1, and its pixels for each pixel of the photo.
    """
    height, width = pixels.shape[:2]
    scale = size / max(height, width)
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    small = Image.fromarray(pixels).resize((across, down), Image.Resampling.BILINEAR, reducing_gap=3.0)
    view = np.full((_padded(down), _padded(across), 3), GREY, np.uint8)
    view[:down, :across] = np.asarray(small)
    return np.ascontiguousarray(view.transpose(2, 0, 1)[None], np.float32) / np.float32(255), scale


def sureness(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """How sure the network is of there being anything at all, whatever it is: float32 (n,), which may exceed 1.

    Small things are often a little of several classes, and strange ones of none. Against the surest class alone, the
    sum finds .02 more of the small things in everyday photos, and with a share of THING .05 more of those on a desk.
    """
    sums: NDArray[np.float32] = scores[:, :-1].sum(axis=1) + THING_SHARE * scores[:, -1]
    return sums


class OneLookSegmenter:
    """The regions of a network's look, whatever it calls them; `confidence` is the least sureness that one needs."""

    def __init__(self, network: OneLookNetwork, *, confidence: float = 0.04) -> None:
        self._network = network
        self._confidence = confidence

    @property
    def name(self) -> str:
        """Kind, weights and settings."""
        return f"{self._network.name}-r{self._confidence:g}-o{OVERLAP:g}-n{REGIONS}"

    def segment(self, pixels: Pixels) -> list[Region]:
        """Propose a box for each thing found, the surest first."""
        glance = self._network.see(pixels)
        sure = sureness(glance.scores)
        enough = np.flatnonzero(sure >= self._confidence)
        chosen = enough[distinct(glance.boxes[enough], OVERLAP, REGIONS)]
        return regions(glance.boxes[chosen], sure[chosen], pixels)


class _Last(threading.local):
    """The photo that this thread looked at last; holding it keeps its identity from passing to another."""

    pixels: Pixels | None = None
    glance: Glance | None = None


def _padded(side: int) -> int:
    return -(-side // STRIDE) * STRIDE
