"""Embeds the regions of a photo from one look at the whole of it, without a crop for each.

A region's vector says how much it is each class that the network knows (by every box that it drew around it), which
colours it has, and what its pooled features mean. The frame's meaning comes from the image tower, which also
embeds crops for which there is no photo.
"""

from __future__ import annotations

from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from archive.embedders import joint_space, pooling
from archive.embedders.colours import hue_shares
from archive.embedders.rows import unit_rows
from archive.embedders.text_tower import OnnxTextTower
from archive.errors import WeightsRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from archive.types import Box, Glance, Pixels, Vectors

    Floats = NDArray[np.float32]

IMAGE_GRAPH = "image.onnx"
REGIONS = "regions.safetensors"
BATCH = 16
SIDE = 224
NEUTRAL = (124, 117, 104)
"""The average colour of photographs, as around every crop."""


class Head(NamedTuple):
    """From features float32 (n, 448 + 80) to meanings: `matrix` (528, 163) and `constant` (163,)."""

    matrix: Floats
    constant: Floats


class PooledEmbedder:
    """The embedder of a pair whose network is looked through by `see`; `folder` holds what it needs besides.

    Raises:
        WeightsMissing: the folder is not complete.
    """

    side = None  # the colours of a crop are counted in all of it

    def __init__(self, folder: Path, see: Callable[[Pixels], Glance]) -> None:
        self._folder = folder
        self._see = see
        self._text_tower = OnnxTextTower(folder)
        self._loading = Lock()

    @property
    def space(self) -> str:
        """Named after the digests of everything that the pair is made of."""
        return self._text_tower.space

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._text_tower.dim

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """One unit row for each text, in order."""
        return self._text_tower.embed_text(texts)

    def embed_regions(self, pixels: Pixels, boxes: Sequence[Box]) -> Vectors:
        """One unit row for each box of the photo, in order; the first is the whole frame."""
        glance = self._see(pixels)
        edges = np.array(boxes, np.int32).reshape(-1, 4)
        evidence = pooling.evidence(glance, edges)
        with self._loading:
            head = self._head
        meaning = pooling.features(glance, edges, evidence) @ head.matrix + head.constant
        meaning[:1] = self._tower_rows([_framed(pixels)] * len(edges[:1]))[:, joint_space.MEANING]
        return unit_rows(joint_space.picture_rows(evidence, hue_shares(pixels, edges), meaning), "a region")

    def embed_images(self, crops: Sequence[Pixels]) -> Vectors:
        """One unit row for each square crop, in order; a crop is resized, never cut."""
        if any(crop.shape[0] != crop.shape[1] for crop in crops):
            raise ValueError("crops are square")
        rows = self._tower_rows(crops)
        frames = [np.array([[0, 0, crop.shape[1], crop.shape[0]]], np.int32) for crop in crops]
        hues = [hue_shares(crop, frame) for crop, frame in zip(crops, frames, strict=True)]
        evidence = np.float32(1 / joint_space.CLASS_LENGTH) * rows[:, joint_space.CLASSES].clip(0)
        shares = np.concatenate([np.zeros((0, joint_space.HUES.stop - joint_space.HUES.start), np.float32), *hues])
        return unit_rows(joint_space.picture_rows(evidence, shares, rows[:, joint_space.MEANING]), "a crop")

    def _tower_rows(self, crops: Sequence[Pixels]) -> Floats:
        """The image tower's own rows, float32 (n, 256)."""
        with self._loading:
            session = self._image_tower
        batches = [crops[start : start + BATCH] for start in range(0, len(crops), BATCH)]
        rows = [session.run(None, {"crops": np.stack([tower_input(crop) for crop in batch])})[0] for batch in batches]
        return np.concatenate([np.zeros((0, self.dim), np.float32), *rows])

    @cached_property
    def _head(self) -> Head:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            parts = load_file(self._folder / REGIONS)
            return Head(parts["matrix"].astype(np.float32), parts["constant"].astype(np.float32))
        except (OSError, KeyError, SafetensorError) as error:
            raise WeightsRejected(f"{self._folder / REGIONS} is damaged; install archive again") from error

    @cached_property
    def _image_tower(self) -> Any:  # noqa: ANN401  (onnxruntime has no types worth the name)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # photos are embedded side by side instead
        options.log_severity_level = 3
        graph = str(self._folder / IMAGE_GRAPH)
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _framed(pixels: Pixels) -> Pixels:
    """A whole photo as a small square crop, centred on neutral grey."""
    height, width = pixels.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    frame = np.full((SIDE, SIDE, 3), NEUTRAL, np.uint8)
    left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
    frame[top : top + size[1], left : left + size[0]] = np.asarray(small)
    return frame


def tower_input(crop: Pixels) -> Floats:
    """A square crop as the image tower takes it: float32 (3, 224, 224) from -1 to 1."""
    small = Image.fromarray(crop).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(small, np.float32).transpose(2, 0, 1) / 127.5 - 1)
