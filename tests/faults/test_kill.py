"""kill -9 at the system calls that change something, all through an ingest that also seals shards.

This is the real command in a process of its own, killed by strace; `tests.faults.sweep` kills at every call. An oracle
that knows nothing of how ingest works judges each point: `check` must find no damage, what was acknowledged must be
there whole, and the next run must end in the very state that an undisturbed run ends in.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from archive import bootstrap, settings
from tests import coloured_photos
from tests.coloured_archive import SEAL_AT_VARIABLE
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands

    State = dict[str, tuple[list[str], bytes, bytes]]

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHANGING = ("openat", "write", "pwrite64", "fsync", "fdatasync", "ftruncate", "rename", "unlink", "mkdir", "fchmod")
POINTS = 12
SEAL_AT = 8
KILLED = -9


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine photos, one of them twice, and a file that is none."""
    folder = tmp_path_factory.mktemp("card")
    first, *_ = coloured_photos.day(folder, 9, NOON)
    (folder / "copy.jpg").write_bytes(first.read_bytes())
    (folder / "broken.jpg").write_bytes(b"not a photo")
    return folder


def ingest(card: Path, home: Path, *tracer: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own, over the coloured parts, sealing a shard every few photos."""
    environment = {
        **os.environ,
        "ARCHIVE_HOME": str(home),
        SEAL_AT_VARIABLE: str(SEAL_AT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [*tracer, sys.executable, "-m", "tests.coloured_archive", "ingest", str(card)]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


def state(home: Path) -> State:
    """What an archive holds: by digest, the paths it was found at, its boxes and its vectors."""
    with bootstrap.reading(settings.Settings(home, home)) as reader:
        answering = reader.answering()
        assert answering is not None
        packs = {pack.photo_id: pack for _, pack in reader.packs(answering[0])}
        photos = reader.photos(packs)
        assert sum(shard.count for shard in reader.shards(answering[0])) <= sum(map(len, packs.values()))
    sources = found_at(home)
    return {
        photo.digest: (sources[photo.digest], packs[key].boxes.tobytes(), packs[key].vectors.tobytes())
        for key, photo in photos.items()
    }


def found_at(home: Path) -> dict[str, list[str]]:
    from archive.catalog.driver import connect_to_read

    connection = connect_to_read(home / "catalog.sqlite")
    rows = connection.execute("SELECT p.digest, s.path FROM photos p JOIN sources s ON s.photo_id = p.id").fetchall()
    connection.close()
    places: dict[str, list[str]] = {}
    for digest, path in sorted(rows):
        places.setdefault(digest.hex(), []).append(os.fsdecode(path))
    return places


def calls(card: Path, home: Path) -> dict[str, int]:
    """How often an undisturbed ingest makes each of the calls, in the thread that makes them."""
    log = home.with_name("calls")
    traced = ",".join(CHANGING)
    done = ingest(card, home, "strace", "-qq", "-o", str(log), "-e", f"trace={traced}")
    assert done.returncode == 1, done.stderr
    names = re.findall(r"^(\w+)\(", log.read_text(errors="replace"), flags=re.MULTILINE)
    return {name: names.count(name) for name in CHANGING}


def spread(counts: dict[str, int], points: int) -> list[tuple[str, int]]:
    """Points spread over all calls; opening files, which mostly reads, gets few of them."""
    weights = {name: count ** (0.5 if name == "openat" else 1.0) for name, count in counts.items() if count}
    total = sum(weights.values())
    chosen = []
    for name, weight in weights.items():
        share = min(counts[name], max(1, round(points * weight / total)))
        # The last files are opened after everything that imports opens, so begin where the work begins.
        first = counts[name] // 2 if name == "openat" else 1
        step = (counts[name] - first) / max(1, share - 1)
        chosen += [(name, round(first + step * number)) for number in range(share)]
    return sorted(set(chosen))


def violations(archive: Commands, card: Path, home: Path, expected: State) -> list[str]:
    """What is wrong after a kill, and after the run that follows it."""
    wrong = []
    if (home / "catalog.sqlite").exists():
        checked = archive("check", "--data", "--home", home, "--json")
        # Killed before the schema was committed, there is no archive yet, and nothing was acknowledged.
        unborn = "there is no archive" in checked.err or "left by a writer that was cut off" in checked.err
        if checked.code != 0 and not (unborn and not originals_in(home)):
            wrong.append(f"check ended with {checked.code}: {checked.out}{checked.err}")
    again = archive("ingest", card, "--home", home)
    if again.code != 1:
        return [*wrong, f"the next run ended with {again.code}: {again.err}"]
    if state(home) != expected:
        wrong.append("the next run ended in another state")
    if archive("check", "--data", "--home", home).code != 0:
        wrong.append("the archive is not whole after the next run")
    stray = [path.name for path in home.rglob("*") if path.is_file() and "partial" in path.name]
    return wrong + [f"left behind: {name}" for name in stray]


def originals_in(home: Path) -> list[Path]:
    return list((home / "originals").rglob("*.jpg"))


def sweep(archive: Commands, card: Path, folder: Path) -> tuple[int, list[str]]:
    """Kill an ingest at some points; returns how many were hit and everything that was wrong."""
    reference = folder / "reference"
    counts = calls(card, reference)
    expected = state(reference)
    assert len(expected) == 9
    chosen = spread(counts, POINTS)

    def kill(point: tuple[str, int]) -> bool:
        name, number = point
        tracer = ("strace", "-qq", "-o", os.devnull, "-e", f"trace={name}")
        inject = f"inject={name}:signal=KILL:when={number}"
        return ingest(card, folder / f"{name}-{number}", *tracer, "-e", inject).returncode in {KILLED, 128 - KILLED}

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        killed = [point for point, hit in zip(chosen, pool.map(kill, chosen), strict=True) if hit]
    wrong = []
    for name, number in killed:
        home = folder / f"{name}-{number}"
        wrong += [f"{name} {number}: {what}" for what in violations(archive, card, home, expected)]
        shutil.rmtree(home, ignore_errors=True)
    return len(killed), wrong


def require_strace() -> None:
    if shutil.which("strace") is None:
        pytest.skip("needs strace, which injects the kills")
    probe = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("strace may not trace here")


@pytest.mark.timeout(900)
def test_a_killed_ingest_loses_nothing_and_the_next_run_completes_it(
    archive: Commands, card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_strace()
    monkeypatch.setattr(settings, "SEAL_AT", SEAL_AT)
    hit, wrong = sweep(archive, card, tmp_path)
    assert wrong == []
    assert hit >= POINTS - 2, f"only {hit} points were hit"
