"""The tables of the benchmarks say what was measured, and plainly what was not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks import bench, costs

if TYPE_CHECKING:
    from pathlib import Path

SIZED = {"catalog_bytes_per_segment": 800.0, "index_bytes_per_segment": 200.0, "server_mb": 300}
FOUND: dict[str, Any] = {
    "benchmarks.ingest": {"missing": "there is no model"},
    "benchmarks.answers": {
        "seed_over_fresh": 25.0,
        "rclip_over_fresh": 3.5,
        "warm_p50_ms": 15,
        "by_segments": {"100000": SIZED | {"warm_cpu_ms": 10.0}, "1000000": SIZED | {"warm_cpu_ms": 20.0}},
    },
}


def test_each_figure_is_held_against_its_goal_and_what_is_missing_is_named() -> None:
    told = {says: verdict for says, _, _, verdict in bench.rows(FOUND)}
    assert told["benchmarks.ingest"] == "not measured: there is no model"
    assert told["a fresh query takes 1/20 of the seed notebook's way"] == "met"
    assert told["and 1/4 of rclip's way on a tenth of the vectors"] == "not met"
    assert told["a question to `archive serve`, at p50"] == "met"
    assert told["and at p99"] == "not measured"


def test_a_benchmark_that_is_not_there_or_fails_is_missing_with_its_reason(tmp_path: Path) -> None:
    assert "no benchmarks.nowhere" in bench.run("benchmarks.nowhere", tmp_path / "out", full=False)["missing"]
    assert "measure" in bench.run("benchmarks.figures", tmp_path / "out", full=False)["missing"]
    assert list(tmp_path.iterdir()) == []


def test_costs_grow_with_photos_and_an_answer_by_the_codes_of_what_was_not_measured() -> None:
    lines = costs.table(FOUND)
    day, year, _ = (line.split("|")[2:-1] for line in lines[2:5])
    assert (day[0].strip(), day[1].strip(), day[3].strip(), day[6].strip()) == ("5,000", "100,000", "0.1 GB", "10 ms")
    assert year[1].strip() == "36,500,000"
    assert year[3].strip() == "36.5 GB"
    assert year[6].strip() == "222 ms"
    assert "5.7 ms more" in lines[-1]
