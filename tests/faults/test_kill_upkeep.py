"""kill -9 at the system calls that change something, in every command that changes an archive besides ingest."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from archive import settings
from tests.coloured_archive import SEAL_AT_VARIABLE
from tests.faults.operations import Place, bounds, prepare, unfinished
from tests.faults.oracle import differences
from tests.faults.test_kill import CHANGING, KILLED, require_strace, spread
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands

OPERATIONS = ("forget", "backup", "restore", "repair")
POINTS_IN_CI = 2
SEAL_AT = 6


def traced(place: Place, operation: str, *tracer: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    environment = {**os.environ, SEAL_AT_VARIABLE: str(SEAL_AT), "PYTHONDONTWRITEBYTECODE": "1"}
    words = [str(word) for word in place.words(operation)]
    command = ["strace", "-qq", *tracer, sys.executable, "-m", "tests.coloured_archive", *words]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


def fresh(prepared: Place, place: Place) -> None:
    shutil.rmtree(place.folder, ignore_errors=True)
    shutil.copytree(prepared.folder, place.folder)


def calls(prepared: Place, place: Place, operation: str, log: Path) -> dict[str, int]:
    """How often an undisturbed run makes each of the calls."""
    fresh(prepared, place)
    done = traced(place, operation, "-o", str(log), "-e", f"trace={','.join(CHANGING)}")
    assert done.returncode == 0, done.stderr
    names = re.findall(r"^(\w+)\(", log.read_text(errors="replace"), flags=re.MULTILINE)
    return {name: names.count(name) for name in CHANGING}


def sweep(archive: Commands, folder: Path, operation: str, points: int | None) -> tuple[int, list[str]]:
    """Kill the operation at the points; returns how many were hit and everything that was wrong."""
    prepared, place = prepare(archive, folder / "prepared", operation), Place(folder / "place")
    must, may, at_last = bounds(operation, prepared)
    counts = calls(prepared, place, operation, folder / "log")
    every = [(name, number) for name, count in counts.items() for number in range(1, count + 1)]
    chosen = every if points is None else thinned(spread(counts, 4 * points), points)
    hit, wrong = 0, []
    for name, number in chosen:
        fresh(prepared, place)
        injected = ("-o", os.devnull, "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}")
        if traced(place, operation, *injected).returncode not in {KILLED, 128 - KILLED}:
            continue
        hit += 1
        found = [] if operation == "restore" else differences(archive, place.home, must, may)
        found += unfinished(archive, place, operation, at_last)
        wrong += [f"{operation} {name} {number}: {what}" for what in found]
    return hit, wrong


def thinned(points: list[tuple[str, int]], wanted: int) -> list[tuple[str, int]]:
    return points[:: max(1, len(points) // wanted)][:wanted]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_killed_command_loses_nothing_and_the_next_run_completes_it(
    archive: Commands, tmp_path: Path, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_strace()
    monkeypatch.setattr(settings, "SEAL_AT", SEAL_AT)
    hit, wrong = sweep(archive, tmp_path, operation, POINTS_IN_CI)
    assert wrong == []
    assert hit >= POINTS_IN_CI - 1, f"only {hit} points were hit"


@pytest.mark.slow
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_command_killed_at_any_changing_call_loses_nothing(
    archive: Commands, tmp_path: Path, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_strace()
    monkeypatch.setattr(settings, "SEAL_AT", SEAL_AT)
    hit, wrong = sweep(archive, tmp_path, operation, None)
    print(f"{operation}: {hit} kill points, {len(wrong)} violations")  # noqa: T201  (the figure that a sweep is for)
    assert wrong == []
