from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archive.errors import WeightsRejected
from archive.runtimes.fitting import Fitted
from archive.runtimes.kept import INT8, Graphs, Likeness, best, precision_of, runtime_of
from archive.runtimes.sessions import ON_CPU, providers
from archive.runtimes.timing import machine, seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from archive.runtimes.kept import Runtime

ALIKE = Likeness(1.0, 0.999, ("exact", "int8"))


class Converter:
    """Writes graphs that are words, and counts how often."""

    def __init__(self, *, fails: bool = False) -> None:
        self.times = 0
        self._fails = fails

    def __call__(self, folder: Path) -> Likeness:
        self.times += 1
        (folder / "exact.onnx").write_text("exact")
        if self._fails:
            raise KeyboardInterrupt
        (folder / "int8.onnx").write_text("int8")
        return ALIKE


def clock(taken: float) -> Callable[[], float]:
    return lambda: taken


def candidates(torch: float, exact: float, int8: float) -> dict[Runtime, Callable[[], float]]:
    return {"torch": clock(torch), "exact": clock(exact), "int8": clock(int8)}


def test_graphs_are_written_once_and_found_again(tmp_path: Path) -> None:
    converter = Converter()
    assert Graphs(tmp_path / "part", converter).path("int8").read_text() == "int8"
    again = Graphs(tmp_path / "part", converter)
    assert (again.ready, again.path("exact").read_text(), again.likeness()) == (True, "exact", ALIKE)
    assert converter.times == 1
    assert sorted(path.name for path in (tmp_path / "part").iterdir()) == ["exact.onnx", "graphs.json", "int8.onnx"]


@pytest.mark.parametrize("damage", ["exact.onnx", "graphs.json"])
def test_a_damaged_graph_is_written_anew(tmp_path: Path, damage: str) -> None:
    converter = Converter()
    Graphs(tmp_path / "part", converter).path("exact")
    (tmp_path / "part" / damage).write_text("{")
    assert Graphs(tmp_path / "part", converter).path("exact").read_text() == "exact"
    assert converter.times == 2


def test_a_conversion_that_is_cut_off_leaves_nothing_that_counts(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Graphs(tmp_path / "part", Converter(fails=True)).path("exact")
    assert not Graphs(tmp_path / "part", Converter()).ready
    assert list((tmp_path / "part").iterdir()) == []
    assert Graphs(tmp_path / "part", Converter()).path("int8").read_text() == "int8"


def test_each_machine_is_timed_once(tmp_path: Path) -> None:
    graphs = Graphs(tmp_path / "part", Converter())
    graphs.path("exact")
    assert graphs.timings("mine", candidates(3, 2, 1)) == {"torch": 3, "exact": 2, "int8": 1}
    assert graphs.timings("mine", candidates(9, 9, 9)) == {"torch": 3, "exact": 2, "int8": 1}
    assert graphs.timings("yours", candidates(9, 8, 9))["exact"] == 8


@pytest.mark.parametrize(
    ("timed", "usable", "expected"),
    [
        ((3.0, 2.0, 1.0), ("exact", "int8"), "int8"),
        ((3.0, 2.0, 1.9), ("exact", "int8"), "exact"),  # not worth another space
        ((3.0, 2.0, 1.0), ("exact",), "exact"),  # not like enough
        ((1.0, 2.0, 0.9), ("exact", "int8"), "exact"),  # torch is nearly as fast
    ],
)
def test_a_new_archive_is_made_in_eight_bits_where_that_is_like_enough_and_much_faster(
    timed: tuple[float, float, float], usable: tuple[str, ...], expected: str
) -> None:
    timings: dict[Runtime, float] = dict(zip(("torch", "exact", "int8"), timed, strict=True))
    assert best(timings, Likeness(1.0, 1.0, usable)) == expected  # type: ignore[arg-type]


def test_an_archive_keeps_its_precision_however_slow_that_is_here() -> None:
    timings: dict[Runtime, float] = {"torch": 1.0, "exact": 2.0, "int8": 99.0}
    assert runtime_of("int8", timings, ALIKE) == "int8"
    assert runtime_of("exact", timings, ALIKE) == "torch"
    assert runtime_of("exact", timings | {"torch": 3.0}, ALIKE) == "exact"
    assert runtime_of("exact", timings | {"torch": 3.0}, Likeness(0.5, 0.5, ())) == "torch"


def test_a_name_says_which_precision_it_is_of() -> None:
    assert precision_of(f"clip-768-32-256@92c26d60d320/0a1b2c3d/{INT8}") == "int8"
    assert precision_of(f"yolo-c9f78716a81c-{INT8}-1024px-c0.01-o0.7-n300/clean-8px/context0.15") == "int8"
    assert precision_of("clip-768-32-256@92c26d60d320/0a1b2c3d") == "exact"
    assert precision_of("yolo-c9f78716a81c-1024px-c0.01-o0.7-n300/clean-8px") == "exact"


def test_a_gpu_comes_first_where_there_is_one() -> None:
    assert providers(["CPUExecutionProvider"]) == [ON_CPU]
    assert providers(["TensorrtExecutionProvider", "CUDAExecutionProvider", ON_CPU]) == [
        "CUDAExecutionProvider",
        ON_CPU,
    ]


def test_a_timing_is_that_of_the_work() -> None:
    runs = []

    def work() -> None:
        runs.append(sum(range(10_000)))

    assert 0 < seconds(work) < 1
    assert len(runs) >= 3
    assert machine() == machine()
    assert "onnxruntime" in machine()


def test_a_network_that_cannot_be_a_graph_goes_on_with_torch(tmp_path: Path) -> None:
    def refuse(_folder: Path) -> Likeness:
        raise WeightsRejected("torch cannot export it")

    def never() -> dict[Runtime, Callable[[], float]]:
        raise AssertionError("there is nothing to time")

    graphs = Graphs(tmp_path / "part", refuse)
    fitted = Fitted(lambda: graphs, None, never)
    assert (fitted.precision, fitted.runtime, graphs.ready) == ("exact", "torch", True)
    with pytest.raises(WeightsRejected, match="has no graphs"):
        graphs.path("exact")


def test_the_choice_is_what_the_clocks_say_but_for_an_archive_s_own_precision(tmp_path: Path) -> None:
    graphs = Graphs(tmp_path / "part", Converter())
    free = Fitted(lambda: graphs, None, lambda: candidates(3, 2, 1))
    assert (free.precision, free.runtime, free.graph.name) == ("int8", "int8", "int8.onnx")
    kept = Fitted(lambda: graphs, "exact", lambda: candidates(3, 2, 1))
    assert (kept.precision, kept.runtime, kept.graph.name) == ("exact", "exact", "exact.onnx")
    plain = Fitted(None, None, lambda: candidates(3, 2, 1))
    assert (plain.precision, plain.runtime) == ("exact", "torch")
