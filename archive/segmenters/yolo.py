"""FastSAM and every YOLO-seg checkpoint of ultralytics, as proposers of boxes."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from archive.errors import WeightsRejected
from archive.runtimes.fitting import Fitted
from archive.runtimes.kept import INT8
from archive.runtimes.pictures import pictures
from archive.runtimes.timing import seconds
from archive.segmenters.regions import blue_first, regions
from archive.segmenters.taming import sealed, threads_kept, ultralytics
from archive.segmenters.threads import PerThread
from archive.segmenters.weights import present, short_digest, under_plain_name
from archive.segmenters.yolo_graph import GraphDetector, graphs_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from archive.runtimes.kept import Precision, Runtime
    from archive.types import Pixels, Region


class UltralyticsSegmenter:
    """Boxes of a YOLO-seg network, whatever class it saw in them.

    `size` is the longer side, in pixels, at which the network looks; `confidence` the least that a box needs;
    `overlap` the IoU above which the surer of two boxes stands alone; `limit` the most boxes of one photo.

    Boxes are the detector's own. Those of the masks' extents were no better (mean best IoU with the labels of 222
    everyday photos .649, against .654) and cost the masks. FastSAM's own post-processing pulls every edge within 20
    pixels of the border onto it (.647), so FastSAM's weights too are read as plain YOLO-seg.

    With `graphs`, a cache, the network is turned into graphs once and whatever is fastest here computes. Where the
    `precision` is open, it is the one that a new archive should have here; int8 shows in the name.
    """

    def __init__(
        self,
        weights: Path,
        *,
        size: int = 1024,
        confidence: float = 0.01,
        overlap: float = 0.7,
        limit: int = 300,
        graphs: Path | None = None,
        precision: Precision | None = None,
    ) -> None:
        self.weights = present(weights)
        self.size = size
        self.confidence = confidence
        self.overlap = overlap
        self.limit = limit
        self._fitted = Fitted(
            None if graphs is None else lambda: graphs_of(present(weights), graphs, self._network, size),
            precision,
            self._clocks,
        )

    @cached_property
    def name(self) -> str:
        """Kind, weights and settings."""
        settings = f"{self.size}px-c{self.confidence:g}-o{self.overlap:g}-n{self.limit}"
        int8 = f"-{INT8}" if self._fitted.precision == "int8" else ""
        return f"yolo-{short_digest(self.weights)}{int8}-{settings}"

    def segment(self, pixels: Pixels) -> list[Region]:
        """Propose a box for each thing found, the surest first.

        Raises:
            WeightsRejected: the weights are not a YOLO network that finds boxes, or are not safe to load.
        """
        if self._fitted.runtime != "torch":
            found = self._detector.boxes(pixels)
            return regions(found.edges, found.confidences, pixels)
        boxes = self._by_torch(pixels)
        return regions(boxes.xyxy.cpu().numpy(), boxes.conf.cpu().numpy(), pixels)

    def _by_torch(self, pixels: Pixels) -> Any:  # noqa: ANN401
        predictor = self._predictor
        with sealed(f"segmenter {self.weights.name}"):
            return predictor(source=blue_first(pixels))[0].boxes

    def _clocks(self) -> dict[Runtime, Callable[[], float]]:
        """Seconds for the picture of a street."""
        shown = pictures()[0]
        return {
            "torch": lambda: seconds(lambda: self._by_torch(shown)),
            "exact": lambda: self._seconds("exact", shown),
            "int8": lambda: self._seconds("int8", shown),
        }

    def _seconds(self, precision: Precision, shown: Pixels) -> float:
        detector = self._detector_of(self._fitted.graphs.path(precision))
        return seconds(lambda: detector.boxes(shown))

    @cached_property
    def _detector(self) -> GraphDetector:
        return self._detector_of(self._fitted.graph)

    def _detector_of(self, graph: Path) -> GraphDetector:
        return GraphDetector(graph, size=self.size, confidence=self.confidence, overlap=self.overlap, limit=self.limit)

    @PerThread
    def _predictor(self) -> Any:  # noqa: ANN401  (ultralytics has no types worth the name)
        return self._loaded()

    def _network(self) -> Any:  # noqa: ANN401
        """The bare network, to be turned into graphs."""
        return rows_of(self._loaded().model.model)

    def _loaded(self) -> Any:  # noqa: ANN401
        present(self.weights)  # a file that went away since is missing, and nothing to download
        ultralytics()
        # Whatever goes wrong inside a foreign file's loading has one meaning: these weights cannot be used.
        try:
            with sealed(f"segmenter {self.weights.name}"), threads_kept(), under_plain_name(self.weights) as path:
                predictor = _box_predictor()(overrides=self._settings)
                predictor.setup_model(path, verbose=False)
        except WeightsRejected:
            raise
        except Exception as error:
            raise WeightsRejected(_complaint(self.weights, str(error))) from error
        task = predictor.model.model.task
        if task not in {"segment", "detect"}:
            raise WeightsRejected(_complaint(self.weights, f"it is made to {task}, not to find things"))
        return predictor

    @property
    def _settings(self) -> dict[str, object]:
        return {
            "imgsz": self.size,
            "conf": self.confidence,
            "iou": self.overlap,
            "max_det": self.limit,
            "agnostic_nms": True,  # one thing that two classes claim is still one thing
            "rect": True,  # pad to the stride, not to a square
            "mode": "predict",
            "task": "segment",
            "save": False,
            "verbose": False,
        }


def _complaint(weights: Path, reason: str) -> str:
    line = " ".join(reason.split())
    return f"{weights} is no YOLO-seg checkpoint that loads safely ({line}); fetch one with `archive models pull`"


def _box_predictor() -> Any:  # noqa: ANN401
    """A detector for networks that also return masks, which it then leaves alone."""
    from ultralytics.models.yolo.detect import DetectionPredictor

    class BoxPredictor(DetectionPredictor):  # type: ignore[misc]  # its base is untyped
        def postprocess(self, preds: Any, img: Any, orig_imgs: Any, **extra: Any) -> Any:  # noqa: ANN401
            return super().postprocess(preds[0], img, orig_imgs, **extra)

    return BoxPredictor
