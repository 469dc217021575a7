"""What every Executor promises. A subclass gives the fixture `executor` and inherits every test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive.errors import SourceVanished
from archive.observation import Observer
from archive.photos.reading import decode
from tests.coloured_photos import jpeg
from tests.fakes import ColourEmbedder, ColourSegmenter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archive.protocols import Executor
    from archive.types import Pack, Pixels


@dataclass(frozen=True, eq=False)
class Told:
    """A photo as an ingest sends it."""

    number: int
    content: bytes

    @property
    def pixels(self) -> Pixels:
        return decode(self.content).pixels


def observer() -> Observer:
    return Observer(ColourSegmenter(), ColourEmbedder())


def coloured() -> Callable[[bytes], Pack]:
    """What an actor runs: the same observer, from a photo's bytes."""
    seeing = observer()
    return lambda content: seeing.observe(decode(content).pixels)


def photos(count: int) -> list[Told]:
    """Photos of a square that wanders, no two alike."""
    colours = ("red", "green", "blue", "yellow")
    return [
        Told(n, jpeg({colours[n % 4]: (10 + 5 * n % 200, 10, 80 + 5 * n % 200, 60 + 3 * n % 100)}))
        for n in range(count)
    ]


class ExecutorContract:
    @pytest.fixture
    def executor(self) -> Executor:
        raise NotImplementedError

    def test_each_photo_comes_back_once_in_order_as_the_observer_sees_it(self, executor: Executor) -> None:
        sent, seeing = photos(30), observer()
        back = list(executor.observe_all(iter(sent)))
        assert [photo for photo, _ in back] == sent
        for photo, pack in back:
            expected = seeing.observe(photo.pixels)
            assert not isinstance(pack, Exception)
            assert pack.photo_id == 0
            assert np.array_equal(pack.boxes, expected.boxes)
            assert np.array_equal(pack.confidences, expected.confidences)
            assert np.array_equal(pack.vectors, expected.vectors)

    def test_no_photo_is_no_work(self, executor: Executor) -> None:
        assert list(executor.observe_all(iter(()))) == []

    def test_what_came_before_a_pulled_card_is_still_returned(self, executor: Executor) -> None:
        def pulled() -> Iterator[Told]:
            yield from photos(7)
            raise SourceVanished("the card went away")

        back: list[int] = []
        with pytest.raises(SourceVanished):
            back.extend(photo.number for photo, _ in executor.observe_all(pulled()))
        assert back == list(range(7))

    def test_few_photos_are_held_at_a_time(self, executor: Executor) -> None:
        held = most = 0

        def counted() -> Iterator[Told]:
            nonlocal held, most
            for photo in photos(150):
                held += 1
                most = max(most, held)
                yield photo

        for _ in executor.observe_all(counted()):
            held -= 1
        assert held == 0
        assert most < 75

    def test_whoever_stops_listening_stops_the_work(self, executor: Executor) -> None:
        first, _ = next(executor.observe_all(iter(photos(20))))
        assert first.number == 0
