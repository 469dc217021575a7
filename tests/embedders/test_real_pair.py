from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from archive.embedders.folder import OpenClipFolder
from archive.embedders.openclip import OpenClipEmbedder, load_towers
from tests.contracts.embedder import EmbedderContract
from tests.embedders.strings import TEXTS
from tests.paths import shared
from tests.real_pair import CLASSIFIER, real_embedder_folder

if TYPE_CHECKING:
    from archive.types import Pixels

pytestmark = pytest.mark.real_weights

THINGS = ("cat", "my laptop", "fire hydrant", "elephant", "computer keyboard", "bus")


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> OpenClipEmbedder:
    return OpenClipEmbedder(real_embedder_folder(), tmp_path_factory.mktemp("towers"))


class TestContract(EmbedderContract):
    @pytest.fixture
    def embedder(self, embedder: OpenClipEmbedder) -> OpenClipEmbedder:
        return embedder


def photo(name: str) -> Pixels:
    with Image.open(shared("eval", "everyday", "images", name)) as opened:
        return np.asarray(opened.convert("RGB").resize((320, 320)))


def photos_of(thing: str, count: int) -> list[str]:
    queries = json.loads(shared("eval", "everyday", "queries.json").read_text())
    relevant: list[str] = next(query["relevant"] for query in queries if query["query"] == thing)
    return relevant[:count]


def test_a_photo_of_the_thing_comes_first(embedder: OpenClipEmbedder) -> None:
    shown = [(thing, name) for thing in THINGS for name in photos_of(thing, 3)]
    scores = embedder.embed_text(THINGS) @ embedder.embed_images([photo(name) for _, name in shown]).T
    first = [shown[best][1] for best in scores.argmax(axis=1)]
    right = [name in photos_of(thing, 999) for thing, name in zip(THINGS, first, strict=True)]
    assert sum(right) >= len(THINGS) - 1, dict(zip(THINGS, first, strict=True))


def test_words_get_the_vectors_that_open_clip_gives_them(embedder: OpenClipEmbedder) -> None:
    import open_clip
    import torch

    folder = real_embedder_folder()
    towers = load_towers(OpenClipFolder(folder))
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(list(TEXTS))
    with torch.inference_mode():
        expected = towers.encode_text(tokens, normalize=True).numpy()
    np.testing.assert_allclose(embedder.embed_text(TEXTS), expected, atol=1e-5)


def test_the_classifier_sees_the_same_in_its_new_place(embedder: OpenClipEmbedder) -> None:
    import timm
    import torch

    plain = timm.create_model(
        "mobilenetv2_100", num_classes=1001, pad_type="same", checkpoint_path=str(shared(*CLASSIFIER))
    ).eval()
    network, prepare, _ = embedder._image_tower
    names = [name for thing in THINGS for name in photos_of(thing, 2)]
    inputs = torch.stack([prepare(Image.fromarray(photo(name))) for name in names])
    with torch.inference_mode():
        expected = plain(inputs)[:, 1:].argmax(1)
        classes = network.get_submodule("head.mlp.fc1")(network.get_submodule("trunk")(inputs))
    assert classes.argmax(1).tolist() == expected.tolist()
