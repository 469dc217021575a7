"""What eight bits cost, told of packs and photos that are made up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive.types import Pack
from benchmarks import precision
from benchmarks.labelled import Asked, LabelledSet
from tests import coloured_photos
from tests.fakes import ColourEmbedder, ColourSegmenter, TurnedEmbedder

if TYPE_CHECKING:
    from pathlib import Path

    from archive.types import Vectors

COLOURS = ("red", "green", "blue")


@pytest.fixture
def chosen(tmp_path: Path) -> LabelledSet:
    """A photo of a square in each colour, and a query for each."""
    photos = []
    for number, colour in enumerate(COLOURS):
        path = tmp_path / f"{number}.jpg"
        coloured_photos.write(path, {colour: (20, 20, 120, 120)})
        photos.append(path)
    queries = tuple(Asked(colour, colour, np.arange(len(COLOURS)) == at) for at, colour in enumerate(COLOURS))
    return LabelledSet("coloured", tuple(photos), queries, {})


def test_every_embedder_sees_the_same_boxes(chosen: LabelledSet) -> None:
    one, other = precision.embedded(ColourSegmenter(), [ColourEmbedder(), TurnedEmbedder()], chosen)
    for mine, theirs in zip(one.packs, other.packs, strict=True):
        np.testing.assert_array_equal(mine.boxes, theirs.boxes)
    assert precision.likeness(one, one)["least"] == pytest.approx(1)
    assert precision.likeness(one, other)["mean"] < 1


def test_what_words_find_among_the_first_is_told(chosen: LabelledSet) -> None:
    (seen,) = precision.embedded(ColourSegmenter(), [ColourEmbedder()], chosen)
    told = precision.ranked(seen, ColourEmbedder(), chosen)
    assert (told["recall_at_10"], told["mean_precision"]) == (1, 1)


def test_cosines_are_those_of_the_same_crops() -> None:
    rows = np.eye(2, dtype=np.float32)
    half = precision.likeness(seen(rows), seen(np.stack([rows[0], rows[0]])))
    assert half == {"crops": 2, "mean": 0.5, "least": 0.0}


def seen(vectors: Vectors) -> precision.Seen:
    return precision.Seen([Pack(1, np.zeros((2, 4), np.int32), np.ones(2, np.float32), vectors)])
