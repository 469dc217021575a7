"""SAM, SAM 2 and MobileSAM through ultralytics: everything that a grid of points brings up, as boxes."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from archive.errors import WeightsRejected
from archive.segmenters.regions import blue_first, regions
from archive.segmenters.taming import sealed, threads_kept, ultralytics
from archive.segmenters.threads import PerThread
from archive.segmenters.weights import present, short_digest

if TYPE_CHECKING:
    from pathlib import Path

    from archive.types import Pixels, Region

CHECKPOINTS = (
    *("sam_b.pt", "sam_l.pt", "sam_h.pt", "mobile_sam.pt"),
    *("sam2_t.pt", "sam2_s.pt", "sam2_b.pt", "sam2_l.pt"),
    *("sam2.1_t.pt", "sam2.1_s.pt", "sam2.1_b.pt", "sam2.1_l.pt"),
)
"""File names that say which network the weights are for, as ultralytics publishes them; a prefix is allowed."""


def is_sam(weights: Path) -> bool:
    """Whether a file is named as SAM's weights are."""
    return weights.name.endswith(CHECKPOINTS)


class SamSegmenter:
    """Boxes of the masks that SAM proposes for a grid of points.

    `points` is the number of points along each side; `quality` and `stability` are the least that SAM must think of a
    mask (its own estimate of the IoU, and how little the mask depends on the threshold); `overlap` is the IoU above
    which the better of two boxes stands alone. The photo is seen at `size` pixels, as the networks were trained.
    """

    def __init__(
        self,
        weights: Path,
        *,
        points: int = 32,
        quality: float = 0.88,
        stability: float = 0.95,
        overlap: float = 0.7,
        size: int = 1024,
    ) -> None:
        self.weights = present(weights)
        self.points = points
        self.quality = quality
        self.stability = stability
        self.overlap = overlap
        self.size = size

    @cached_property
    def name(self) -> str:
        """Kind, weights and settings."""
        settings = f"{self.size}px-p{self.points}-q{self.quality:g}-s{self.stability:g}-o{self.overlap:g}"
        return f"sam-{short_digest(self.weights)}-{settings}"

    def segment(self, pixels: Pixels) -> list[Region]:
        """Propose a box for each mask that is good enough.

        Raises:
            WeightsRejected: the weights are not those of the network that their name says, or are not safe to load.
        """
        predictor = self._predictor
        with sealed(f"segmenter {self.weights.name}"):
            (found,) = predictor(
                source=blue_first(pixels),
                points_stride=self.points,
                conf_thres=self.quality,
                stability_score_thresh=self.stability,
            )
        return regions(found.boxes.xyxy.cpu().numpy(), found.boxes.conf.cpu().numpy(), pixels)

    @PerThread
    def _predictor(self) -> Any:  # noqa: ANN401  (ultralytics has no types worth the name)
        present(self.weights)  # a file that went away since is missing, and nothing to download
        ultralytics()
        # Whatever goes wrong inside a foreign file's loading has one meaning: these weights cannot be used.
        try:
            with sealed(f"segmenter {self.weights.name}"), threads_kept():
                predictor = _box_predictor(sam2="sam2" in self._kind)(overrides=self._settings)
                predictor.setup_model(self._network(), verbose=False)
        except WeightsRejected:
            raise
        except Exception as error:
            raise WeightsRejected(_complaint(self.weights, str(error))) from error
        return predictor

    @cached_property
    def _kind(self) -> str:
        kind = next((kind for kind in CHECKPOINTS if self.weights.name.endswith(kind)), None)
        if kind is None:
            raise WeightsRejected(f"{self.weights} does not say which SAM it is: end its name in one of {CHECKPOINTS}")
        return kind

    def _network(self) -> Any:  # noqa: ANN401
        """The network with its weights, which ultralytics would unpickle whole, safe loading or not."""
        import torch
        from ultralytics.models.sam.build import sam_model_map

        content = torch.load(self.weights, map_location="cpu", weights_only=True)
        network = sam_model_map[self._kind]()
        # SAM 2.1 brings some tensors for video that its network gets only together with its file.
        missing, _for_video = network.load_state_dict(content.get("model", content), strict=False)
        if missing:
            raise WeightsRejected(_complaint(self.weights, f"{len(missing)} tensors are missing"))
        return network

    @property
    def _settings(self) -> dict[str, object]:
        return {
            "imgsz": self.size,
            "conf": self.quality,
            "iou": self.overlap,
            "mode": "predict",
            "save": False,
            "verbose": False,
        }


def _complaint(weights: Path, reason: str) -> str:
    line = " ".join(reason.split())
    return f"{weights} is not the SAM checkpoint that its name says ({line}); fetch it with `archive models pull`"


def _box_predictor(*, sam2: bool) -> Any:  # noqa: ANN401
    """A predictor that leaves the masks at their own size: enlarged, a hundred of them fill the memory."""
    from ultralytics.engine.results import Results
    from ultralytics.models.sam import Predictor, SAM2Predictor
    from ultralytics.utils.ops import scale_boxes

    class BoxPredictor(SAM2Predictor if sam2 else Predictor):  # type: ignore[misc]  # its base is untyped
        def postprocess(self, preds: Any, img: Any, orig_imgs: Any) -> Any:  # noqa: ANN401
            import torch

            _masks, scores, boxes = preds
            (photo,) = orig_imgs
            boxes = scale_boxes(img.shape[2:], boxes.float(), photo.shape, padding=False)
            rows = torch.cat([boxes, scores[:, None], torch.zeros_like(scores)[:, None]], dim=1)
            return [Results(photo, path=self.batch[0][0], names={0: "thing"}, boxes=rows)]

    return BoxPredictor
