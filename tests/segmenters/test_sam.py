from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archive.errors import WeightsMissing, WeightsRejected
from archive.segmenters.sam import SamSegmenter, is_sam
from tests.contracts.segmenter import SegmenterContract, still_life
from tests.segmenters.checkpoints import harmful, random_sam

if TYPE_CHECKING:
    from pathlib import Path

    from archive.protocols import Segmenter


def hurried(weights: Path) -> SamSegmenter:
    """SAM at a sixteenth of its picture and a hundredth of its points: seconds rather than minutes."""
    return SamSegmenter(weights, points=3, quality=0.1, stability=0.0, size=256)


@pytest.fixture(scope="module")
def mobile_sam(tmp_path_factory: pytest.TempPathFactory) -> SamSegmenter:
    return hurried(random_sam(tmp_path_factory.mktemp("weights"), "mobile_sam.pt"))


@pytest.fixture(scope="module")
def sam2(tmp_path_factory: pytest.TempPathFactory) -> SamSegmenter:
    return hurried(random_sam(tmp_path_factory.mktemp("weights"), "sam2.1_t.pt"))


@pytest.mark.slow
class TestMobileSam(SegmenterContract):
    @pytest.fixture
    def segmenter(self, mobile_sam: SamSegmenter) -> Segmenter:
        return mobile_sam


@pytest.mark.slow
class TestSam2(SegmenterContract):
    @pytest.fixture
    def segmenter(self, sam2: SamSegmenter) -> Segmenter:
        return sam2


@pytest.mark.slow
def test_masks_become_boxes(mobile_sam: SamSegmenter, sam2: SamSegmenter) -> None:
    assert mobile_sam.segment(still_life(120, 160))
    assert sam2.segment(still_life(120, 160))


@pytest.mark.slow
def test_weights_under_another_networks_name_are_rejected(mobile_sam: SamSegmenter, tmp_path: Path) -> None:
    path = tmp_path / "sam2_t.pt"
    path.symlink_to(mobile_sam.weights)
    with pytest.raises(WeightsRejected, match="missing"):
        SamSegmenter(path).segment(still_life(32, 32))


@pytest.mark.parametrize("kind", ["mobile_sam.pt", "sam2_t.pt"])
def test_a_checkpoint_that_would_run_code_is_rejected(tmp_path: Path, kind: str) -> None:
    touched = tmp_path / "touched"
    with pytest.raises(WeightsRejected):
        SamSegmenter(harmful(tmp_path / kind, touched)).segment(still_life(32, 32))
    assert not touched.exists()


def test_weights_that_do_not_say_which_sam_they_are_for_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    path.write_bytes(b"weights")
    with pytest.raises(WeightsRejected, match=r"sam2\.1_t\.pt"):
        SamSegmenter(path).segment(still_life(32, 32))


def test_missing_weights_name_the_command_that_fetches_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="archive models pull"):
        SamSegmenter(tmp_path / "sam_b.pt")


def test_each_setting_shows_in_the_name(tmp_path: Path) -> None:
    path = tmp_path / "sam_b.pt"
    path.write_bytes(b"weights")
    names = {
        SamSegmenter(path).name,
        SamSegmenter(path, points=16).name,
        SamSegmenter(path, quality=0.5).name,
        SamSegmenter(path, stability=0.5).name,
        SamSegmenter(path, overlap=0.5).name,
        SamSegmenter(path, size=512).name,
    }
    assert len(names) == 6


def test_fastsam_is_not_taken_for_sam(tmp_path: Path) -> None:
    assert is_sam(tmp_path / "sam2.1_b.pt")
    assert is_sam(tmp_path / "mobile_sam.pt")
    assert not is_sam(tmp_path / "FastSAM-s.pt")
    assert not is_sam(tmp_path / "yolov8n-seg.pt")
