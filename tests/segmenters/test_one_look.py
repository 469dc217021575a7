from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from archive.embedders.pooling import overlaps
from archive.errors import WeightsMissing, WeightsRejected
from archive.pairs.shipped import shipped_folder
from archive.segmenters.maskless import without_masks
from archive.segmenters.one_look import SMALL, OneLookNetwork, OneLookSegmenter, sureness
from archive.segmenters.regions import AT_ONCE, distinct
from tests.contracts.segmenter import SegmenterContract, still_life

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.protocols import Segmenter
    from archive.types import Glance, Pixels

COCO_CAT = 15
WEIGHTS = shipped_folder("pocket") / "segmenter.onnx"


class TestOneLookSegmenter(SegmenterContract):
    @pytest.fixture
    def segmenter(self) -> Segmenter:
        return OneLookSegmenter(OneLookNetwork(WEIGHTS, size=320))


def test_a_look_is_taken_once_for_a_photo_and_anew_for_another() -> None:
    network = OneLookNetwork(WEIGHTS, size=320)
    photo = still_life(120, 160)
    assert network.see(photo) is network.see(photo)
    assert network.see(photo.copy()) is not network.see(photo)


def test_without_masks_a_second_photo_is_seen_to_the_bit_as_it_would_be_as_the_first() -> None:
    photo, other = still_life(120, 160), still_life(160, 120)
    as_first = OneLookNetwork(WEIGHTS, size=320).see(other)
    network = OneLookNetwork(WEIGHTS, size=320)
    network.see(photo)
    as_second = network.see(other)
    assert as_second.scores.shape == as_first.scores.shape
    for seen, expected in zip((as_second.boxes, *as_second.levels), (as_first.boxes, *as_first.levels), strict=True):
        np.testing.assert_array_equal(seen, expected)
    np.testing.assert_array_equal(as_second.scores, as_first.scores)


def test_what_only_masks_need_is_cut_off_and_all_else_stays() -> None:
    whole, slim = onnx.load(WEIGHTS), onnx.load_from_string(without_masks(WEIGHTS))
    onnx.checker.check_model(slim)
    assert [one.name for one in slim.graph.output] == [one.name for one in whole.graph.output if one.name != "output1"]
    gone = {one.name for one in whole.graph.initializer} - {one.name for one in slim.graph.initializer}
    assert gone
    assert all("proto" in name or "cv4" in name for name in gone)


def test_a_graph_whose_rows_hold_no_masks_has_none_to_cut_off(tmp_path: Path) -> None:
    (tmp_path / "slim.onnx").write_bytes(without_masks(WEIGHTS))
    with pytest.raises(ValueError, match="are not boxes, scores and coefficients"):
        without_masks(tmp_path / "slim.onnx")


def test_each_thread_looks_at_its_own_photo() -> None:
    network = OneLookNetwork(WEIGHTS, size=320)
    photo, other = still_life(120, 160), still_life(160, 120)
    seen = network.see(photo)
    thread = threading.Thread(target=network.see, args=(other,))
    thread.start()
    thread.join()
    assert network.see(photo) is seen


def test_boxes_stand_in_pixels_of_the_photo_the_surest_first() -> None:
    photo = still_life(300, 400)
    glance = OneLookNetwork(WEIGHTS).see(photo)
    assert len(glance.boxes) > 0
    assert (np.diff(sureness(glance.scores)) <= 0).all()
    assert (glance.boxes >= 0).all()
    assert (glance.boxes <= [400, 300, 400, 300]).all()
    assert [level.shape[0] for level in glance.levels] == [64, 128, 256]


def test_what_fills_the_photo_is_recognised_too() -> None:
    from PIL import Image

    photographs = Path(pytest.importorskip("skimage").__file__).parent / "data"
    with Image.open(photographs / "chelsea.png") as portrait:
        cat = np.ascontiguousarray(portrait.convert("RGB"))
    assert OneLookNetwork(WEIGHTS).see(cat).scores[:, COCO_CAT].max() > 0.6


def test_the_name_tells_settings_apart() -> None:
    names = {
        OneLookNetwork(WEIGHTS, size=size, floor=floor, closer=closer).name
        for size in (320, 640)
        for floor in (0.01, 0.1)
        for closer in (None, 800, 960)
    }
    assert len(names) == 12


def test_a_closer_look_finds_small_things_besides_and_nothing_else() -> None:
    photo = small_cats()
    once, closer = OneLookNetwork(WEIGHTS).see(photo), OneLookNetwork(WEIGHTS, closer=1600).see(photo)
    small, small_before = is_small(closer, 640), is_small(once, 640)
    assert sureness(closer.scores[small]).max() > 2 * sureness(once.scores[small_before]).max()
    np.testing.assert_array_equal(closer.boxes[~small], once.boxes[~small_before])
    assert all(map(np.array_equal, once.levels, closer.levels)), "regions are pooled where they were"


def is_small(glance: Glance, longest: int) -> NDArray[np.bool_]:
    small: NDArray[np.bool_] = (glance.boxes[:, 2:] - glance.boxes[:, :2]).prod(axis=1) < (SMALL * longest) ** 2
    return small


def small_cats() -> Pixels:
    """A grey table with the portraits of cats on it, each as small as a stamp."""
    from PIL import Image

    photographs = Path(pytest.importorskip("skimage").__file__).parent / "data"
    table = Image.new("RGB", (640, 480), (150, 150, 150))
    with Image.open(photographs / "chelsea.png") as portrait:
        cat = portrait.convert("RGB").resize((34, 23))
    for left in range(40, 600, 120):
        table.paste(cat, (left, 200))
    return np.ascontiguousarray(table)


def test_weights_that_are_not_there_are_missing(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        OneLookNetwork(tmp_path / "none.onnx")


def test_a_damaged_graph_is_rejected_with_what_to_do(tmp_path: Path) -> None:
    broken = shutil.copyfile(WEIGHTS, tmp_path / "broken.onnx")
    broken.write_bytes(broken.read_bytes()[:1000])
    with pytest.raises(WeightsRejected, match="install archive again"):
        OneLookNetwork(broken).see(still_life(40, 40))


def test_ultralytics_runs_it_as_the_yolo_network_that_it_is() -> None:
    from archive.segmenters.taming import sealed, threads_kept, ultralytics

    with sealed("the shipped network"), threads_kept():
        found = ultralytics().YOLO(str(WEIGHTS), task="segment").predict(still_life(300, 400), verbose=False, conf=0.01)
    assert len(found[0].boxes) > 0
    assert found[0].masks is not None
    assert found[0].names[80] == "thing"


def test_a_box_that_repeats_a_surer_one_is_left_out() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [0, 0, 10, 10]], np.float32)
    assert distinct(boxes, 0.7, 10).tolist() == [0, 2]
    assert distinct(boxes, 0.7, 1).tolist() == [0]
    assert distinct(np.zeros((0, 4), np.float32), 0.7, 10).tolist() == []


@pytest.mark.parametrize(("overlap", "limit"), [(0.3, 10_000), (0.7, 30), (0.9, 300)])
def test_many_boxes_are_chosen_as_one_by_one(overlap: float, limit: int) -> None:
    random = np.random.default_rng(7)
    centre, half = random.uniform(0, 300, (3 * AT_ONCE + 5, 2)), random.uniform(5, 120, (3 * AT_ONCE + 5, 2))
    boxes = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
    chosen: list[int] = []
    for at, box in enumerate(boxes):
        if len(chosen) < limit and not (overlaps(box, boxes[chosen]) > overlap).any():
            chosen.append(at)
    assert distinct(boxes, overlap, limit).tolist() == chosen
