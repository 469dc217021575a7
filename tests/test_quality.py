"""The benchmark of quality: its figures by themselves, and a run over a few real photos."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from archive import probes, ranking, verdicts
from archive.types import Box, Example, Pack
from benchmarks import calibration, figures, labelled, looks, quality, spaces
from benchmarks.ablations import DEFAULT, variants
from tests.paths import shared

if TYPE_CHECKING:
    from numpy.typing import NDArray

PHOTOS = 2


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first everyday photos as a set of their own."""
    whole, folder = shared("eval", "everyday"), tmp_path_factory.mktemp("few")
    (folder / "images").mkdir()
    for photo in sorted((whole / "images").iterdir())[:PHOTOS]:
        (folder / "images" / photo.name).symlink_to(photo)
    for name in ("annotations.json", "queries.json"):
        (folder / name).symlink_to(whole / name)
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


def run(few: Path, kept: Path, report: Path) -> tuple[str, dict[str, Any]]:
    arguments = [str(few), "--space", "pocket", "--cache", str(kept), "--json", str(report)]
    done = CliRunner().invoke(quality.main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    figures_of_run: dict[str, Any] = json.loads(report.read_text())
    return done.stdout, figures_of_run


@pytest.mark.real_weights
def test_each_variant_has_a_line_and_a_second_run_says_the_same(few: Path, kept: Path, tmp_path: Path) -> None:
    table, first = run(few, kept, tmp_path / "first.json")
    _, second = run(few, kept, tmp_path / "second.json")
    assert second == first
    names = [variant.name for variant in variants(spaces.pocket())]
    assert [row["variant"] for row in first["spaces"][0]["rows"]] == names
    assert all(name in table for name in names)
    recall = first["spaces"][0]["recall"]
    assert recall["tiles, too"]["segments"] > recall[DEFAULT]["segments"]


@pytest.mark.real_weights
def test_the_default_stands_as_the_product_ranks(few: Path, kept: Path) -> None:
    chosen, space = labelled.read(few), spaces.pocket()
    view = variants(space)[0].view
    packs = quality.look(chosen, space, [view], kept)[view].packs
    rows = space.observer.embedder.embed_text([query.text for query in chosen.queries])
    found = figures.standing(packs, rows, ranking.FRAME_SHARE)
    sample = np.concatenate([pack.vectors for pack in packs])
    for column, row in enumerate(rows):
        asked = probes.compose(Example("", row[np.newaxis]), (), (), sample)
        np.testing.assert_allclose(found.fused[:, column], ranking.score(packs, asked).fused, atol=1e-6)
        box = ranking.boxes(packs[:1], asked)[0][0].box
        assert tuple(packs[0].boxes[found.ordinal[0, column]]) == box


@pytest.mark.real_weights
def test_calibration_is_measured_of_present_absent_and_taken_away(few: Path, kept: Path) -> None:
    done = CliRunner().invoke(calibration.main, [str(few), "--cache", str(kept)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for part in ("present against absent", "present against taken away", "expected calibration error"):
        assert part in done.stdout


def test_a_thing_is_called_by_its_name_where_a_segment_on_it_answers_the_query() -> None:
    boxes = np.array([[0, 0, 200, 200], [10, 10, 30, 30], [100, 100, 150, 150]], np.int32)
    rows = unit((0, 0, 1), (1, 0, 0), (0, 1, 0))
    asked = [labelled.Asked(label, label, np.array([True])) for label in ("key", "mug")]
    truth = {"1.jpg": [(label, boxes[place].astype(np.float32)) for label, place in (("key", 1), ("mug", 2))]}
    chosen = labelled.LabelledSet("one", (Path("1.jpg"),), tuple(asked), truth)
    pack = Pack(1, boxes, np.ones(3, np.float32), rows)
    meaning = verdicts.Calibration(offset=-5, of_score=10, of_height=0)
    called = calibration.measure(chosen, [pack], unit((1, 0, 0), (1, 0, 0)), meaning)
    assert called["labelled things that are called by their names"] == {"small": 1.0, "medium": 0.0}


def test_average_precision_is_that_of_the_places_of_what_is_relevant() -> None:
    assert figures.average_precision(np.array([True, False, True])) == pytest.approx((1 + 2 / 3) / 2)


def test_recall_asks_for_no_more_than_there_is_place_for() -> None:
    assert figures.recall_at(np.array([True, True, False, True]), 2) == 1
    assert figures.recall_at(np.array([False, True, False, False, True]), 3) == 0.5


def test_auroc_counts_ties_half_and_needs_two_sides() -> None:
    assert figures.auroc(np.array([2.0, 1.0]), np.array([1.0, 0.0])) == pytest.approx(3.5 / 4)
    assert math.isnan(figures.auroc(np.array([1.0]), np.array([])))


def test_chances_that_come_true_as_often_as_they_say_have_no_error() -> None:
    chances, right = np.array([0.75] * 4), np.array([True, True, True, False])
    assert figures.calibration_error(chances, right) == pytest.approx(0)
    assert figures.calibration_error(chances, ~right) == pytest.approx(0.5)


def test_risk_grows_with_coverage_where_the_surest_are_right() -> None:
    chances, right = np.array([0.2, 0.9, 0.8, 0.1]), np.array([False, True, True, False])
    assert figures.risks(chances, right, (0.5, 1.0)) == [0.0, 0.5]


def unit(*rows: tuple[float, ...]) -> NDArray[np.float32]:
    array = np.array(rows, np.float32)
    scaled: NDArray[np.float32] = array / np.linalg.norm(array, axis=1, keepdims=True)
    return scaled


def test_a_bank_lowers_what_is_near_to_everything() -> None:
    boxes, sure = np.zeros((1, 4), np.int32), np.ones(1, np.float32)
    hub, other = unit((1, 1, 0)), unit((0.6, 0, 0.8))
    packs = [Pack(number, boxes, sure, row) for number, row in enumerate((hub, other), 1)]
    query, bank = unit((1, 0, 0)), unit((0, 1, 0))
    plain = figures.standing(packs, query, 0.5).fused[:, 0]
    normalised = figures.standing(packs, query, 0.5, bank).fused[:, 0]
    assert plain[0] > plain[1]
    assert normalised[0] < normalised[1]


def test_a_query_whose_photos_are_left_out_is_not_counted_as_absent(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / "images" / name).touch()
    (tmp_path / "annotations.json").write_text('{"boxes": []}')
    asked = [{"query": "a", "label": "a", "relevant": [f"{at}.jpg"], "absent": False} for at in (1, 2)]
    never = {"query": "c", "label": "c", "relevant": [], "absent": True}
    (tmp_path / "queries.json").write_text(json.dumps([*asked, never]))
    chosen = labelled.read(tmp_path, every=2)
    assert [len(query.relevant) for query in chosen.queries] == [1, 1]
    assert chosen.present().tolist() == [True, False]


def test_the_stock_crop_keeps_the_middle_of_a_long_thing_only() -> None:
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 25:35] = 255
    crop = looks._centre(pixels, Box(5, 5, 55, 15))
    assert crop.shape == (10, 10, 3)
    assert (crop == 255).all()


def test_a_tile_keeps_what_its_inner_edges_do_not_cut() -> None:
    tile = Box(0, 0, 60, 100)
    assert looks._uncut(Box(0, 0, 50, 100), tile, 100, 100)
    assert not looks._uncut(Box(10, 10, 60, 20), tile, 100, 100)
