"""The ingest benchmark says what its runs say, and its photos are what they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from archive.reuse import Gate
from benchmarks import days
from benchmarks.ingest import _ratios, table

if TYPE_CHECKING:
    from pathlib import Path


def run(photos: int, seconds: float, megabytes: float) -> dict[str, Any]:
    return {"photos": photos, "seconds": seconds, "cpu_seconds": 2 * seconds, "peak_megabytes": megabytes}


RUNS = {
    "seed at 1024 px, masked": run(2, 20.0, 2000),
    "seed as published (384 px)": run(2, 8.0, 2000),
    "standard, distinct photos": run(10, 10.0, 900),
    "standard, wearable-like day": run(10, 5.0, 900) | {"vectors_reused": 0.5},
    "pocket, distinct photos": run(30, 10.0, 330),
    "pocket, a third of them": run(10, 4.0, 300),
}


def test_ratios_are_those_of_each_photo() -> None:
    ratios = _ratios(RUNS)
    assert ratios["standard, distinct photos, against the seed at 1024 px, masked, by wall"] == pytest.approx(10)
    assert ratios["standard, wearable-like day, against the seed as published (384 px), by CPU"] == pytest.approx(8)
    assert ratios["peak memory of three times as many photos"] == pytest.approx(1.1)
    lines = table({"runs": RUNS, "ratios": ratios})
    assert any("standard, wearable-like day" in line and "120.0" in line and "50%" in line for line in lines)


def test_distinct_photos_are_distinct_and_a_day_repeats_itself(tmp_path: Path) -> None:
    gate = Gate()
    for path in days.distinct(tmp_path / "distinct", 3):
        pixels = np.asarray(Image.open(path))
        assert pixels.shape == (1200, 1600, 3)
        assert not gate.repeats(pixels)
    day = days.day(tmp_path / "day", 3)
    assert len({path.read_bytes() for path in day}) == 3
    gate = Gate()
    assert [gate.repeats(np.asarray(Image.open(path))) for path in day[::2]] == [False, True]
    assert not gate.repeats(np.asarray(Image.open(day[1])))
