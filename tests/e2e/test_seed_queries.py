"""The two questions of the notebook that this project grew out of, where weights that can answer them are on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive import parts, probes, ranking, settings
from archive.embedders.pooling import overlaps
from archive.pairs import shelf
from archive.photos.reading import decode
from archive.settings import PairChoice, Settings
from archive.types import Example
from tests.paths import shared

if TYPE_CHECKING:
    from pathlib import Path

    from archive.observation import Observer
    from archive.types import Pack

pytestmark = [pytest.mark.real_weights, pytest.mark.timeout(900)]

USERS_WEIGHTS = settings.resolve().weights
"""Read before any test has a folder of its own."""

SAME_THING = 0.5
GLASSES = "black glasses frames"
SCREEN = "a black oled screen with a blue boundary around it and a green tag on it"
BOXES = {
    GLASSES: [(615, 125, 865, 402), (285, 125, 865, 620)],  # the black front, or the clear temples with it
    SCREEN: [(937, 395, 1087, 517), (962, 395, 1087, 517)],  # with its own cover's clear corner, or without
}
"""In pixels of the photo, drawn by hand."""


@pytest.fixture(scope="module", params=["standard", "seed"])
def observer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Observer:
    pair = str(request.param)
    state = next(row.state for row in shelf.listing(USERS_WEIGHTS) if row.name == pair)
    if state is not shelf.State.ON_DISK:
        pytest.skip(
            f"needs the pair {pair!r}, which is {state} at {USERS_WEIGHTS}; `archive models pull {pair}` fetches it"
        )
    home: Path = tmp_path_factory.mktemp("seed")
    return parts.observer(Settings(home, USERS_WEIGHTS), PairChoice(name=pair), None)[0]


@pytest.fixture(scope="module")
def desk(observer: Observer) -> Pack:
    return observer.observe(decode(shared("photos", "esp32cam-desk", "7.jpg").read_bytes()).pixels)


@pytest.mark.parametrize("question", [GLASSES, SCREEN])
def test_the_best_box_is_the_thing_that_the_notebook_asked_for(observer: Observer, desk: Pack, question: str) -> None:
    words = Example(question, observer.embedder.embed_text([question]))
    asked = probes.compose(words, (), (), desk.vectors)
    best = np.array(ranking.boxes([desk], asked)[0][0].box, np.float32)
    assert overlaps(best, np.array(BOXES[question], np.float32)).max() >= SAME_THING
