"""One operation, one fault, one verdict: the loop that every sweep goes round."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from archive.catalog.writer import Catalog
from tests.faults.children import freeze, in_child, run
from tests.faults.disk import Fault, Mode, arm, cut_power, disarm, write_back
from tests.faults.operations import Operation, Place, Told, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from archive.catalog.writer import NewPhoto
    from archive.types import Pack
    from tests.commands import Outcome

    Between = Callable[[], None]

PAGE = 4096
WHILE_IT_IS_DONE = 1024
"""Kilobytes of SQLite's log, and of copies that go again."""

APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND


@dataclass
class Row:
    """A line of the table: how many points of a fault were tried on an operation, and how it bore them."""

    fault: str
    operation: str
    points: int = 0
    converged: int = 0
    seconds: float = 0.0
    violations: list[str] | None = None

    def add(self, point: object, verdict: Verdict) -> None:
        """One more point was tried."""
        self.points += 1
        self.converged += not verdict.again
        self.violations = self.violations or []
        self.violations += [f"{self.operation}, {point}: {what}" for what in (*verdict.after, *verdict.again)]


def tried(row: Row, points: Iterable[tuple[object, Verdict | None]]) -> Row:
    """Fill a row; a point without a verdict was not met, and does not count."""
    began = perf_counter()
    for point, verdict in points:
        if verdict is not None:
            row.add(point, verdict)
    row.seconds = perf_counter() - began
    return row


@dataclass(frozen=True)
class Bench:
    """An operation that is prepared once, the place where each point begins anew, and what it tells outside of it."""

    operation: Operation
    prepared: Path
    place: Place
    told: Path

    @classmethod
    def of(cls, operation: Operation, folder: Path, place: Path) -> Bench:
        """Prepare it below `folder`; it will be done at `place`.

        It is done once undisturbed, in this process: what that imports and works out, every child has from then on.
        """
        operation.prepare(run, folder / "prepared")
        bench = cls(operation, folder / "prepared", Place(place), folder / "told")
        bench.begin()
        done = operation.act(run, bench.place)
        wrong = operation.judge(run, bench.place, Told(done.code, done.err), ask_first=True)
        assert wrong == ([], []), wrong
        freeze()
        return bench

    def begin(self) -> None:
        """Make the place as it was before."""
        shutil.rmtree(self.place.folder, ignore_errors=True)
        shutil.copytree(self.prepared, self.place.folder)
        self.told.unlink(missing_ok=True)

    def calls(self) -> list[str]:
        """The changing calls of an undisturbed run, each with what it changes; a card must not be among that."""
        self.begin()
        notes = self.told.with_name("calls")

        def count() -> Outcome:
            descriptor = os.open(notes, APPENDING | os.O_TRUNC)
            arm(Fault(Mode.COUNT), self.place.folder, descriptor)
            done = self.operation.act(run, self.place)
            disarm()
            return done

        done = in_child(count).value
        assert done is not None
        assert done.code == 0, done.err
        found = notes.read_text(errors="replace").splitlines()
        assert not [call for call in found if " /card" in call], "it changes the card"
        return found

    def size(self) -> int:
        """Kilobytes that the place takes before, a page for each folder and each file's last one."""
        files = [path.stat() for path in self.prepared.rglob("*")]
        return sum(-(-file.st_size // PAGE) * PAGE for file in files) // 1024 + len(files) * PAGE // 1024

    def room(self) -> int:
        """Kilobytes that are free in a place where all of it can be done, and some more."""
        self.begin()
        in_child(lambda: self.operation.act(run, self.place))
        grown = sum(path.stat().st_size for path in self.place.folder.rglob("*") if path.is_file()) // 1024
        return max(grown - self.size(), 0) + WHILE_IT_IS_DONE

    def strike(self, fault: Fault, between: Between = lambda: None, *, ask_first: bool) -> Verdict | None:
        """Do it with one fault, something `between`, and judge; None where the fault was not met."""
        self.begin()
        if fault.mode is Mode.POWER_CUT:
            write_back(self.place.folder)
        ended = in_child(lambda: self._attempt(fault))
        if ended.value is not None and not ended.value[1] and fault.mode not in {Mode.POWER_CUT, Mode.COUNT}:
            return None
        between()
        deadly = fault.mode in {Mode.KILL, Mode.TORN, Mode.POWER_CUT}
        if ended.signal and not (deadly and ended.signal == signal.SIGKILL):
            return Verdict([f"it ended by {signal.Signals(ended.signal).name}"], [])
        told = told_at(self.told, ended.value[0] if ended.value else None)
        judged = in_child(lambda: self.operation.judge(run, self.place, told, ask_first=ask_first))
        return judged.value or Verdict([], [f"judging it ended by {signal.Signals(judged.signal).name}"])

    def _attempt(self, fault: Fault) -> tuple[Outcome, bool]:
        listen(self.told)
        arm(fault, self.place.folder)
        done = self.operation.act(run, self.place)
        met = disarm()
        if fault.mode is Mode.POWER_CUT:
            cut_power(self.place.folder)
        return done, met


def told_at(notes: Path, done: Outcome | None) -> Told:
    """What was written to a file by `listen`, with what the command ended in; None where it was killed."""
    words = [line.split() for line in notes.read_text().splitlines()] if notes.exists() else []
    kept, erased = (frozenset(digest for kind, digest in words if kind == wanted) for wanted in ("kept", "erased"))
    return Told(done.code, done.err, kept, erased) if done else Told(None, "", kept, erased)


def listen(notes: Path) -> None:
    """Write to a file what the catalog acknowledges from now on, as soon as it does."""
    descriptor = os.open(notes, APPENDING)
    add_photo, erase = Catalog.add_photo, Catalog.erase

    def adds(catalog: Catalog, new: NewPhoto, pair_id: int, pack: Pack) -> int:
        photo_id = add_photo(catalog, new, pair_id, pack)
        os.write(descriptor, f"kept {new.digest}\n".encode())
        return photo_id

    def erases(catalog: Catalog, photo_ids: Sequence[int]) -> None:
        gone = catalog.photos(photo_ids)
        erase(catalog, photo_ids)
        for photo in gone.values():
            os.write(descriptor, f"erased {photo.digest}\n".encode())

    Catalog.add_photo = adds  # type: ignore[method-assign, assignment]
    Catalog.erase = erases  # type: ignore[method-assign, assignment]
