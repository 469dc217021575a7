"""Trains the image tower: MobileNetV2 with a linear head into the joint space, by what both teachers say of crops."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from archive.embedders.colours import COLOURS
from archive.embedders.joint_space import DIM, picture_rows, unit
from archive.embedders.pooled import tower_input
from archive.photos.crops import square
from archive.training import joint
from archive.training.labels import Labels
from archive.training.teachers import CLASSIFIER_LABELS, Classifier, classifier, shared
from archive.types import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from archive.training.photographs import Photograph
    from archive.types import Pixels

    Floats = NDArray[np.float32]
    Embed = Callable[[Sequence[str]], Floats]

TRUNK = {
    "architecture": "mobilenetv2_100",
    "num_classes": 1000,
    # The classifier was trained with TensorFlow's padding; with the default one a third of its labels change.
    "model_args": {"pad_type": "same"},
    "pretrained_cfg": {"input_size": [3, 224, 224], "pool_size": [7, 7], "classifier": "classifier"},
}
"""timm's settings of the trunk; open_clip finds them in the folder `image` beside its config."""

VISION_CFG: dict[str, Any] = {
    "timm_model_name": "local-dir:image",
    "timm_pool": "avg",
    "timm_proj": "linear",
    "timm_proj_bias": True,
    "image_size": 224,
}
PREPROCESS_CFG = {
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic",
    "resize_mode": "squash",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How many crops of a photo, and how long to learn; the defaults made the weights that ship."""

    crops: int = 16
    least_side: int = 10
    ridge: float = 300.0
    steps: int = 140
    batch: int = 16
    rate: float = 1e-4
    seed: int = 20261124


class Crops(NamedTuple):
    """What the classifier makes of a photo's whole frame, and of its surest labels; `rows` are those labels'."""

    rows: NDArray[np.int64]
    features: Floats
    logits: Floats

    @classmethod
    def load(cls, path: Path) -> Crops:
        """Read them back."""
        with np.load(path) as content:
            return cls(content["rows"], content["features"].astype(np.float32), content["logits"].astype(np.float32))

    def save(self, path: Path) -> None:
        """Write them, in half precision."""
        half = path.with_suffix(".part.npz")
        np.savez(half, rows=self.rows, features=self.features.astype(np.float16), logits=self.logits.astype(np.float16))
        half.rename(path)


def describe_crops(pixels: Pixels, labels: Labels, network: Classifier, plan: Plan = Plan()) -> Crops:
    """Look at the whole frame and at the surest labels."""
    boxes = crop_boxes(pixels, labels)
    sides = (boxes[:, 2:] - boxes[:, :2]).min(axis=1)
    weight = np.where(labels.strange, 0.3, 1.0) * labels.confidence
    rows = np.argsort(-weight, kind="stable")[: plan.crops]
    rows = rows[sides[rows] >= plan.least_side]
    height, width = pixels.shape[:2]
    crops = [square(pixels, Box(0, 0, width, height), 0.0)]
    crops += [square(pixels, Box(*box.tolist())) for box in boxes[rows]]
    features, logits = network.classify(crops)
    return Crops(rows, features, logits)


def crop_boxes(pixels: Pixels, labels: Labels) -> NDArray[np.int64]:
    """The labels' boxes in pixels of the photo, int64 (n, 4)."""
    height, width = pixels.shape[:2]
    boxes: NDArray[np.int64] = (labels.boxes * [width, height, width, height]).round().astype(np.int64)
    return boxes


def class_names(embed: Embed, meaning: joint.Meaning) -> Floats:
    """Unit rows (1000, 163) of the classifier's classes: the mean of each one's names."""
    lines = (shared() / CLASSIFIER_LABELS).read_text().splitlines()[1:]
    names = [line.lower().split(", ") for line in lines]
    rows = embed([name for several in names for name in several])
    ends = np.cumsum([len(several) for several in names])
    means = np.add.reduceat(rows, [0, *ends[:-1]], axis=0)
    return meaning(unit(means))


def targets(crops: Crops, labels: Labels, names: Floats) -> Floats:
    """The rows (n, 256) that a photo's frame and crops are to have; colours are measured, not learned."""
    evidence = np.concatenate([labels.scores.max(axis=0, keepdims=True, initial=0), labels.scores[crops.rows]])
    meaning = joint.classified_meaning(crops.logits, names)
    return picture_rows(evidence, np.zeros((len(evidence), len(COLOURS)), np.float32), meaning)


def train(
    photos: Sequence[Photograph], labels: Path, crops: Path, names: Floats, plan: Plan = Plan()
) -> torch.nn.Module:
    """A linear head in closed form, then every layer together for a while; returns open_clip's own image tower."""
    import torch

    known = [photo for photo in photos if (crops / f"{photo.key}.npz").is_file()]
    tower = image_tower()
    _solve_head(tower, known, labels, crops, names, plan)
    for module in tower.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    optimiser = torch.optim.AdamW(tower.parameters(), lr=plan.rate, weight_decay=1e-4)
    began, recent = time.monotonic(), []
    for step in range(plan.steps):
        noise = np.random.default_rng([plan.seed, step])
        inputs, wanted = _batch(known, labels, crops, names, noise, plan)
        rows = torch.nn.functional.normalize(tower(torch.from_numpy(inputs)), dim=1)
        loss = (rows - torch.from_numpy(wanted)).square().sum(1).mean()
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * min(1, (step + 1) / 20) * (1 - 0.9 * step / plan.steps)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        recent.append(float(loss.detach()))
        if (step + 1) % 20 == 0:
            pace = (time.monotonic() - began) / 20
            print(f"image {step + 1}/{plan.steps}  {np.mean(recent):.4f}  {pace:.2f} s/step", flush=True)
            began, recent = time.monotonic(), []
    return tower.eval()


def image_tower() -> torch.nn.Module:
    """open_clip's image tower around the classifier's trunk, its head still zero."""
    import tempfile
    from pathlib import Path

    from open_clip.timm_model import TimmModel

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(TRUNK))
        tower: torch.nn.Module = TimmModel(
            f"local-dir:{folder}", DIM, image_size=224, pool="avg", proj="linear", proj_bias=True, pretrained=False
        )
    teacher = {name: value for name, value in classifier().state_dict().items() if not name.startswith("classifier.")}
    trunk: Any = tower.trunk
    trunk.load_state_dict(teacher)
    return tower


def _solve_head(
    tower: Any,  # noqa: ANN401
    known: Sequence[Photograph],
    labels: Path,
    crops: Path,
    names: Floats,
    plan: Plan,
) -> None:
    """Ridge regression from the trunk's features to the target rows, with an unpunished constant."""
    import torch

    features, rows = [], []
    for photo in known:
        seen = Crops.load(crops / f"{photo.key}.npz")
        features.append(seen.features)
        rows.append(targets(seen, Labels.load(labels / f"{photo.key}.npz"), names))
    matrix, constant = ridge(np.concatenate(features), np.concatenate(rows), plan.ridge)
    with torch.no_grad():
        tower.head.proj.weight.copy_(torch.from_numpy(matrix.T))
        tower.head.proj.bias.copy_(torch.from_numpy(constant))


def ridge(inputs: Floats, outputs: Floats, strength: float) -> tuple[Floats, Floats]:
    """The matrix (d, k) and constant (k,) with the least squared error and a penalty on the matrix.

    Inputs are scaled to unit deviation first, so that the penalty weighs all of them alike.
    """
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0) + 1e-3
    scaled = ((inputs - mean) / deviation).astype(np.float64)
    centre = outputs.mean(axis=0)
    gram = scaled.T @ scaled + strength * np.eye(scaled.shape[1])
    solved = np.linalg.solve(gram, scaled.T @ (outputs - centre))
    matrix = (solved / deviation[:, None]).astype(np.float32)
    return matrix, (centre - mean @ matrix).astype(np.float32)


def _batch(
    known: Sequence[Photograph], labels: Path, crops: Path, names: Floats, noise: np.random.Generator, plan: Plan
) -> tuple[Floats, Floats]:
    """Crops of a few photos as the trunk takes them, some of them mirrored, and their target rows."""
    inputs: list[Floats] = []
    rows: list[Floats] = []
    while len(inputs) < plan.batch:
        photo = known[int(noise.integers(len(known)))]
        seen, marked = Crops.load(crops / f"{photo.key}.npz"), Labels.load(labels / f"{photo.key}.npz")
        wanted, pixels = targets(seen, marked, names), photo.pixels()
        boxes = crop_boxes(pixels, marked)
        for at in noise.permutation(len(wanted))[:6]:
            if at == 0:
                crop = square(pixels, Box(0, 0, pixels.shape[1], pixels.shape[0]), 0.0)
            else:
                crop = square(pixels, Box(*boxes[seen.rows[at - 1]].tolist()), float(noise.uniform(0.05, 0.3)))
            value = tower_input(crop)
            inputs.append(value[:, :, ::-1] if noise.random() < 0.5 else value)
            rows.append(wanted[at])
    return np.stack(inputs[: plan.batch]), np.stack(rows[: plan.batch])
