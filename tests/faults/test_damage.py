"""What happens to an archive that no call returns an error for: bits flip, disks fill, old copies return.

A query then answers as the oracle does, without the photos that are damaged, or says what is wrong; it is never wrong.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from archive import settings
from archive.catalog.copying import copy_catalog
from archive.catalog.driver import connect_to_write
from tests import coloured_photos
from tests.faults.operations import NOON, Place, prepare
from tests.faults.oracle import differences, expected, unsound
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.commands import Commands

FLIPS_IN_CI = 3
SIZES_IN_CI = (4, 6)
"""Megabytes of a disk that fills up: before the catalog's first photos, and among the last."""


@pytest.fixture
def place(archive: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An archive of five photos, sealed into a shard, all of it in its main files."""
    monkeypatch.setattr(settings, "SEAL_AT", 6)
    made = prepare(archive, tmp_path / "prepared", "backup")
    with closing(connect_to_write(made.home / "catalog.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return made


def flip(path: Path, random: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.chmod(0o600)
    path.write_bytes(content)


def rotten(archive: Commands, place: Place, kind: str, seed: int) -> list[str]:
    """Flip one bit of a file of that kind; what is wrong then."""
    victim = shutil.copytree(place.folder, place.folder.with_name(f"{kind}-{seed}"))
    home = Place(victim).home
    files = {"catalog": [home / "catalog.sqlite"], "shard": sorted((home / "index").rglob("*.shard"))}
    files["original"] = sorted((home / "originals").rglob("*.jpg"))
    chance = random.Random(seed)
    flip(chance.choice(files[kind]), chance)
    truth = expected(place.photos)
    asked = archive("query", "red", "--all", "--home", home, "--json")
    if kind != "catalog":
        wrong = differences(archive, home, truth, {})
        found = archive("check", "--data", "--home", home)
        return wrong if found.code == 3 else [*wrong, "check found nothing"]
    # A flipped bit of a page may be in its free space, in a name, or in what SQLite itself stands on.
    if asked.code == 3:
        return [] if asked.err.count("\n") == 1 else [f"it said {asked.err}"]
    return differences(archive, home, {}, truth)


@pytest.mark.parametrize("kind", ["catalog", "shard", "original"])
def test_a_flipped_bit_is_found_and_never_makes_an_answer_wrong(archive: Commands, place: Place, kind: str) -> None:
    assert [what for seed in range(FLIPS_IN_CI) for what in rotten(archive, place, kind, seed)] == []


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", ["catalog", "shard", "original"])
def test_of_many_flipped_bits_none_makes_an_answer_wrong(archive: Commands, place: Place, kind: str) -> None:
    wrong = [what for seed in range(100, 300) for what in rotten(archive, place, kind, seed)]
    print(f"{kind}: 200 flipped bits, {len(wrong)} violations")  # noqa: T201  (the figure that a sweep is for)
    assert wrong == []


def test_an_older_catalog_under_a_newer_index_answers_with_what_it_knows(archive: Commands, place: Place) -> None:
    older = place.folder / "older.sqlite"
    copy_catalog(place.home / "catalog.sqlite", older)
    late = coloured_photos.day(place.folder / "late", 6, NOON + timedelta(days=1), every=61)
    for number, path in enumerate(late):  # other bytes than the first day's
        coloured_photos.write(path, {"red": (9 * number, 20, 9 * number + 60, 80)}, NOON + timedelta(days=1))
    assert archive("ingest", place.folder / "late", "--home", place.home).code == 0
    for name in ("catalog.sqlite-wal", "catalog.sqlite-shm"):
        (place.home / name).unlink(missing_ok=True)
    older.replace(place.home / "catalog.sqlite")
    assert differences(archive, place.home, expected(place.photos), {}) == []
    assert archive("ingest", "--home", place.home).out.startswith("6 new")
    assert differences(archive, place.home, expected([*place.photos, *late]), {}) == []
    assert unsound(archive("check", "--data", "--home", place.home)) == []


def test_of_two_ingests_at_once_one_waits_its_turn_and_both_end_with_every_photo(
    archive: Commands, tmp_path: Path
) -> None:
    photos = coloured_photos.day(tmp_path / "card", 12, NOON)
    environment = {**os.environ, "ARCHIVE_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "tests.coloured_archive", "ingest", str(tmp_path / "card")]
    both = [
        subprocess.Popen(command, cwd=CHECKOUT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    codes = sorted(process.wait(timeout=240) for process in both)
    for process in both:
        process.communicate()
    assert codes in ([0, 0], [0, 75])
    assert differences(archive, tmp_path / "home", expected(photos), {}) == []
    assert unsound(archive("check", "--data", "--home", tmp_path / "home")) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder to mount small disks on."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root, who may mount a small disk")
    folder = tmp_path / "small"
    folder.mkdir()
    yield folder
    subprocess.run(["umount", "--quiet", str(folder)], check=False)


def mount(folder: Path, megabytes: float) -> None:
    options = f"size={int(megabytes * 1024)}k,mode=0700"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("this system grants no mount")


def filled_up(archive: Commands, folder: Path, card: Path, photos: list[Path], megabytes: float) -> list[str]:
    """Ingest onto a disk of that size; what is wrong when it fills, and after it was made larger."""
    mount(folder, megabytes)
    home, truth = folder / "home", expected(photos)
    first = archive("ingest", card, "--home", home)
    wrong = (
        [] if first.code in {0, 3} and "Traceback" not in first.err else [f"it ended with {first.code}: {first.err}"]
    )
    if first.code == 3 and (home / "originals").exists():
        wrong += differences(archive, home, {}, truth)
    grown = ["mount", "-o", "remount,size=64m", str(folder)]
    subprocess.run(grown, check=True, capture_output=True)
    again = archive("ingest", card, "--home", home)
    wrong += [] if again.code == 0 else [f"with room, it ended with {again.code}: {again.err}"]
    wrong += differences(archive, home, truth, {}) + unsound(archive("check", "--data", "--home", home))
    subprocess.run(["umount", str(folder)], check=True)
    return [f"{megabytes} MB: {what}" for what in wrong]


@pytest.fixture
def large_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Photos of a few megabytes in all, and an ingest that does not look at the room there is."""
    monkeypatch.setattr("archive.ingest.require_room", lambda *_arguments: None)
    monkeypatch.setattr(settings, "SEAL_AT", 6)
    paths = coloured_photos.day(tmp_path / "card", 6, NOON)
    for number, path in enumerate(paths):
        path.write_bytes(path.read_bytes() + random.Random(number).randbytes(1_000_000))
    return paths


def test_a_disk_that_fills_up_loses_nothing(
    archive: Commands, small_disk: Path, tmp_path: Path, large_card: list[Path]
) -> None:
    found = [filled_up(archive, small_disk, tmp_path / "card", large_card, size) for size in SIZES_IN_CI]
    assert [what for wrong in found for what in wrong] == []


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_disk_of_any_size_that_fills_up_loses_nothing(
    archive: Commands, small_disk: Path, tmp_path: Path, large_card: list[Path]
) -> None:
    sizes = [step / 8 for step in range(2, 66)]
    wrong = [what for size in sizes for what in filled_up(archive, small_disk, tmp_path / "card", large_card, size)]
    print(f"{len(sizes)} sizes of a disk, {len(wrong)} violations")  # noqa: T201  (the figure that a sweep is for)
    assert wrong == []
