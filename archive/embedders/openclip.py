"""Embeds crops with any open_clip model that is a folder on disk; words go through its exported text tower."""

from __future__ import annotations

from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from archive.embedders.folder import OpenClipFolder
from archive.embedders.image_graph import GraphTower, graphs_of
from archive.embedders.quiet import forbid_connections, quiet
from archive.embedders.rows import unit_rows
from archive.embedders.text_tower import OnnxTextTower, tower_folder
from archive.errors import WeightsMissing, WeightsRejected
from archive.runtimes.fitting import Fitted
from archive.runtimes.kept import INT8
from archive.runtimes.pictures import crops
from archive.runtimes.timing import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import torch

    from archive.runtimes.kept import Precision, Runtime
    from archive.types import Pixels, Vectors

BATCH = 16
"""Crops that go through the image tower together."""


class ImageTower(NamedTuple):
    """What stays in memory: the image half of the network and its own preprocessing."""

    network: torch.nn.Module
    prepare: Callable[[Image.Image], torch.Tensor]
    device: torch.device


class OpenClipEmbedder:
    """An open_clip model in a folder (see `archive.embedders.folder`).

    Its image tower is loaded on first use, by torch; its text tower is exported once into `towers` and runs without.
    With `graphs`, a cache, the image tower is turned into graphs once and whatever is fastest here computes. Where the
    `precision` is open, it is the one that a new archive should have here; int8 is a space of its own.

    Raises:
        WeightsMissing: the folder is not complete.
        WeightsRejected: it holds pickles, or is damaged.
    """

    def __init__(
        self, folder: Path, towers: Path, *, graphs: Path | None = None, precision: Precision | None = None
    ) -> None:
        self._folder = OpenClipFolder(folder)
        self._towers = towers
        self._fitted = Fitted(
            None if graphs is None else lambda: graphs_of(self._folder, graphs), precision, self._clocks
        )
        self._loading = Lock()
        self._loading_torch = Lock()
        self.dim = self._folder.dim
        self.side = self._folder.side

    @property
    def space(self) -> str:
        """Architecture, digest of the weights, digest of the settings and preprocessing, and whether it is int8."""
        return f"{self._folder.space}/{INT8}" if self._fitted.precision == "int8" else self._folder.space

    def embed_images(self, crops: Sequence[Pixels]) -> Vectors:
        """One unit row for each square crop, in order; a crop is resized, never cut."""
        if any(crop.shape[0] != crop.shape[1] for crop in crops):
            raise ValueError("crops are square")
        batches = [self._embed_batch(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)]
        return unit_rows(np.concatenate([np.empty((0, self.dim), np.float32), *batches]), "a crop")

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """One unit row for each text, in order, by the exported text tower."""
        return self._text_tower.embed_text(texts)

    def export_text(self) -> Path:
        """The folder of this space's text tower, written now where it is missing."""
        folder = tower_folder(self._towers, self.space)
        try:
            OnnxTextTower(folder).verify()
        except (WeightsMissing, WeightsRejected):
            from archive.embedders.export import export_text_tower

            export_text_tower(self._folder, load_towers(self._folder), folder, space=self.space)
        return folder

    @cached_property
    def _text_tower(self) -> OnnxTextTower:
        return OnnxTextTower(self.export_text())

    @cached_property
    def _graph_tower(self) -> GraphTower:
        return GraphTower(self._fitted.graph, self._folder, self._fitted.precision)

    def _clocks(self) -> dict[Runtime, Callable[[], float]]:
        """Seconds for a few crops."""
        shown = crops()[:4]
        return {
            "torch": lambda: seconds(lambda: self._by_torch(shown)),
            "exact": lambda: self._seconds("exact", shown),
            "int8": lambda: self._seconds("int8", shown),
        }

    def _seconds(self, precision: Precision, shown: Sequence[Pixels]) -> float:
        tower = GraphTower(self._fitted.graphs.path(precision), self._folder, precision)
        return seconds(lambda: tower.rows(shown))

    @cached_property
    def _image_tower(self) -> ImageTower:
        forbid_connections()
        import torch

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        towers = load_towers(self._folder)
        network = towers.visual.to(device, memory_format=torch.channels_last)  # convolutions take a third less time
        return ImageTower(network, preprocessing(towers), device)

    def _embed_batch(self, pictures: Sequence[Pixels]) -> Vectors:
        with self._loading:
            tower = None if self._fitted.runtime == "torch" else self._graph_tower
        return self._by_torch(pictures) if tower is None else tower.rows(pictures)

    def _by_torch(self, pictures: Sequence[Pixels]) -> Vectors:
        import torch

        with self._loading_torch:
            network, prepare, device = self._image_tower
        with torch.inference_mode():
            inputs = torch.stack([prepare(Image.fromarray(crop)) for crop in pictures])
            rows: Vectors = network(inputs.to(device, memory_format=torch.channels_last)).float().cpu().numpy()
        return rows


def load_towers(folder: OpenClipFolder) -> Any:  # noqa: ANN401  (open_clip's classes share no base)
    """Both towers with their weights, ready for inference, built and loaded without a connection or a pickle."""
    forbid_connections()
    with quiet():
        import open_clip

        try:
            towers = open_clip.create_model(
                f"local-dir:{folder.path}",
                load_weights=False,
                pretrained_text=False,
                vision_cfg=folder.vision,
                text_cfg=folder.text,
            )
            open_clip.load_checkpoint(towers, str(folder.weights))
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise WeightsRejected(f"open_clip cannot load {folder.path}: {reason}; fetch the folder again") from error
    return towers.eval()


def preprocessing(towers: Any) -> Callable[[Image.Image], torch.Tensor]:  # noqa: ANN401
    """open_clip's own preprocessing for these towers."""
    from open_clip.transform import PreprocessCfg, image_transform_v2

    settings = PreprocessCfg(**towers.visual.preprocess_cfg)
    if not isinstance(settings.size, int) and len(set(settings.size)) > 1:
        height, width = settings.size
        raise WeightsRejected(f"an image tower of {width} x {height} pixels would cut a square crop; choose another")
    prepare: Callable[[Image.Image], torch.Tensor] = image_transform_v2(settings, is_train=False)
    return prepare
