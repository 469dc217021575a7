from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive.embedders import joint_space, pooling
from archive.embedders.colours import COLOURS, hue_shares
from archive.embedders.folder import OpenClipFolder
from archive.embedders.openclip import load_towers, preprocessing
from archive.embedders.pooled import PooledEmbedder
from archive.errors import WeightsRejected
from archive.pairs.shipped import shipped_folder
from archive.protocols import RegionEmbedder
from archive.segmenters.one_look import OneLookNetwork
from archive.types import Box, Glance
from tests.contracts.embedder import EmbedderContract, assert_vectors, coloured_crops
from tests.contracts.segmenter import still_life

if TYPE_CHECKING:
    from pathlib import Path

    from archive.protocols import Embedder

POCKET = shipped_folder("pocket")
TEXTS = (
    "my keys",
    "a photo of a red cup",
    "where did I leave the blue umbrella that I bought yesterday in the big shop near the station and never used since",
    "Schlüssel",
    "🍌",
)


def pooled() -> PooledEmbedder:
    return PooledEmbedder(POCKET, OneLookNetwork(POCKET / "segmenter.onnx", size=320).see)


class TestPooledEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return pooled()


def test_regions_become_unit_rows_in_their_order() -> None:
    photo, boxes = still_life(120, 160), [Box(0, 0, 160, 120), Box(20, 20, 80, 80), Box(0, 0, 1, 1)]
    rows = pooled().embed_regions(photo, boxes)
    assert_vectors(rows, 3, joint_space.DIM)
    alone = pooled().embed_regions(photo, [boxes[0], boxes[2]])
    np.testing.assert_allclose(rows[[0, 2]], alone, atol=1e-5)


def test_it_pools_and_other_embedders_do_not() -> None:
    from tests.fakes import ColourEmbedder

    assert isinstance(pooled(), RegionEmbedder)
    assert not isinstance(ColourEmbedder(), RegionEmbedder)


def test_words_and_pictures_are_those_of_the_open_clip_model_in_its_folder() -> None:
    import open_clip
    import torch
    from PIL import Image

    towers = load_towers(OpenClipFolder(POCKET))
    words = open_clip.get_tokenizer(f"local-dir:{POCKET}")(list(TEXTS))
    crop = coloured_crops(90)[0]
    with torch.inference_mode():
        said = towers.encode_text(words, normalize=True).numpy()
        seen = towers.encode_image(preprocessing(towers)(Image.fromarray(crop))[None], normalize=True).numpy()
    embedder = pooled()
    np.testing.assert_allclose(embedder.embed_text(TEXTS), said, atol=1e-4)
    meaning = embedder.embed_images([crop])[:, joint_space.MEANING]
    np.testing.assert_allclose(joint_space.unit(meaning), joint_space.unit(seen[:, joint_space.MEANING]), atol=1e-4)


def test_a_text_and_a_picture_never_share_what_they_lack() -> None:
    texts = pooled().embed_text(["mug", "zxqv"])
    pictures = pooled().embed_images(coloured_crops(50))
    assert abs(texts[:, joint_space.PICTURE_SLACK]).max() < 0.05
    assert abs(pictures[:, joint_space.TEXT_SLACK]).max() == 0


def test_a_head_that_is_damaged_is_rejected(tmp_path: Path) -> None:
    for path in POCKET.iterdir():
        if path.is_file() and path.name != "regions.safetensors":
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "regions.safetensors").write_bytes(b"nothing")
    network = OneLookNetwork(POCKET / "segmenter.onnx", size=320)
    with pytest.raises(WeightsRejected, match="install archive again"):
        PooledEmbedder(tmp_path, network.see).embed_regions(still_life(40, 40), [Box(0, 0, 40, 40)])


def glance(boxes: list[tuple[int, int, int, int]], scores: list[list[float]]) -> Glance:
    levels = tuple(np.full((1, 40 // stride, 40 // stride), stride, np.float32) for stride in (8, 16, 32))
    return Glance(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32).reshape(-1, 3), levels, 1.0)


def test_every_box_around_a_region_speaks_for_it_and_no_other() -> None:
    seen = glance([(0, 0, 10, 10), (0, 0, 10, 9), (20, 20, 30, 30)], [[0.2, 0.1, 0.9], [0.1, 0.4, 0.9], [0.9, 0, 0.9]])
    edges = np.array([[0, 0, 40, 40], [0, 0, 10, 10], [30, 0, 40, 10]], np.int32)
    np.testing.assert_allclose(pooling.evidence(seen, edges), np.array([[0.9, 0.4], [0.2, 0.4], [0.0, 0.0]]))


def test_what_was_not_seen_at_all_has_no_evidence() -> None:
    assert not pooling.evidence(glance([], []), np.array([[0, 0, 40, 40]], np.int32)).any()


def test_features_of_an_even_level_are_its_value_wherever_the_box_is() -> None:
    edges = np.array([[0, 0, 40, 40], [39, 39, 40, 40]], np.int32)
    seen = glance([], [])
    features = pooling.features(seen, edges, pooling.evidence(seen, edges))
    np.testing.assert_allclose(features, np.array([[8, 16, 32, 0, 0]] * 2))


@pytest.mark.parametrize(
    ("colour", "pixel"),
    [
        ("black", (10, 10, 12)),
        ("white", (250, 250, 245)),
        ("grey", (128, 128, 128)),
        ("red", (200, 20, 20)),
        ("orange", (250, 140, 10)),
        ("yellow", (245, 225, 30)),
        ("green", (30, 150, 40)),
        ("blue", (20, 60, 200)),
        ("purple", (120, 30, 170)),
        ("pink", (250, 150, 190)),
        ("brown", (110, 65, 25)),
    ],
)
def test_a_colour_has_its_everyday_name(colour: str, pixel: tuple[int, int, int]) -> None:
    photo = np.full((60, 80, 3), pixel, np.uint8)
    shares = hue_shares(photo, np.array([[10, 10, 50, 50]], np.int32))
    assert COLOURS[int(shares[0].argmax())] == colour
    assert shares[0].sum() == pytest.approx(1)


def test_a_box_has_the_colours_inside_it_not_those_behind_its_rim() -> None:
    photo = np.full((200, 200, 3), (20, 60, 200), np.uint8)
    photo[60:140, 60:140] = (200, 20, 20)
    shares = hue_shares(photo, np.array([[50, 50, 150, 150], [0, 0, 40, 40]], np.int32))
    assert shares[0, COLOURS.index("red")] > 0.95
    assert shares[1, COLOURS.index("blue")] == 1
