"""kill -9 at the system calls that change something, all through a re-embedding that ends in the switch.

Whatever the point: what answers is one pair that has seen every photo, its answers are right to the photo, nothing of
the other pair is in them, and the next run goes on and ends with the chosen pair answering.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from archive import parts, settings
from tests import coloured_photos
from tests.coloured_archive import SEAL_AT_VARIABLE
from tests.fakes import ColourEmbedder, TurnedEmbedder
from tests.faults.oracle import differences, expected, unsound
from tests.faults.test_kill import CHANGING, KILLED, require_strace, spread
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SPACES = {ColourEmbedder.space, TurnedEmbedder.space}
POINTS_IN_CI = 6
SEAL_AT = 6
PHOTOS = 8


def reembed(home: Path, *tracer: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    environment = {
        **os.environ,
        "ARCHIVE_HOME": str(home),
        SEAL_AT_VARIABLE: str(SEAL_AT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [*tracer, sys.executable, "-m", "tests.coloured_archive", "reembed"]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


def prepare(archive: Commands, folder: Path) -> tuple[Path, dict[str, float]]:
    """An archive for which another pair was chosen, and what it must answer."""
    photos = coloured_photos.day(folder / "card", PHOTOS, NOON)
    assert archive("ingest", folder / "card", "--home", folder / "prepared").code == 0
    chosen = archive("models", "use", "--segmenter", "colours", "--embedder", "turned", "--home", folder / "prepared")
    assert chosen.code == 0
    return folder / "prepared", expected(photos)


def violations(archive: Commands, home: Path, truth: dict[str, float]) -> list[str]:
    """What is wrong after a kill, and after the run that follows it."""
    wrong = differences(archive, home, truth, {}) + unsound(archive("check", "--data", "--home", home))
    told = archive("reembed", "--json", "--home", home)
    if told.code or not told.object["answers"]:
        return [*wrong, f"the next run ended with {told.code}: {told.out}{told.err}"]
    wrong += differences(archive, home, truth, {}) + unsound(archive("check", "--data", "--home", home))
    space = archive("query", "red", "--json", "--home", home).object["searched"]["space"]
    return wrong if space == TurnedEmbedder.space else [*wrong, f"{space} answers at the end"]


def sweep(archive: Commands, folder: Path, points: int | None) -> tuple[int, list[str]]:
    """Kill a re-embedding at the points; returns how many were hit and everything that was wrong."""
    prepared, truth = prepare(archive, folder)
    shutil.copytree(prepared, folder / "reference")
    log = folder / "log"
    done = reembed(folder / "reference", "strace", "-qq", "-o", str(log), "-e", f"trace={','.join(CHANGING)}")
    assert done.returncode == 0, done.stderr
    names = re.findall(r"^(\w+)\(", log.read_text(errors="replace"), flags=re.MULTILINE)
    counts = {name: names.count(name) for name in CHANGING}
    every = [(name, number) for name, count in counts.items() for number in range(1, count + 1)]
    chosen = every if points is None else spread(counts, 4 * points)[::4][:points]
    hit, wrong, home = 0, [], folder / "place"
    for name, number in chosen:
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(prepared, home)
        tracer = ("strace", "-qq", "-o", os.devnull, "-e", f"trace={name}")
        inject = f"inject={name}:signal=KILL:when={number}"
        if reembed(home, *tracer, "-e", inject).returncode in {KILLED, 128 - KILLED}:
            hit += 1
            wrong += [f"{name} {number}: {what}" for what in violations(archive, home, truth)]
    return hit, wrong


@pytest.fixture(autouse=True)
def _two_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parts.EMBEDDERS, "turned", TurnedEmbedder)
    monkeypatch.setattr(settings, "SEAL_AT", SEAL_AT)


@pytest.mark.timeout(900)
def test_a_killed_re_embedding_goes_on_and_never_answers_from_half_a_pair(archive: Commands, tmp_path: Path) -> None:
    require_strace()
    hit, wrong = sweep(archive, tmp_path, POINTS_IN_CI)
    assert wrong == []
    assert hit >= POINTS_IN_CI // 2, f"only {hit} points were hit"


@pytest.mark.slow
@pytest.mark.timeout(14_400)
def test_a_re_embedding_killed_at_any_changing_call_loses_nothing(archive: Commands, tmp_path: Path) -> None:
    require_strace()
    hit, wrong = sweep(archive, tmp_path, None)
    print(f"re-embedding: {hit} kill points, {len(wrong)} violations")  # noqa: T201  (the figure that a sweep is for)
    assert wrong == []
