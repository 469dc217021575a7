"""A YOLO network as graphs: boxes without torch, pixel for pixel as ultralytics has them.

Masks are not computed: the archive keeps boxes, so the branch that makes them is left out of the graph.
"""

from __future__ import annotations

from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from archive.errors import WeightsRejected
from archive.runtimes import sessions
from archive.runtimes.kept import Graphs, Likeness, Precision
from archive.runtimes.pictures import pictures, quarters
from archive.runtimes.quantising import quantise_convolutions
from archive.segmenters.regions import distinct
from archive.segmenters.weights import short_digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from archive.types import Pixels

    Floats = NDArray[np.float32]

STRIDE = 32
GREY = 114
"""What ultralytics pads a view with."""

EXACT_FROM = 0.99
INT8_FROM = 0.85
"""The least likeness (see `likeness`) of a graph that is the network itself, and of one that may stand for it."""

SUREST = 24
"""Boxes of a picture that count for the likeness: as many as get a vector."""


class Boxes(NamedTuple):
    """Edges (n, 4) in pixels of the photo and confidences (n,), the surest first."""

    edges: Floats
    confidences: Floats


class View(NamedTuple):
    """A photo as the network takes it, float32 (1, 3, height, width), and the way back to its pixels."""

    values: Floats
    scale: float
    left: int
    top: int


class GraphDetector:
    """One graph of a YOLO network at work; the settings are those of `archive.segmenters.yolo`."""

    def __init__(self, graph: Path, *, size: int, confidence: float, overlap: float, limit: int) -> None:
        self._graph = graph
        self._size = size
        self._confidence = confidence
        self._overlap = overlap
        self._limit = limit
        self._loading = Lock()

    def boxes(self, pixels: Pixels) -> Boxes:
        """What it finds in a photo."""
        view = letterboxed(pixels, self._size)
        with self._loading:
            session = self._session
        rows = session.run(None, {"images": view.values})[0][0]
        sure = rows[4:].max(axis=0)
        order = np.flatnonzero(sure > self._confidence)
        order = order[np.argsort(-sure[order], kind="stable")]
        centre, half = rows[:2, order].T, rows[2:4, order].T / 2
        edges = np.concatenate([centre - half, centre + half], axis=1)
        kept = distinct(edges, self._overlap, self._limit)
        moved = (edges[kept] - np.array([view.left, view.top] * 2, np.float32)) / np.float32(view.scale)
        height, width = pixels.shape[:2]
        return Boxes(moved.clip(0, np.array([width, height] * 2, np.float32)), sure[order[kept]])

    @cached_property
    def _session(self) -> Any:  # noqa: ANN401
        return sessions.session(self._graph)


def letterboxed(pixels: Pixels, size: int) -> View:
    """The longer side at `size`, padded on both sides to the stride: LetterBox of ultralytics with `auto`."""
    import cv2

    height, width = pixels.shape[:2]
    scale = min(size / height, size / width)
    across, down = max(1, round(width * scale)), max(1, round(height * scale))
    small = pixels if (across, down) == (width, height) else cv2.resize(pixels, (across, down))
    spare_x, spare_y = (size - across) % STRIDE / 2, (size - down) % STRIDE / 2
    left, top = round(spare_x - 0.1), round(spare_y - 0.1)
    right, bottom = round(spare_x + 0.1), round(spare_y + 0.1)
    view = np.full((top + down + bottom, left + across + right, 3), GREY, np.uint8)
    view[top : top + down, left : left + across] = small
    values = view.transpose(2, 0, 1)[None].astype(np.float32)
    values /= 255
    return View(np.ascontiguousarray(values), scale, left, top)


def graphs_of(weights: Path, cache: Path, network: Callable[[], Any], size: int) -> Graphs:
    """The graphs of a checkpoint, below `cache`; `network` loads it as ultralytics does, without its own state."""
    return Graphs(cache / f"yolo-{short_digest(weights)}-{size}px", lambda target: _convert(network(), target, size))


def likeness(one: Boxes, other: Boxes) -> float:
    """How well the other's boxes cover the one's surest: their mean best IoU, 1 where there are none to cover."""
    wanted, there = one.edges[:SUREST], other.edges[: 2 * SUREST]
    if not len(wanted):
        return 1.0
    if not len(there):
        return 0.0
    shared = np.minimum(wanted[:, None, 2:], there[:, 2:]) - np.maximum(wanted[:, None, :2], there[:, :2])
    both = shared.clip(0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (wanted, there)]
    return float((both / (areas[0][:, None] + areas[1] - both).clip(1e-9)).max(axis=1).mean())


def _convert(network: Any, target: Path, size: int) -> Likeness:  # noqa: ANN401
    _export(network, target / "exact.onnx")
    calibration, shown = (quarters(picture) for picture in pictures())
    views = ({"images": letterboxed(picture, size).values} for picture in calibration)
    quantise_convolutions(target / "exact.onnx", target / "int8.onnx", views)
    settings = {"size": size, "confidence": 0.001, "overlap": 0.7, "limit": 300}
    original = _Original(network)
    found = {
        name: [_detector(graph, settings).boxes(picture) for picture in shown]
        for name, graph in (("exact", target / "exact.onnx"), ("int8", target / "int8.onnx"))
    }
    original_boxes = [_detector(original, settings).boxes(picture) for picture in shown]
    exact, int8 = (
        float(np.mean([likeness(*both) for both in zip(original_boxes, found[name], strict=True)]))
        for name in ("exact", "int8")
    )
    usable: list[Precision] = ["exact"] if exact >= EXACT_FROM else []
    return Likeness(exact, int8, (*usable, *(("int8",) if int8 >= INT8_FROM else ())))


def _detector(graph: Any, settings: dict[str, Any]) -> GraphDetector:  # noqa: ANN401
    detector = GraphDetector(graph, **settings)
    if isinstance(graph, _Original):
        detector.__dict__["_session"] = graph
    return detector


class _Original:
    """The network itself, run as a graph is."""

    def __init__(self, network: Any) -> None:  # noqa: ANN401
        self._network = network

    def run(self, _outputs: None, inputs: dict[str, Floats]) -> list[Floats]:
        import torch

        with torch.inference_mode():
            return [self._network(torch.from_numpy(inputs["images"])).numpy()]


def rows_of(network: Any) -> Any:  # noqa: ANN401
    """A network of ultralytics as one from views (1, 3, h, w) to rows (1, 4 + classes, places), without its masks.

    Raises:
        WeightsRejected: its head is of another kind.
    """
    import torch

    head = network.model[-1]
    kinds = getattr(head, "nc", None)
    if kinds is None or getattr(head, "end2end", False):
        raise WeightsRejected("this network's head is not made of boxes and classes")
    head.export, head.format, head.dynamic = True, "onnx", True
    last = 4 + int(kinds)

    class Rows(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found = self.network(images)
            rows: torch.Tensor = found[0] if isinstance(found, (tuple, list)) else found
            return rows[:, :last]

    return Rows().eval()


def _export(network: Any, path: Path) -> None:  # noqa: ANN401
    import warnings

    import torch

    free = {"images": {2: "height", 3: "width"}, "rows": {2: "places"}}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # the tracer's, of shapes that it takes for fixed and that are not
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, 480, 640),),
            str(path),
            input_names=["images"],
            output_names=["rows"],
            dynamic_axes=free,
            dynamo=False,  # the newer exporter fixes the places for which a head keeps its anchors
            opset_version=17,
        )
