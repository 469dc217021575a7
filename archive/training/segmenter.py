"""Trains the segmenter: a YOLO-seg network that finds everything, and still says which of the detector's words fit.

It begins as the detector and learns from `labels`: a window of a photograph at a random scale, and in it whatever the
teachers saw in any view. One more class, THING, means that something is there, whatever it is called.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageEnhance

from archive.training.labels import MASK, Labels
from archive.training.teachers import DETECTOR, shared, yolo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from archive.training.photographs import Photograph
    from archive.types import Pixels

    Floats = NDArray[np.float32]

THING = 80
"""The class beside the detector's eighty: something is there."""

GREY = 114
PROTOTYPE_STRIDE = 4
STRIDES = (8, 16, 32)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to learn; the defaults made the weights that ship.

    `window` is the side of a training view in pixels; `scales` the range of the photo's longer side before it is cut.
    `rate` is small because the detector knows more than its labels say: at ten times the rate, 900 steps cost .06 photo
    mAP and .04 recall of things. `thing_rate` is for the new class alone, which begins knowing nothing.
    """

    steps: int = 420
    batch: int = 4
    window: int = 512
    scales: tuple[int, int] = (512, 1400)
    rate: float = 1.5e-5
    thing_rate: float = 1e-3
    warm: int = 30
    memory: float = 0.99
    seed: int = 20261124
    save_every: int = 50


class Example(NamedTuple):
    """A training view, float32 (3, window, window), and its labels in pixels of the view."""

    view: Floats
    labels: Labels


def train(photos: Sequence[Photograph], labels: Path, out: Path, plan: Plan = Plan()) -> Path:
    """Learn, from the last checkpoint in `out` if there is one; returns the file of the averaged weights.

    Prints a line of losses now and then; the loss of a step is the sum over box, class, distance and mask.
    """
    import torch

    checkpoint = out / "segmenter.checkpoint.pt"
    network = everything_network()
    averaged = everything_network()
    fresh = [value.requires_grad_() for name, value in network.named_parameters() if ".thing." in name]
    known = [value.requires_grad_() for name, value in network.named_parameters() if ".thing." not in name]
    parameters = [value for value in known + fresh if value.is_floating_point()]
    groups = [{"params": known, "top": plan.rate}, {"params": fresh, "top": plan.thing_rate}]
    optimiser = torch.optim.AdamW(groups, lr=plan.rate, weight_decay=1e-4)
    step = 0
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        averaged.load_state_dict(state["averaged"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    loss_of = _Loss(network)
    network.train()
    began, recent = time.monotonic(), []
    while step < plan.steps:
        noise = np.random.default_rng([plan.seed, step])
        examples = _batch(photos, labels, noise, plan)
        for group in optimiser.param_groups:
            group["lr"] = group["top"] * _pace(step, plan)
        losses = loss_of(network(torch.from_numpy(np.stack([one.view for one in examples]))), examples)
        optimiser.zero_grad()
        losses.sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 10.0)
        optimiser.step()
        step += 1
        _average(averaged, network, min(plan.memory, (1 + step) / (10 + step)))
        recent.append(losses.detach().numpy())
        if step % 25 == 0:
            means = " ".join(f"{value:.3f}" for value in np.mean(recent, axis=0))
            print(f"segmenter {step}/{plan.steps}  {means}  {(time.monotonic() - began) / 25:.2f} s/step", flush=True)
            began, recent = time.monotonic(), []
        if step % plan.save_every == 0 or step == plan.steps:
            state = {
                "network": network.state_dict(),
                "averaged": averaged.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
            }
            torch.save(state, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").rename(checkpoint)
    return checkpoint


def everything_network() -> torch.nn.Module:
    """The detector with one more class, which at first is a little surer than the mean of all."""
    network = yolo(shared() / DETECTOR)
    head: Any = network.model[-1]  # type: ignore[index]
    for branch in head.cv3:
        branch[-1] = _with_thing(branch[-1])
    head.nc, head.no = THING + 1, THING + 1 + 4 * head.reg_max
    names: Any = network.names
    network.names = {**names, THING: "thing"}  # type: ignore[assignment]
    return network


def _with_thing(classes: torch.nn.Conv2d) -> torch.nn.Module:
    """A class branch and, beside it, one for THING, which learns at a pace of its own."""
    import torch

    class WithThing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.classes = classes
            self.thing = torch.nn.Conv2d(classes.in_channels, 1, 1)
            bias = classes.bias
            with torch.no_grad():
                self.thing.weight.copy_(classes.weight.mean(0, keepdim=True))
                if bias is not None and self.thing.bias is not None:
                    self.thing.bias.copy_(bias.mean(0, keepdim=True) + 3)

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return torch.cat([self.classes(features), self.thing(features)], dim=1)

    return WithThing()


def _pace(step: int, plan: Plan) -> float:
    if step < plan.warm:
        return (step + 1) / plan.warm
    return 0.03 + 0.97 * (1 + math.cos(math.pi * step / plan.steps)) / 2


def _average(averaged: torch.nn.Module, network: torch.nn.Module, memory: float) -> None:
    import torch

    with torch.no_grad():
        for mean, value in zip(averaged.parameters(), network.parameters(), strict=True):
            mean.lerp_(value, 1 - memory)


def _batch(photos: Sequence[Photograph], labels: Path, noise: np.random.Generator, plan: Plan) -> list[Example]:
    examples: list[Example] = []
    while len(examples) < plan.batch:
        photo = photos[int(noise.integers(len(photos)))]
        path = labels / f"{photo.key}.npz"
        if path.is_file():
            examples.append(_example(photo.pixels(), Labels.load(path), noise, plan))
    return examples


def _example(pixels: Pixels, labels: Labels, noise: np.random.Generator, plan: Plan) -> Example:
    """A window of the photo at a random scale and place, perhaps mirrored, a little darker or paler."""
    longest = int(np.exp(noise.uniform(*np.log(plan.scales))))
    scale = longest / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(float(np.exp(noise.normal(0, 0.15))))
    offset = [int(noise.integers(min(0, plan.window - side), max(0, plan.window - side) + 1)) for side in size]
    view = Image.new("RGB", (plan.window, plan.window), (GREY,) * 3)
    view.paste(image, (offset[0], offset[1]))
    inside = _in_window(labels, size, offset, plan.window)
    values = np.asarray(view)
    if noise.random() < 0.5:
        values = values[:, ::-1]
        left, right = inside.boxes[:, 0].copy(), inside.boxes[:, 2].copy()
        inside.boxes[:, 0], inside.boxes[:, 2] = plan.window - right, plan.window - left
        inside = inside._replace(masks=inside.masks[:, :, ::-1])
    return Example(np.ascontiguousarray(values.transpose(2, 0, 1), np.float32) / np.float32(255), inside)


def _in_window(labels: Labels, size: tuple[int, int], offset: Sequence[int], window: int) -> Labels:
    """The labels of things of which a good part lies in the window, cut at its edges."""
    whole = labels.boxes * [*size, *size] + [*offset, *offset]
    cut = whole.clip(0, window)
    sides, all_sides = cut[:, 2:] - cut[:, :2], whole[:, 2:] - whole[:, :2]
    kept = np.flatnonzero((sides.prod(1) > 0.35 * all_sides.prod(1)) & (sides.min(1) >= 5))
    masks = np.zeros((len(kept), MASK, MASK), bool)
    for row, at in enumerate(kept):
        start = (cut[at, :2] - whole[at, :2]) / all_sides[at] * MASK
        steps = (np.arange(MASK) + 0.5) / MASK * (sides[at] / all_sides[at])[:, None] * MASK + start[:, None]
        across, down = steps.astype(int).clip(0, MASK - 1)
        masks[row] = labels.masks[at][np.ix_(down, across)]
    return Labels(
        cut[kept].astype(np.float32), labels.scores[kept], labels.confidence[kept], masks, labels.strange[kept]
    )


class _Loss:
    """YOLOv8's loss with soft classes: boxes, classes, edge distances and masks, each summed over its anchors.

    Anchors are assigned by ultralytics' own task-aligned assigner, as if there were one class.
    """

    GAINS = (7.5, 0.5, 1.5, 3.0)

    def __init__(self, network: torch.nn.Module) -> None:
        import torch
        from ultralytics.utils.loss import BboxLoss
        from ultralytics.utils.tal import TaskAlignedAssigner

        head: Any = network.model[-1]  # type: ignore[index]
        self._bins = head.reg_max
        self._distances = torch.arange(self._bins, dtype=torch.float32)
        self._assign = TaskAlignedAssigner(topk=10, num_classes=1, alpha=0.5, beta=6.0, stride=list(STRIDES))
        self._box_loss = BboxLoss(self._bins)

    def __call__(self, found: dict[str, Any], examples: Sequence[Example]) -> torch.Tensor:
        import torch
        from ultralytics.utils.tal import dist2bbox, make_anchors

        scores = found["scores"].permute(0, 2, 1)
        distances = found["boxes"].permute(0, 2, 1).contiguous()
        anchors, strides = make_anchors(found["feats"], torch.tensor(STRIDES), 0.5)
        batch, count, _ = distances.shape
        spread = distances.view(batch, count, 4, self._bins).softmax(3).matmul(self._distances)
        boxes = dist2bbox(spread, anchors, xywh=False)
        wanted, exists, sure, kinds = _targets(examples)
        _, aimed, quality, chosen, which = self._assign(
            scores.detach().sigmoid().amax(2, keepdim=True),
            boxes.detach() * strides,
            anchors * strides,
            torch.zeros(*wanted.shape[:2], 1),
            wanted,
            exists,
        )
        target = torch.zeros_like(scores)
        rows = torch.arange(batch)[:, None]
        target[..., :THING] = quality * kinds[rows, which]
        target[..., THING:] = quality * sure[rows, which][..., None]
        weight = target[..., THING:]
        total = weight.sum().clamp(min=1)
        classes = torch.nn.functional.binary_cross_entropy_with_logits(scores, target, reduction="none").sum() / total
        side = torch.tensor([float(examples[0].view.shape[1])] * 2)
        overlap, edge = self._box_loss(distances, boxes, anchors, aimed / strides, weight, total, chosen, side, strides)
        masks = self._mask_loss(found, examples, chosen, which, aimed)
        return torch.stack([overlap, classes, edge, masks]) * torch.tensor(self.GAINS)

    def _mask_loss(
        self,
        found: dict[str, Any],
        examples: Sequence[Example],
        chosen: torch.Tensor,
        which: torch.Tensor,
        aimed: torch.Tensor,
    ) -> torch.Tensor:
        """Binary cross-entropy inside each box, a mean over its pixels; the forty first anchors of each photo."""
        import torch

        coefficients, prototypes = found["mask_coefficient"].permute(0, 2, 1), found["proto"]
        losses = []
        for row, example in enumerate(examples):
            anchors = chosen[row].nonzero()[:, 0]
            for at in anchors[torch.randperm(len(anchors))[:40]]:
                left, top, right, bottom = (aimed[row, at] / PROTOTYPE_STRIDE).round().int().tolist()
                right, bottom = max(right, left + 1), max(bottom, top + 1)
                part = prototypes[row, :, top:bottom, left:right]
                if not part.numel():
                    continue
                mask = torch.from_numpy(np.ascontiguousarray(example.labels.masks[which[row, at]], np.float32))
                truth = torch.nn.functional.interpolate(mask[None, None], part.shape[1:], mode="area")[0, 0]
                logits = (coefficients[row, at][:, None, None] * part).sum(0)
                losses.append(torch.nn.functional.binary_cross_entropy_with_logits(logits, truth))
        return torch.stack(losses).mean() if losses else prototypes.sum() * 0


def _targets(examples: Sequence[Example]) -> tuple[Any, Any, Any, Any]:
    """Boxes (batch, most, 4), whether they exist (batch, most, 1), sureness (batch, most), classes (batch, most, 80).

    A thing that the detector is half sure of is a thing all the same: the square root lifts it.
    """
    import torch

    most = max(1, *(len(one.labels.boxes) for one in examples))
    boxes, exists = torch.zeros(len(examples), most, 4), torch.zeros(len(examples), most, 1)
    sure, kinds = torch.zeros(len(examples), most), torch.zeros(len(examples), most, THING)
    for row, (_, labels) in enumerate(examples):
        count = len(labels.boxes)
        boxes[row, :count] = torch.from_numpy(labels.boxes)
        exists[row, :count] = 1
        lifted = np.where(labels.strange, 0.7 * labels.confidence, np.sqrt(labels.confidence))
        sure[row, :count] = torch.from_numpy(lifted.astype(np.float32)).clamp(max=1)
        kinds[row, :count] = torch.from_numpy(labels.scores)
    return boxes, exists, sure, kinds
