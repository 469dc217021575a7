"""An error of the disk at every n-th call: the command says so in one line, and running it again does the job.

The calls are those that Python makes below the archive's folders: opening to write, syncing, renaming, removing, making
folders. As in SQLite's own tests, n grows until the command comes to its end without meeting the fault. The oracle
judges after each: what was acknowledged is found with the right score, and nothing else is.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from archive import parts, settings
from tests.faults.operations import OtherEmbedder, Place, bounds, prepare, unfinished
from tests.faults.oracle import differences

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.commands import Commands

OPERATIONS = ("ingest", "forget", "reindex", "backup", "restore", "repair")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.truncate"}
POINTS_IN_CI = 3


@dataclass
class Fault:
    """Raises an error at the n-th change below a folder; counts them while it has no number."""

    below: Path | None = None
    number: int = 0
    error: int = errno.EIO
    seen: int = 0
    hit: bool = False

    def meet(self, path: object) -> None:
        if self.below is None or not str(path).startswith(str(self.below)):
            return
        self.seen += 1
        if self.seen == self.number:
            self.hit = True
            raise OSError(self.error, os.strerror(self.error))


FAULT = Fault()


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook cannot be taken away again, so it looks at the fault of the moment."""
    if FAULT.below is None or not arguments:
        return
    if event in CHANGES:
        FAULT.meet(os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else "")
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
        FAULT.meet(arguments[0])


@pytest.fixture(scope="module", autouse=True)
def watched() -> None:
    sys.addaudithook(watch)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SEAL_AT", 6)
    monkeypatch.setitem(parts.EMBEDDERS, "other", OtherEmbedder)


def violations(archive: Commands, prepared: Place, place: Place, operation: str, number: int, error: int) -> list[str]:
    """Run an operation with one fault, and again without; everything that is wrong then. None where it came through."""
    shutil.rmtree(place.folder, ignore_errors=True)
    shutil.copytree(prepared.folder, place.folder)
    FAULT.below, FAULT.number, FAULT.error, FAULT.seen, FAULT.hit = place.folder, number, error, 0, False
    try:
        done = archive(*place.words(operation))
    finally:
        FAULT.below = None
    wrong = [] if done.err.count("Traceback") == 0 else [f"it ended in {done.err}"]
    must, may, at_last = bounds(operation, prepared)
    if operation != "restore" and (place.home / "catalog.sqlite").exists():
        wrong += differences(archive, place.home, must, may)
    wrong += unfinished(archive, place, operation, at_last)
    return [f"{operation} {errno.errorcode[error]} at {number}: {what}" for what in wrong]


def count(archive: Commands, prepared: Place, place: Place, operation: str) -> int:
    """How many changes an undisturbed run makes."""
    assert violations(archive, prepared, place, operation, 0, errno.EIO) == []
    shutil.rmtree(place.folder)
    shutil.copytree(prepared.folder, place.folder)
    FAULT.below, FAULT.number, FAULT.seen = place.folder, 0, 0
    archive(*place.words(operation))
    FAULT.below = None
    return FAULT.seen


def sweep(archive: Commands, folder: Path, operation: str, points: int | None) -> tuple[int, list[str]]:
    prepared, place = prepare(archive, folder / "prepared", operation), Place(folder / "place")
    total = count(archive, prepared, place, operation)
    chosen = range(1, total + 1) if points is None else spread(total, points)
    hit, wrong = 0, []
    for index, number in enumerate(chosen):
        for error in (errno.EIO, errno.ENOSPC) if points is None else ((errno.EIO, errno.ENOSPC)[index % 2],):
            wrong += violations(archive, prepared, place, operation, number, error)
            hit += FAULT.hit
    return hit, wrong


def spread(total: int, points: int) -> Iterator[int]:
    return (1 + round(step * (total - 1) / (points - 1)) for step in range(points))


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_after_an_error_of_the_disk_running_it_again_does_the_job(
    archive: Commands, tmp_path: Path, operation: str
) -> None:
    hit, wrong = sweep(archive, tmp_path, operation, POINTS_IN_CI)
    assert wrong == []
    assert hit == POINTS_IN_CI


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_after_an_error_at_any_call_running_it_again_does_the_job(
    archive: Commands, tmp_path: Path, operation: str
) -> None:
    hit, wrong = sweep(archive, tmp_path, operation, None)
    print(f"{operation}: {hit} error points, {len(wrong)} violations")  # noqa: T201  (the figure that a sweep is for)
    assert wrong == []
