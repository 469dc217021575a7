"""A card with more files than anybody's: all in one folder, most of them junk or copies, with names made to hurt."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from archive.photos.reading import digest_of
from tests import coloured_photos
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.commands import Commands

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PHOTOS = 24
JUNK = (b"not a photo", b"", b"\xff\xd8\xff" + bytes(300), b"\x89PNG\r\n\x1a\n" + b"junk" * 40)
HOSTILE = (
    b"new\nline.jpg",
    b"\x1b[2J\x1b]0;owned\x07.jpg",
    b"\xff\xfe\x80.jpg",
    b"carriage\rreturn.jpg",
    b"'; DROP TABLE photos; --.jpg",
    b"$(reboot) `reboot` %s %n.jpg",
    "gnp\u202egpj.jpg".encode(),
    b"-rf --yes.jpg",
    b"a" * 251 + b".jpg",
    b" trailing space .jpg",
)
MEMORY_OF_A_FILE = 3 << 10
"""Bytes that an ingest may hold for each file of its source: its name, its path, and what was wrong with it."""


def crowd(folder: Path, files: int) -> None:
    """A folder of that many files: a few photos, each under many names, and as much junk; hard links take no room."""
    folder.mkdir(parents=True)
    real = coloured_photos.day(folder.with_name(f"{folder.name}-photos"), PHOTOS, NOON)
    for number, content in enumerate(JUNK):
        path = folder.with_name(f"{folder.name}-junk-{number}")
        path.write_bytes(content)
        real.append(path)
    sources = [*real[:PHOTOS], *(real[PHOTOS + number % len(JUNK)] for number in range(PHOTOS))]
    for number in range(files):
        os.link(sources[number % len(sources)], folder / f"IMG_{number:06d}.jpg")


def hostile(folder: Path) -> None:
    """Photos of their own under names that are made to hurt."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(HOSTILE):
        content = coloured_photos.jpeg({"red": (10 + 9 * number, 20, 90 + 9 * number, 90)}, NOON)
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:  # noqa: PTH118, PTH123  (bytes, not text)
            file.write(content)


def ingest(card: Path, home: Path) -> tuple[dict[str, Any], int]:
    """The real command in a process of its own: what it reports, and the most that it held, in bytes."""
    watched = (
        "import resource, runpy, sys, atexit\n"
        "atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr))\n"
        "runpy.run_module('tests.coloured_archive', run_name='__main__', alter_sys=True)\n"
    )
    environment = {**os.environ, "ARCHIVE_HOME": str(home)}
    command = [sys.executable, "-c", watched, "ingest", "--json", str(card)]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr[-2000:]
    return json.loads(done.stdout), int(done.stderr.splitlines()[-1]) * 1024


def seen(folder: Path) -> dict[bytes, tuple[int, int, int, int, str]]:
    """Everything about a folder that writing to it would change: sizes, modes, times of change, and contents."""
    found = {}
    for entry in os.scandir(os.fsencode(folder)):
        status = entry.stat()
        with open(entry.path, "rb") as file:  # noqa: PTH123  (bytes, not text)
            digest = digest_of(file.read())
        found[entry.name] = (status.st_size, status.st_mode, status.st_mtime_ns, status.st_ctime_ns, digest)
    return found


def judge(folder: Path, few: int, many: int) -> tuple[int, int]:
    """Ingest a small crowd and a large one; the bytes that each held at the most."""
    held = []
    for files in (few, many):
        crowd(folder / f"card-{files}", files)
        report, most = ingest(folder / f"card-{files}", folder / f"home-{files}")
        assert report["new"] == PHOTOS
        bad = sum(number % (2 * PHOTOS) >= PHOTOS for number in range(files))
        assert len(report["unreadable"]) == bad
        assert report["known"] == files - bad - PHOTOS
        held.append(most)
        shutil.rmtree(folder / f"card-{files}")
    return held[0], held[1]


@pytest.mark.timeout(600)
def test_a_folder_of_thousands_of_files_is_taken_in_and_each_costs_a_name_in_memory(tmp_path: Path) -> None:
    few, many = judge(tmp_path, 300, 3_000)
    assert many - few < 2_700 * MEMORY_OF_A_FILE + (8 << 20)


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_a_folder_of_a_hundred_thousand_files_is_taken_in_the_same_way(tmp_path: Path) -> None:
    few, many = judge(tmp_path, 3_000, 100_000)
    print(f"3,000 files: {few >> 20} MiB at the most, 100,000 files: {many >> 20} MiB")  # noqa: T201
    assert many - few < 97_000 * MEMORY_OF_A_FILE + (8 << 20)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A card of hostile names that is mounted so that nobody can write to it."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root, who may mount a folder read-only")
    card, mounted = tmp_path / "card", tmp_path / "mounted"
    hostile(card)
    mounted.mkdir()
    made = subprocess.run(["mount", "--bind", str(card), str(mounted)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("this system grants no mount")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(mounted)], check=True, capture_output=True)
        yield mounted
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def test_a_card_that_cannot_be_written_is_taken_in(archive: Commands, read_only: Path) -> None:
    with pytest.raises(OSError, match="Read-only"):
        (read_only / "probe").touch()
    before = seen(read_only)
    told = archive("ingest", read_only, "--json")
    assert told.code == 0, told.err
    assert told.object["new"] == len(HOSTILE)
    assert seen(read_only) == before


def test_hostile_names_are_kept_to_the_byte_and_shown_as_harmless_text(archive: Commands, tmp_path: Path) -> None:
    hostile(tmp_path / "card")
    (tmp_path / "card" / "broken\x1b[31m.jpg").write_bytes(b"no photo")
    before = seen(tmp_path / "card")
    told = archive("ingest", tmp_path / "card")
    assert told.code == 1
    assert seen(tmp_path / "card") == before, "an ingest writes nothing to a card"
    shown = told.out + told.err + archive("query", "red", "--all", "--limit", 100).out
    assert not [character for character in shown if not (character.isprintable() or character == "\n")]
    assert "broken\\x1b[31m.jpg" in told.err
    hits = archive("query", "red", "--all", "--limit", 100, "--json").object["hits"]
    assert {os.fsencode(hit["photo"]["name"]) for hit in hits} == set(HOSTILE)
    saved = tmp_path / "saved"
    assert archive("query", "red", "--all", "--limit", 100, "--save", saved).code in {0, 1}
    assert len(list(saved.iterdir())) == len(HOSTILE), "each lies in the folder that was named, and nowhere else"
