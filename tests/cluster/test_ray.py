"""An ingest over a Ray of three nodes: the contract of executors, a lost node, a photo that nobody can observe."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from time import sleep
from typing import TYPE_CHECKING

import pytest

from archive import bootstrap, ingest, ingest_report
from archive.cli.progress import Bar
from archive.errors import ArchiveError, PhotoError
from archive.executors.ray import Place, RayExecutor
from archive.photos.reading import decode
from archive.settings import CONFIG_VARIABLE, PairChoice, Settings
from tests.cluster.processes import free_port
from tests.coloured_photos import day, jpeg, write
from tests.contracts.executor import ExecutorContract, Told, coloured, observer, photos

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from archive.protocols import Executor
    from archive.types import Pack
    from tests.cluster.ray_nodes import Ray
    from tests.commands import Commands

COLOURED = PairChoice("colours", "colours")


@pytest.fixture
def place(ray_nodes: Ray) -> Place:
    return Place(ray_nodes.address, batch=3)


class TestRay(ExecutorContract):
    @pytest.fixture
    def executor(self, place: Place) -> Executor:
        return RayExecutor(place, coloured)


def touchy() -> Callable[[bytes], Pack]:
    """Observes what is green and blue; red is too much for it, and yellow ends its process."""
    seeing = observer()

    def watch(content: bytes) -> Pack:
        pack = seeing.observe(decode(content).pixels)
        if pack.vectors[0, 1] > 0.01:
            raise ValueError("too red\nfor me")
        if pack.vectors[0, 4] > 0.01:
            os._exit(1)
        return pack

    return watch


def test_a_photo_that_cannot_be_observed_fails_alone_with_one_plain_line(place: Place) -> None:
    square = (10, 10, 200, 200)
    colours = ["green", "red", "blue", "green", "blue", "green", "yellow", "blue", "green", "green", "blue"]
    sent = [Told(number, jpeg({colour: square})) for number, colour in enumerate(colours)]
    back = list(RayExecutor(place, touchy).observe_all(iter(sent)))
    assert [photo for photo, _ in back] == sent
    failed = {colours[photo.number]: str(pack) for photo, pack in back if isinstance(pack, PhotoError)}
    assert failed == {"red": "ValueError: too red for me", "yellow": "ended 3 workers that looked at it"}


def unable() -> Callable[[bytes], Pack]:
    raise ArchiveError("the weights are not on this machine")


def test_where_no_worker_can_begin_the_run_ends_with_the_reason(place: Place) -> None:
    with pytest.raises(ArchiveError, match=r"no worker of the Ray is left .*the weights are not on this machine"):
        list(RayExecutor(place, unable).observe_all(iter(photos(3))))


def test_a_ray_that_is_not_there_is_named_with_the_command_that_starts_it() -> None:
    nowhere = Place(f"127.0.0.1:{free_port()}")
    with pytest.raises(ArchiveError, match="ray start --head"):
        list(RayExecutor(nowhere, coloured).observe_all(iter(photos(3))))


def test_the_command_line_ingests_on_the_machines_of_a_ray(
    ray_nodes: Ray, archive: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "cluster.toml"
    config.write_text(f'executor = "ray://{ray_nodes.address}?batch=2"\n')
    monkeypatch.setenv(CONFIG_VARIABLE, str(config))
    monkeypatch.setattr("archive.parts.watching", watching)
    day(tmp_path / "card", 12, datetime(2026, 11, 23, 9, tzinfo=UTC))
    (tmp_path / "card" / "IMG_9999.jpg").write_bytes(b"no photo")
    first = archive("ingest", tmp_path / "card", "--json")
    assert (first.code, first.object["new"], len(first.object["unreadable"])) == (1, 12, 1)
    again = archive("ingest", tmp_path / "card", "--json").object
    assert (again["new"], again["known"]) == (0, 12)
    assert archive("query", "red", "--json").object["verdict"] == "seen"


def watching(_settings: Settings, _pair: object) -> Callable[[bytes], Pack]:
    """The product's own, for a pair whose parts only the tests know."""
    return coloured()


class _Killing(Bar):
    """A watcher that ends a node once so many photos are in."""

    def __init__(self, at: int, kill: Callable[[], None]) -> None:
        super().__init__(None, "")
        self._left, self._kill = at, kill

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._kill()


def slowly() -> Callable[[bytes], Pack]:
    watch = coloured()

    def slow(content: bytes) -> Pack:
        sleep(0.05)
        return watch(content)

    return slow


def test_a_node_that_is_killed_half_way_costs_no_photo_and_doubles_none(
    ray_nodes: Ray, archive: Commands, settings: Settings, tmp_path: Path
) -> None:
    assert archive is not None
    count = 120
    for number in range(count):
        write(tmp_path / "card" / f"{number}.jpg", {"red": (10 + number, 10, 80 + number, 60 + number % 50)})
    report = ingest_report.Report()
    with bootstrap.ingesting(settings, COLOURED) as local:
        destination = replace(local, executor=RayExecutor(Place(ray_nodes.address, batch=3), slowly))
        watcher = _Killing(count // 3, lambda: ray_nodes.kill(2))
        ingest.ingest(tmp_path / "card", destination, report, watcher)
        again = ingest_report.Report()
        ingest.ingest(tmp_path / "card", destination, again, Bar(None, ""))
    assert (report.new, report.known, report.unreadable) == (count, 0, [])
    assert (again.new, again.known) == (0, count)
    with bootstrap.reading(settings) as reader:
        assert reader.photo_count() == count
        assert reader.counts(1).photos == count
