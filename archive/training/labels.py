"""Labels for photographs that have none: what the detector sees in many views, and what only the classifier knows.

A thing that is small in the photo is large in a tile of it, so the detector sees it there; what it learned to see with
a magnifying glass it shall see without. Regions of one colour that the classifier is sure about are things, too, for
which the detector has no word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from archive.embedders.pooling import overlaps
from archive.photos.crops import square
from archive.segmenters.one_look import view_of
from archive.segmenters.regions import distinct
from archive.types import Box

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from archive.training.teachers import Classifier, Detector, Seen
    from archive.types import Pixels

    Floats = NDArray[np.float32]
    Flags = NDArray[np.bool_]

WHOLE_VIEWS = (640, 1024)
TILE_VIEW = 768
TILES_OVERLAP = 0.25
LEAST_SCORE = 0.03
SAME_THING = 0.6
MASK = 28
MOST = 80
STRANGE_SURENESS = 0.5
STRANGE_TRIED = 12


class Labels(NamedTuple):
    """What a photograph shows.

    boxes       float32 (n, 4) as shares of width and height
    scores      float32 (n, 80): how sure the detector is of each of its classes, at its best view
    confidence  float32 (n,): how sure it is that there is a thing at all
    masks       bool (n, 28, 28), each filling its box
    strange     bool (n,): proposed by colour and confirmed by the classifier; its scores are zero
    """

    boxes: Floats
    scores: Floats
    confidence: Floats
    masks: Flags
    strange: Flags

    def save(self, path: Path) -> None:
        """Write them."""
        half = path.with_suffix(".part.npz")
        packed = np.packbits(self.masks.reshape(len(self.boxes), -1), axis=1)
        np.savez(half, **(self._asdict() | {"masks": packed, "scores": self.scores.astype(np.float16)}))
        half.rename(path)

    @classmethod
    def load(cls, path: Path) -> Labels:
        """Read them back."""
        with np.load(path) as content:
            parts = {name: content[name] for name in cls._fields}
        bits = np.unpackbits(parts["masks"], axis=1, count=MASK * MASK)
        masks = bits.reshape(-1, MASK, MASK).astype(bool)
        return cls(**(parts | {"masks": masks, "scores": parts["scores"].astype(np.float32)}))


def label(pixels: Pixels, detector: Detector, classifier: Classifier, *, tiled: bool) -> Labels:
    """Everything the teachers see in one photograph."""
    found = _merged([_seen(pixels, part, longest, detector) for part, longest in _views(pixels, tiled=tiled)])
    return _with_strange(found, pixels, classifier)


def _views(pixels: Pixels, *, tiled: bool) -> Iterator[tuple[Box, int]]:
    height, width = pixels.shape[:2]
    for longest in WHOLE_VIEWS:
        yield Box(0, 0, width, height), longest
    if tiled:
        across, down = (round(side * (1 + TILES_OVERLAP) / 2) for side in (width, height))
        for left in (0, width - across):
            for top in (0, height - down):
                yield Box(left, top, left + across, top + down), TILE_VIEW


def _seen(pixels: Pixels, part: Box, longest: int, detector: Detector) -> Labels:
    """What the detector sees in one part of a photo, without things that the part's edge cuts."""
    cut = np.ascontiguousarray(pixels[part.top : part.bottom, part.left : part.right])
    view, scale = view_of(cut, longest)
    seen = detector.see(view)
    confidence = seen.scores.max(axis=1)
    kept = np.flatnonzero(confidence >= LEAST_SCORE)
    kept = kept[(-confidence[kept]).argsort(kind="stable")]
    kept = kept[distinct(seen.boxes[kept], SAME_THING, len(kept))]
    height, width = pixels.shape[:2]
    offset = np.array([part.left, part.top] * 2)
    edges = seen.boxes[kept].clip(0, np.array([cut.shape[1], cut.shape[0]] * 2) * scale) / scale + offset
    inside = _uncut(edges, part, width, height) & ((edges[:, 2:] - edges[:, :2]).min(axis=1) > 1)
    kept, edges = kept[inside], edges[inside]
    return Labels(
        boxes=(edges / np.array([width, height] * 2)).astype(np.float32),
        scores=seen.scores[kept],
        confidence=confidence[kept],
        masks=_masks(seen, kept),
        strange=np.zeros(len(kept), bool),
    )


def _uncut(edges: Floats, part: Box, width: int, height: int) -> Flags:
    """Whether a box keeps away from those sides of its part that are not sides of the photo."""
    near = 2.0
    cut = np.zeros(len(edges), bool)
    if part.left > 0:
        cut |= edges[:, 0] < part.left + near
    if part.top > 0:
        cut |= edges[:, 1] < part.top + near
    if part.right < width:
        cut |= edges[:, 2] > part.right - near
    if part.bottom < height:
        cut |= edges[:, 3] > part.bottom - near
    return ~cut


def _masks(seen: Seen, kept: NDArray[np.intp]) -> Flags:
    masks = np.zeros((len(kept), MASK, MASK), bool)
    _, height, width = seen.prototypes.shape
    for row, at in enumerate(kept):
        left, top, right, bottom = (seen.boxes[at] / 4).round().astype(int)
        left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        logits = np.tensordot(seen.coefficients[at], seen.prototypes[:, top:bottom, left:right], axes=1)
        small = Image.fromarray(logits.astype(np.float32)).resize((MASK, MASK), Image.Resampling.BILINEAR)
        masks[row] = np.asarray(small) > 0
    return masks


def _merged(views: list[Labels]) -> Labels:
    """The views' labels as one, each thing once: its box the mean of what agrees, weighted by how sure each is."""
    every = Labels(*(np.concatenate(parts) for parts in zip(*views, strict=True)))
    order = (-every.confidence).argsort(kind="stable")
    taken = np.zeros(len(order), bool)
    rows: list[int] = []
    boxes, scores = [], []
    for at in order:
        if taken[at] or len(rows) == MOST:
            continue
        overlap = overlaps(every.boxes[at], every.boxes)
        same = (overlap > SAME_THING) & ~taken
        taken |= same
        close = same & (overlap > (1 + SAME_THING) / 2)
        close[at] = True
        boxes.append(np.average(every.boxes[close], axis=0, weights=every.confidence[close]))
        scores.append(every.scores[same].max(axis=0))
        rows.append(int(at))
    chosen = np.array(rows, dtype=int)
    return Labels(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32).reshape(-1, every.scores.shape[1]),
        every.confidence[chosen],
        every.masks[chosen],
        every.strange[chosen],
    )


def _with_strange(found: Labels, pixels: Pixels, classifier: Classifier) -> Labels:
    boxes, masks = _patches(pixels, found.boxes)
    height, width = pixels.shape[:2]
    whole = (boxes * [width, height, width, height]).round().astype(int)
    crops = [square(pixels, Box(*box.tolist())) for box in whole]
    _, logits = classifier.classify(crops)
    chances = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    chances /= chances.sum(axis=1, keepdims=True)
    sure = chances[:, 1:].max(axis=1, initial=0)
    kept = sure >= STRANGE_SURENESS
    extra = Labels(
        boxes[kept],
        np.zeros((int(kept.sum()), found.scores.shape[1]), np.float32),
        sure[kept].astype(np.float32),
        masks[kept],
        np.ones(int(kept.sum()), bool),
    )
    return Labels(*(np.concatenate(parts) for parts in zip(found, extra, strict=True)))


def _patches(pixels: Pixels, known: Floats) -> tuple[Floats, Flags]:
    """Patches of one colour that might be things of their own, and their masks, the most compact first.

    Felzenszwalb and Huttenlocher, "Efficient Graph-Based Image Segmentation" (2004), at three scales.
    """
    from skimage.measure import regionprops
    from skimage.segmentation import felzenszwalb

    height, width = pixels.shape[:2]
    shrink = 320 / max(height, width)
    small = np.asarray(Image.fromarray(pixels).resize((round(width * shrink), round(height * shrink))))
    down, across = small.shape[:2]
    found: list[tuple[float, Floats, Flags]] = []
    for scale in (100, 300, 800):
        for patch in regionprops(felzenszwalb(small, scale=scale, sigma=0.8, min_size=80) + 1):
            top, left, bottom, right = patch.bbox
            share = (bottom - top) * (right - left) / (down * across)
            borders = (top == 0) + (left == 0) + (bottom == down) + (right == across)
            if not 0.004 < share < 0.5 or borders > 1 or patch.extent < 0.4:
                continue
            box = np.array([left / across, top / down, right / across, bottom / down], np.float32)
            if len(known) and overlaps(box, known).max() > 0.5:
                continue
            mask = np.asarray(Image.fromarray(patch.image_filled).resize((MASK, MASK)))
            found.append((float(patch.solidity), box, mask))
    found.sort(key=lambda patch: -patch[0])
    boxes: list[Floats] = []
    masks: list[Flags] = []
    for _, box, mask in found:
        if len(boxes) < STRANGE_TRIED and not (boxes and overlaps(box, np.array(boxes)).max() > 0.5):
            boxes.append(box)
            masks.append(mask)
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(masks, bool).reshape(-1, MASK, MASK)
