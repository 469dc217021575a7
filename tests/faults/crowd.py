"""Eight readers while a writer is at work, and two writers at once: every answer is one that the archive stood for."""

from __future__ import annotations

import mmap
import shutil
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from archive import bootstrap
from archive.settings import Settings
from tests.faults.children import begin, freeze, run
from tests.faults.operations import Place, Verdict, make_card
from tests.faults.oracle import belongings, differences, expected, unsound
from tests.faults.points import listen, told_at

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Outcome

READERS = 8
PHOTOS = 16
FIRST = 4
"""Photos that are in before."""

FORGOTTEN = range(1, 9)
HELD_FOR = 0.02
"""Seconds for which a reader keeps looking at one state."""


@dataclass(frozen=True)
class Reading:
    """What one reader saw: how many answers, and what was wrong with them."""

    answers: int
    wrong: list[str]


@dataclass(frozen=True)
class Crowd:
    """An archive with its readers; `told` is where the writer writes what it has acknowledged."""

    place: Place
    told: Path
    ended: mmap.mmap
    first: frozenset[str]

    def read(self, number: int) -> Reading:
        """Ask until the writer has ended, and once more; every fourth reader looks at the rows instead."""
        answers, wrong = 0, list[str]()
        every = expected(sorted(self.place.card.iterdir()))
        look = self._look if number % 4 == 3 else self._ask
        while True:
            last = bool(self.ended[0])
            wrong += look(every)
            answers += 1
            if last:
                return Reading(answers, wrong)

    def _ask(self, every: dict[str, float]) -> list[str]:
        before = told_at(self.told, None)
        must = {digest: every[digest] for digest in self.first | before.kept}
        gone = before.erased
        # What is erased while it is asked may be found, or not; what was erased before may not.
        sure = {digest: score for digest, score in must.items() if digest not in self._doomed()}
        may = {digest: score for digest, score in every.items() if digest not in gone}
        return differences(run, self.place.home, sure, may)

    def _look(self, _every: dict[str, float]) -> list[str]:
        with bootstrap.reading(Settings(self.place.home, self.place.home)) as reader:
            answering = reader.answering()
            if answering is None:
                return ["nothing answers"]
            once = {
                photo.digest
                for photo in reader.photos([pack.photo_id for _, pack in reader.packs(answering[0])]).values()
            }
            count = reader.photo_count()
            time.sleep(HELD_FOR)
            wrong = [] if len(once) == count else [f"{count} photos, {len(once)} packs"]
            return wrong + ([] if reader.photo_count() == count else ["the state changed while it was looked at"])

    def _doomed(self) -> set[str]:
        return set(self.told.with_name("doomed").read_text().split())


def disturb(folder: Path, name: str) -> tuple[int, Verdict]:
    """Ingest, or forget, while eight read; how many answers they got, and what was wrong."""
    place = Place(folder)
    shutil.rmtree(folder, ignore_errors=True)
    make_card(place.card, range(FIRST))
    assert run("ingest", place.card, "--home", place.home).code == 0
    first = expected(sorted(place.card.iterdir()))
    make_card(place.card, range(FIRST, PHOTOS))
    every = expected(sorted(place.card.iterdir()))
    if name == "forget":
        assert run("ingest", place.card, "--home", place.home).code == 0
        first = every
    doomed = list(every)[: len(FORGOTTEN)] if name == "forget" else []
    folder.joinpath("doomed").write_text(" ".join(doomed))
    freeze()
    crowd = Crowd(place, folder / "told", mmap.mmap(-1, 1), frozenset(first))
    readers = [begin(partial(crowd.read, number)) for number in range(READERS)]
    done: list[Outcome] = begin(partial(_write, crowd, name)).end().value or []
    crowd.ended[0] = 1
    read = [reader.end().value or Reading(0, ["a reader was ended by a signal"]) for reader in readers]
    after = [f"it ended with {one.code}: {one.err}" for one in done if one.code != 0] + [
        what for reading in read for what in reading.wrong
    ]
    return sum(reading.answers for reading in read), Verdict(after, _at_last(place, name, every, doomed))


def _write(crowd: Crowd, name: str) -> list[Outcome]:
    listen(crowd.told)
    home = crowd.place.home
    if name == "ingest":
        return [run("ingest", crowd.place.card, "--home", home)]
    return [run("forget", number, "--yes", "--home", home) for number in FORGOTTEN]


def _at_last(place: Place, name: str, every: dict[str, float], doomed: list[str]) -> list[str]:
    if name == "forget":
        done = run("forget", "--home", place.home)  # what had to wait for a reader
        wrong = [] if done.code == 0 else [f"it was not finished: {done.err}"]
    else:
        wrong = belongings(place.home, place.card)
    truth = {digest: score for digest, score in every.items() if digest not in doomed}
    return wrong + differences(run, place.home, truth, {}) + unsound(run("check", "--data", "--home", place.home))


def both(folder: Path) -> Verdict:
    """Two ingests of one card at once: one waits its turn or is turned away, and every photo is in once."""
    place = Place(folder)
    shutil.rmtree(folder, ignore_errors=True)
    make_card(place.card, range(FIRST))
    two = [begin(partial(run, "ingest", place.card, "--home", place.home)) for _ in range(2)]
    ended: list[Outcome | None] = [one.end().value for one in two]
    codes = sorted(one.code if one else -1 for one in ended)
    after = [] if codes in ([0, 0], [0, 75]) else [f"they ended with {codes}"]
    again = differences(run, place.home, expected(sorted(place.card.iterdir())), {}) + belongings(
        place.home, place.card
    )
    return Verdict(after, again + unsound(run("check", "--data", "--home", place.home)))
