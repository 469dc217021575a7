from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive.embedders.folder import OpenClipFolder
from archive.embedders.image_graph import INT8_FROM, GraphTower, Preparation
from archive.embedders.openclip import OpenClipEmbedder, load_towers, preprocessing
from archive.errors import WeightsRejected
from archive.runtimes.kept import INT8
from tests.contracts.embedder import EmbedderContract, coloured_crops

if TYPE_CHECKING:
    from pathlib import Path

    from archive.protocols import Embedder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(scope="module")
def int8(folder: Path, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> OpenClipEmbedder:
    return OpenClipEmbedder(folder, tmp_path_factory.mktemp("towers"), graphs=cache, precision="int8")


class TestInt8(EmbedderContract):
    @pytest.fixture
    def embedder(self, int8: OpenClipEmbedder) -> Embedder:
        return int8


def test_the_exact_graph_gives_torch_s_own_vectors(folder: Path, towers: Path, int8: OpenClipEmbedder) -> None:
    shown = coloured_crops(20, 32, 100)
    rows = GraphTower(int8._fitted.graphs.path("exact"), OpenClipFolder(folder), "exact").rows(shown)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(rows, OpenClipEmbedder(folder, towers).embed_images(shown), atol=1e-5)


def test_eight_bits_are_like_enough_and_a_space_of_their_own(
    folder: Path, towers: Path, int8: OpenClipEmbedder
) -> None:
    shown = coloured_crops(8, 40)
    exact = OpenClipEmbedder(folder, towers)
    assert int8.space == f"{exact.space}/{INT8}"
    assert (int8.embed_images(shown) * exact.embed_images(shown)).sum(axis=1).mean() > INT8_FROM
    assert int8._text_tower.space == int8.space
    np.testing.assert_allclose(int8.embed_text(["my keys"]), exact.embed_text(["my keys"]), atol=1e-6)


def test_an_archive_of_exact_vectors_stays_one_beside_the_graphs(
    folder: Path, towers: Path, cache: Path, int8: OpenClipEmbedder
) -> None:
    int8.embed_images(coloured_crops(1, 32))  # the graphs are there
    kept = OpenClipEmbedder(folder, towers, graphs=cache, precision="exact")
    plain = OpenClipEmbedder(folder, towers)
    assert kept.space == plain.space
    shown = coloured_crops(4, 50)
    np.testing.assert_allclose(kept.embed_images(shown), plain.embed_images(shown), atol=1e-5)


def test_pixels_are_prepared_as_open_clip_prepares_them(folder: Path) -> None:
    from PIL import Image

    opened = OpenClipFolder(folder)
    theirs = preprocessing(load_towers(opened))
    ours = Preparation(opened)
    for crop in coloured_crops(4, 31, 32, 200):
        prepared = ((ours(crop) / 255 - ours.mean) / ours.deviation).transpose(2, 0, 1)
        np.testing.assert_allclose(prepared, theirs(Image.fromarray(crop)).numpy(), atol=1e-6)


def test_a_tower_that_is_not_square_is_refused(folder: Path) -> None:
    opened = OpenClipFolder(folder)
    opened.config["preprocess_cfg"]["size"] = [32, 64]
    with pytest.raises(WeightsRejected, match="not square"):
        Preparation(opened)
