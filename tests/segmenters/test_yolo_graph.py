from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive.errors import WeightsRejected
from archive.runtimes.kept import INT8
from archive.runtimes.pictures import pictures
from archive.segmenters.yolo import UltralyticsSegmenter
from archive.segmenters.yolo_graph import Boxes, GraphDetector, letterboxed, likeness, rows_of
from tests.contracts.segmenter import SegmenterContract
from tests.paths import shared

if TYPE_CHECKING:
    from pathlib import Path

    from archive.protocols import Segmenter

SETTINGS = {"size": 320, "confidence": 0.05}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(scope="module")
def int8(cache: Path) -> UltralyticsSegmenter:
    weights = shared("models", "yolov8n-seg.pt")
    return UltralyticsSegmenter(weights, size=320, confidence=0.05, graphs=cache, precision="int8")


@pytest.mark.real_weights
class TestInt8(SegmenterContract):
    @pytest.fixture
    def segmenter(self, int8: UltralyticsSegmenter) -> Segmenter:
        return int8


@pytest.mark.real_weights
def test_the_exact_graph_finds_what_ultralytics_finds(int8: UltralyticsSegmenter) -> None:
    graph = GraphDetector(int8._fitted.graphs.path("exact"), size=320, confidence=0.05, overlap=0.7, limit=300)
    plain = UltralyticsSegmenter(int8.weights, size=320, confidence=0.05)
    for picture in pictures():
        found, expected = graph.boxes(picture), plain.segment(picture)
        assert found.confidences.tolist() == pytest.approx([region.confidence for region in expected], abs=1e-4)
        assert np.abs(found.edges - np.array([region.box for region in expected])).max() <= 1


@pytest.mark.real_weights
def test_eight_bits_find_the_same_things_under_another_name(int8: UltralyticsSegmenter) -> None:
    plain = UltralyticsSegmenter(int8.weights, size=320, confidence=0.05)
    assert INT8 in int8.name
    assert int8.name.replace(f"-{INT8}", "") == plain.name
    street = pictures()[0]
    sure = [region for region in plain.segment(street) if region.confidence > 0.5]
    there = Boxes(np.array([region.box for region in int8.segment(street)], np.float32), np.ones(0, np.float32))
    wanted = Boxes(np.array([region.box for region in sure], np.float32), np.ones(0, np.float32))
    assert likeness(wanted, there) > 0.9


def test_a_view_keeps_the_photo_s_shape_and_centres_it() -> None:
    view = letterboxed(np.zeros((750, 1000, 3), np.uint8), 640)
    assert view.values.shape == (1, 3, 480, 640)
    odd = letterboxed(np.zeros((110, 333, 3), np.uint8), 640)
    assert odd.values.shape[2:] == (224, 640)
    assert odd.values[0, 0, 0, 0] == pytest.approx(114 / 255)
    assert (odd.top, odd.values[0, 0, odd.top, 0]) == (6, 0)


def test_likeness_is_how_well_the_surest_are_covered() -> None:
    one = Boxes(np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32), np.array([0.9, 0.8], np.float32))
    half = Boxes(np.array([[0, 0, 10, 10], [20, 20, 30, 25]], np.float32), np.array([0.9, 0.8], np.float32))
    none = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    assert (likeness(one, one), likeness(one, half)) == (1.0, 0.75)
    assert (likeness(one, none), likeness(none, one)) == (0.0, 1.0)


def test_a_network_with_another_head_is_refused() -> None:
    import torch

    class Other(torch.nn.Module):
        model = torch.nn.ModuleList([torch.nn.Identity()])

    with pytest.raises(WeightsRejected, match="boxes and classes"):
        rows_of(Other())
