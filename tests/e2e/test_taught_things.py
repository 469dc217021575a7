"""Mine ranks first: things of one kind on one real desk, told apart by what was taught, in a real space."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from archive import probes
from archive.embedders.openclip import OpenClipEmbedder
from archive.examples import Looking
from archive.types import Box, Example
from tests.paths import shared
from tests.real_pair import real_embedder_folder

if TYPE_CHECKING:
    from pathlib import Path

    from archive.types import Vectors

pytestmark = [pytest.mark.real_weights, pytest.mark.timeout(900)]

THINGS = ("computer vision book", "thick blue book", "coffee cup", "pen holder")
PAIRS = [
    ("computer vision book", "thick blue book", "my book"),
    ("coffee cup", "pen holder", "my cup"),
]
TAUGHT = 3


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> OpenClipEmbedder:
    return OpenClipEmbedder(real_embedder_folder(), tmp_path_factory.mktemp("towers"))


@pytest.fixture(scope="module")
def vectors(embedder: OpenClipEmbedder) -> dict[str, Vectors]:
    """For each thing seven pictures of it in sharp frames, as the archive would embed them; the first are taught."""
    looking = Looking(embedder, 0.15)
    return {thing: np.concatenate([_vector(looking, path, box) for path, box in pictures(thing)]) for thing in THINGS}


def pictures(thing: str) -> list[tuple[Path, Box]]:
    folder = shared("eval", "desk-sequence")
    notes = json.loads((folder / "annotations.json").read_text())
    sharpness = {image["file"]: image["sharpness"] for image in notes["images"]}
    boxes = [one for one in notes["boxes"] if one["label"] == thing and one["visible_fraction"] > 0.95]
    boxes.sort(key=lambda one: -sharpness[one["file"]])
    edges = [(one["file"], (one["x"], one["y"], one["x"] + one["w"], one["y"] + one["h"])) for one in boxes[:35:5]]
    return [(folder / "images" / name, Box(*(max(0, int(edge)) for edge in box))) for name, box in edges]


def _vector(looking: Looking, path: Path, box: Box) -> Vectors:
    return looking.vector(np.asarray(Image.open(path).convert("RGB")), box)


@pytest.mark.parametrize(("mine", "other", "name"), PAIRS)
def test_mine_ranks_first_among_things_of_its_kind(
    vectors: dict[str, Vectors], embedder: OpenClipEmbedder, mine: str, other: str, name: str
) -> None:
    words = Example(name, embedder.embed_text([name]))
    lessons = [Example(f"{name} #{number}", vectors[mine][number : number + 1]) for number in range(TAUGHT)]
    sample = np.concatenate(list(vectors.values()))
    asked = probes.compose(words, lessons, [], sample)
    here = asked.measure(vectors[mine][TAUGHT:]).cosines
    there = asked.measure(vectors[other]).cosines
    assert here.max() > there.max()
    assert np.median(here) > np.median(there)
