"""The image tower of an open_clip model as graphs: crops are embedded without torch, and several times faster."""

from __future__ import annotations

from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from archive.embedders.quiet import quiet
from archive.embedders.slim import slimmed
from archive.errors import WeightsRejected
from archive.runtimes import sessions
from archive.runtimes.kept import PRECISIONS, Graphs, Likeness
from archive.runtimes.pictures import crops
from archive.runtimes.quantising import quantise_products

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from archive.embedders.folder import OpenClipFolder
    from archive.runtimes.kept import Precision
    from archive.types import Pixels, Vectors

EXACT_FROM = 0.99999
"""The least mean cosine with torch's rows of a graph that is the network itself. Rounding alone leaves 1 - 1e-7."""

INT8_FROM = 0.995
"""The least mean cosine with the exact rows of a graph that may stand for it, under a name of its own."""

BATCH = 8
"""Crops that go through an exact graph together: larger batches are no faster, and need more memory."""

ALONE = 1
"""An int8 graph measures what is multiplied anew at each run, over all of it: together with others, a crop would get
a vector that depends on them. Alone it costs a tenth more."""

RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


class GraphTower:
    """One graph of an image tower at work; `folder` says how pixels become its input."""

    def __init__(self, graph: Path, folder: OpenClipFolder, precision: Precision) -> None:
        self._graph = graph
        self._together = ALONE if precision == "int8" else BATCH
        self._prepare = Preparation(folder)
        self._loading = Lock()

    def rows(self, pictures: Sequence[Pixels]) -> Vectors:
        """The tower's own rows, float32 (n, dim), of square crops."""
        starts = range(0, len(pictures), self._together)
        batches = [np.stack(list(map(self._prepare, pictures[at : at + self._together]))) for at in starts]
        with self._loading:
            session = self._session
        rows: Vectors = np.concatenate([session.run(None, {"images": batch})[0] for batch in batches])
        return rows

    @cached_property
    def _session(self) -> Any:  # noqa: ANN401
        return sessions.session(self._graph)


class Preparation:
    """open_clip's own preprocessing of a square picture: to the byte what torchvision does with a PIL image.

    The graph itself centres colours at `mean` and divides them by `deviation`, each float64 (3,).

    Raises:
        WeightsRejected: the settings ask for something else.
    """

    def __init__(self, folder: OpenClipFolder) -> None:
        settings = folder.config["preprocess_cfg"]
        if len({*map(int, np.atleast_1d(settings.get("size") or 0))}) > 1:
            raise WeightsRejected("an image tower that is not square would cut a square crop; choose another")
        self.side = folder.side
        self._resampling = RESAMPLING[settings.get("interpolation", "bicubic")]
        self.mean = np.array(settings.get("mean", CLIP_MEAN))
        self.deviation = np.array(settings.get("std", CLIP_STD))

    def __call__(self, crop: Pixels) -> Pixels:
        """A square crop as uint8 (side, side, 3)."""
        if len(crop) == self.side:
            return crop
        return np.asarray(Image.fromarray(crop).resize((self.side, self.side), self._resampling))


CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""What open_clip takes where a config says nothing; https://github.com/openai/CLIP, clip.py."""


def graphs_of(folder: OpenClipFolder, cache: Path) -> Graphs:
    """The graphs of a folder's image tower, below `cache`."""
    return Graphs(cache / folder.space.replace("/", "-"), lambda target: _convert(folder, target))


def _convert(folder: OpenClipFolder, target: Path) -> Likeness:
    from archive.embedders.openclip import load_towers

    towers, shown = load_towers(folder), crops()
    original = _unit(_torch_rows(towers, shown))
    _export(towers.visual, Preparation(folder), target / "exact.onnx")
    with quiet():
        quantise_products(target / "exact.onnx", target / "int8.onnx")
    exact, int8 = (
        float((_unit(GraphTower(target / f"{precision}.onnx", folder, precision).rows(shown)) * original).sum(1).mean())
        for precision in PRECISIONS
    )
    usable: list[Precision] = ["exact"] if exact >= EXACT_FROM else []
    return Likeness(exact, int8, (*usable, *(("int8",) if int8 >= INT8_FROM else ())))


def _export(tower: Any, prepare: Preparation, path: Path) -> None:  # noqa: ANN401
    """One graph from prepared pictures, any number of them, to rows."""
    import torch

    graph = slimmed(tower, prepare.mean, prepare.deviation)
    try:
        with quiet(), torch.inference_mode():
            torch.onnx.export(
                graph,
                (torch.zeros(2, prepare.side, prepare.side, 3, dtype=torch.uint8),),
                str(path),
                input_names=["images"],
                output_names=["rows"],
                dynamic_shapes=({0: torch.export.Dim("images")},),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except RuntimeError as error:  # every error of the exporter is one
        raise WeightsRejected("torch cannot export this image tower; choose another embedder") from error


def _torch_rows(towers: Any, shown: Sequence[Pixels]) -> Vectors:  # noqa: ANN401
    """The network's own rows, by open_clip's own preprocessing."""
    import torch

    from archive.embedders.openclip import preprocessing

    prepare = preprocessing(towers)
    with torch.inference_mode():
        inputs = [prepare(Image.fromarray(crop)) for crop in shown]
        batches = [torch.stack(inputs[at : at + BATCH]) for at in range(0, len(inputs), BATCH)]
        rows: Vectors = np.concatenate([towers.visual(batch).numpy() for batch in batches])
    return rows


def _unit(rows: Vectors) -> Vectors:
    unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
