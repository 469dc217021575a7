from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from archive.errors import WeightsMissing, WeightsRejected
from archive.segmenters.taming import ultralytics
from archive.segmenters.yolo import UltralyticsSegmenter
from tests.contracts.segmenter import SegmenterContract, assert_inside, noise, still_life
from tests.paths import shared
from tests.segmenters.checkpoints import harmful, random_yolo

if TYPE_CHECKING:
    from archive.protocols import Segmenter
    from archive.types import Pixels


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> UltralyticsSegmenter:
    """Random weights that are sure of nothing and propose all the same."""
    weights = random_yolo(tmp_path_factory.mktemp("weights") / "random.pt")
    return UltralyticsSegmenter(weights, size=160, confidence=0.0, limit=20)


@pytest.fixture(scope="module")
def trained() -> UltralyticsSegmenter:
    return UltralyticsSegmenter(shared("models", "yolov8n-seg.pt"), size=640, confidence=0.25)


@pytest.fixture(scope="module")
def street() -> Pixels:
    """The photograph of a bus that comes with ultralytics."""
    folder = Path(ultralytics().ASSETS)
    with Image.open(folder / "bus.jpg") as picture:
        return np.asarray(picture.convert("RGB"))


class TestUntrainedYolo(SegmenterContract):
    @pytest.fixture
    def segmenter(self, untrained: UltralyticsSegmenter) -> Segmenter:
        return untrained


@pytest.mark.real_weights
class TestTrainedYolo(SegmenterContract):
    @pytest.fixture
    def segmenter(self, trained: UltralyticsSegmenter) -> Segmenter:
        return trained


def test_at_most_so_many_boxes_are_proposed(untrained: UltralyticsSegmenter) -> None:
    assert 0 < len(untrained.segment(still_life(120, 160))) <= untrained.limit


@pytest.mark.real_weights
def test_a_bus_and_its_people_are_found(trained: UltralyticsSegmenter, street: Pixels) -> None:
    regions = trained.segment(street)
    assert_inside(regions, street)
    widest = max(regions, key=lambda region: region.box.width)
    assert widest.box.width > 0.9 * street.shape[1]
    assert sum(region.box.height > 2 * region.box.width for region in regions) >= 3


@pytest.mark.real_weights
def test_red_and_blue_reach_the_network_as_they_are(trained: UltralyticsSegmenter, street: Pixels) -> None:
    reference = ultralytics().YOLO(str(trained.weights), task="segment")
    (expected,) = reference.predict(
        Image.fromarray(street), imgsz=640, conf=0.25, iou=0.7, agnostic_nms=True, verbose=False
    )
    regions = trained.segment(street)
    assert [region.confidence for region in regions] == pytest.approx(expected.boxes.conf.tolist(), abs=1e-4)
    assert np.abs(np.array([region.box for region in regions]) - expected.boxes.xyxy.numpy()).max() <= 1
    swapped = trained.segment(np.ascontiguousarray(street[..., ::-1]))
    assert [region.confidence for region in swapped] != pytest.approx(expected.boxes.conf.tolist(), abs=1e-4)


def test_threads_stay_as_they_were(untrained: UltralyticsSegmenter) -> None:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        UltralyticsSegmenter(untrained.weights, size=64).segment(still_life(32, 32))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_each_setting_and_the_weights_show_in_the_name(untrained: UltralyticsSegmenter, tmp_path: Path) -> None:
    weights = untrained.weights
    other = tmp_path / "other.pt"
    other.write_bytes(weights.read_bytes() + b"\n")
    names = {
        UltralyticsSegmenter(weights).name,
        UltralyticsSegmenter(weights, size=640).name,
        UltralyticsSegmenter(weights, confidence=0.05).name,
        UltralyticsSegmenter(weights, overlap=0.9).name,
        UltralyticsSegmenter(weights, limit=100).name,
        UltralyticsSegmenter(other).name,
    }
    assert len(names) == 6


def test_a_copy_elsewhere_has_the_same_name(untrained: UltralyticsSegmenter, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pt"
    copy.write_bytes(untrained.weights.read_bytes())
    assert UltralyticsSegmenter(copy).name == UltralyticsSegmenter(untrained.weights).name


@pytest.mark.parametrize("name", ["o'neil.pt", "yolov5n.pt", " spaced .pt", "FastSAM-s.pt", "no suffix"])
def test_weights_are_read_under_any_name(untrained: UltralyticsSegmenter, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.symlink_to(untrained.weights)
    UltralyticsSegmenter(path, size=64).segment(still_life(32, 32))


def test_missing_weights_name_the_command_that_fetches_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="archive models pull"):
        UltralyticsSegmenter(tmp_path / "FastSAM-s.pt")


def test_weights_that_went_away_are_missing_and_not_downloaded(untrained: UltralyticsSegmenter, tmp_path: Path) -> None:
    path = tmp_path / "FastSAM-s.pt"
    path.symlink_to(untrained.weights)
    segmenter = UltralyticsSegmenter(path)
    path.unlink()
    with pytest.raises(WeightsMissing):
        segmenter.segment(still_life(32, 32))


def test_a_file_that_is_no_checkpoint_is_rejected_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "photo.pt"
    path.write_bytes(b"\xff\xd8 not weights")
    with pytest.raises(WeightsRejected, match="archive models pull") as caught:
        UltralyticsSegmenter(path).segment(still_life(32, 32))
    assert "\n" not in str(caught.value)


def test_a_checkpoint_that_would_run_code_is_rejected(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    with pytest.raises(WeightsRejected):
        UltralyticsSegmenter(harmful(tmp_path / "harm.pt", touched)).segment(still_life(32, 32))
    assert not touched.exists()


def test_a_classifier_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(WeightsRejected, match="classify"):
        UltralyticsSegmenter(random_yolo(tmp_path / "classifier.pt", "classify")).segment(still_life(32, 32))


def test_a_plain_detector_segments_too(tmp_path: Path) -> None:
    weights = random_yolo(tmp_path / "detector.pt", "detect")
    regions = UltralyticsSegmenter(weights, size=160, confidence=0.0, limit=20).segment(still_life(120, 160))
    assert 0 < len(regions) <= 20


def test_two_threads_segment_at_once_as_one_does_alone(untrained: UltralyticsSegmenter) -> None:
    photos = [still_life(120, 160), still_life(160, 120), noise(96, 96), noise(64, 128)]
    alone = [untrained.segment(photo) for photo in photos]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(untrained.segment, photos * 3)) == alone * 3
