"""The classes of faults: which points there are, and how many of them a sweep tries."""

from __future__ import annotations

import errno
import random
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

from archive import room
from tests.faults import crowd, damage, disk, pulled_card, volumes
from tests.faults.disk import Fault, Mode
from tests.faults.operations import COMMANDS
from tests.faults.points import Bench, Row, tried
from tests.faults.pulled_card import Loss, Way
from tests.faults.upgrades import UPGRADES
from tests.faults.volumes import KINDS, enlarge, in_memory, volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.faults.operations import Operation, Verdict

    Sweep = Callable[[Path, "Chance"], Iterator[Row]]

Point = TypeVar("Point")

OPERATIONS: tuple[Operation, ...] = (*COMMANDS, *UPGRADES)
STEP = 16
"""Kilobytes between two sizes of a disk."""

ROOMY = 64 << 10
NO_MATTER_HOW_FULL = 1 << 40
"""Bytes less than an ingest needs, by which it may begin on any disk."""

ROUNDS = 20
FLIPS = 500

TEARABLE = ("write ", "pwrite", "copy_file_range ", "sendfile")


@dataclass(frozen=True)
class Chance:
    """How many points of each operation are tried, all where it is None, and on which operations."""

    points: int | None = None
    seed: int = 1
    operations: frozenset[str] = frozenset()

    def of(self, points: Sequence[Point]) -> list[Point]:
        """Some of the points, in their order, or all."""
        if self.points is None or self.points >= len(points):
            return list(points)
        chosen = random.Random(self.seed).sample(range(len(points)), self.points)
        return [points[index] for index in sorted(chosen)]

    def among(self, operations: Sequence[Operation]) -> Iterator[Operation]:
        """The operations that are wanted."""
        return (one for one in operations if not self.operations or one.name in self.operations)


def kills(folder: Path, chance: Chance) -> Iterator[Row]:
    """kill -9 before every changing call, and in the middle of every write."""
    yield from _at_every_call("kill", _kills, folder, chance)


def errors(folder: Path, chance: Chance) -> Iterator[Row]:
    """EIO and ENOSPC at every changing call, once and ever after."""
    yield from _at_every_call("error", _errors, folder, chance)


def power(folder: Path, chance: Chance) -> Iterator[Row]:
    """The power goes before a changing call, or after the last: what was not synced is lost, all of it or a part."""
    for kind in KINDS:
        with volume(kind, folder / kind) as mounted:
            for operation in chance.among(OPERATIONS):
                here = folder / f"power {kind}" / operation.name
                here.mkdir(parents=True)
                bench = Bench.of(operation, here, mounted.folder / "place")
                points = chance.of(_cuts(len(bench.calls()), random.Random(chance.seed)))
                strikes = (
                    (fault, bench.strike(fault, mounted.mount_again, ask_first=index % 2 == 0))
                    for index, fault in enumerate(points)
                )
                yield tried(Row(f"power {kind}", operation.name), strikes)


def cards(folder: Path, chance: Chance) -> Iterator[Row]:
    """The card is pulled, or vanishes, at every call that an ingest makes of it; or one of its files has gone bad."""
    here = folder / "cards"
    here.mkdir()
    card = pulled_card.make(here)
    asked = pulled_card.calls(here, card)
    # The command line's first look is before the run: after it, a vanished card is an empty folder like any other.
    numbers = {Way.PULLED: range(1, asked + 1), Way.VANISHED: range(2, asked + 1)}
    numbers[Way.BAD_SECTOR] = range(pulled_card.PHOTOS)
    for way in Way:
        losses = [Loss(way, number) for number in numbers[way]]
        yield tried(Row(str(way), "ingest"), ((loss, pulled_card.lose(here, card, loss)) for loss in chance.of(losses)))


def full(folder: Path, chance: Chance) -> Iterator[Row]:
    """A disk in memory that is full before, during and at the end of everything that is done on it; later it grows."""
    wanted, room.RESERVE = room.RESERVE, -NO_MATTER_HOW_FULL
    for operation in chance.among(OPERATIONS):
        here = folder / "full" / operation.name
        (here / "disk").mkdir(parents=True)
        bench = Bench.of(operation, here, here / "disk" / "place")
        sizes = chance.of(range(0, bench.room(), STEP))
        yield tried(Row("disk full", operation.name), ((f"{size} KB", _fill(bench, size)) for size in sizes))
    room.RESERVE = wanted


def _fill(bench: Bench, kilobytes: int) -> Verdict | None:
    """Do it where so much is free."""
    before = bench.size()
    with in_memory(bench.place.folder.parent, before + kilobytes) as small:
        return bench.strike(Fault(Mode.COUNT), lambda: enlarge(small, ROOMY), ask_first=kilobytes % (2 * STEP) == 0)


def crowds(folder: Path, chance: Chance) -> Iterator[Row]:
    """Eight readers during an ingest and during a forget, whose answers are the points; two ingests at once."""
    for name in ("ingest", "forget"):
        row, began = Row("8 readers", name), perf_counter()
        for number in range(chance.points or ROUNDS):
            answers, verdict = crowd.disturb(folder / "crowd", name)
            row.add(f"round {number}", verdict)
            row.points += answers - 1
            row.converged += (answers - 1) * (not verdict.again)
        row.seconds = perf_counter() - began
        yield row
    rounds = range(chance.points or ROUNDS)
    yield tried(Row("2 writers", "ingest"), ((f"round {number}", crowd.both(folder / "both")) for number in rounds))


def rot(folder: Path, chance: Chance) -> Iterator[Row]:
    """One flipped bit in the catalog, in a file of the index, in an original."""
    place = damage.archive_at_rest(folder / "rot")
    for kind in damage.KINDS:
        points = (
            (f"seed {seed}", damage.rot(place, folder / "rotten", kind, seed)) for seed in range(chance.points or FLIPS)
        )
        yield tried(Row("bit flipped", kind), points)


def stale(folder: Path, chance: Chance) -> Iterator[Row]:
    """An older catalog, after each of its photos, under the newest index and among the newest originals."""
    place = damage.older_catalogs(folder / "stale")
    ages = chance.of(range(1, damage.PHOTOS))
    points = ((f"{age} photos", damage.put_back(place, folder / "put back", age)) for age in ages)
    yield tried(Row("older catalog", "query, ingest"), points)


def _cuts(calls: int, chance: random.Random) -> list[Fault]:
    """Every second time the system has written everything back at some moment before."""
    early = [number % 2 and chance.randint(1, number) for number in range(1, calls + 2)]
    return [Fault(Mode.POWER_CUT, number, early=moment) for number, moment in enumerate(early, 1)]


def _kills(calls: Sequence[str]) -> list[Fault]:
    numbered = list(enumerate(calls, 1))
    torn = [Fault(Mode.TORN, number) for number, call in numbered if call.startswith(TEARABLE)]
    return sorted([*(Fault(Mode.KILL, number) for number, _ in numbered), *torn], key=lambda fault: fault.number)


def _errors(calls: Sequence[str]) -> list[Fault]:
    modes = [(mode, error) for mode in (Mode.ONCE, Mode.FROM_THERE_ON) for error in (errno.EIO, errno.ENOSPC)]
    return [Fault(mode, number, error) for number in range(1, len(calls) + 1) for mode, error in modes]


def _at_every_call(
    name: str, every: Callable[[Sequence[str]], list[Fault]], folder: Path, chance: Chance
) -> Iterator[Row]:
    for operation in chance.among(OPERATIONS):
        here = folder / name / operation.name
        here.mkdir(parents=True)
        bench = Bench.of(operation, here, here / "place")
        calls = bench.calls()
        points = chance.of(every(calls))
        yield tried(
            Row(name, operation.name),
            (
                (f"{fault} ({calls[fault.number - 1]})", bench.strike(fault, ask_first=index % 2 == 0))
                for index, fault in enumerate(points)
            ),
        )


CLASSES: dict[str, Sweep] = {
    "kill": kills,
    "error": errors,
    "power": power,
    "card": cards,
    "full": full,
    "crowd": crowds,
    "rot": rot,
    "stale": stale,
}


def missing(name: str) -> str | None:
    """Why the faults of a class cannot be had here; None where they can."""
    if reason := disk.missing():
        return reason
    if name == "card":
        return pulled_card.missing()
    return volumes.missing() if name in {"power", "full"} else None
