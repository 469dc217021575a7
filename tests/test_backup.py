"""Backup and restore: the way home is whole, whatever stopped it, and touches nothing that is not its own."""

from __future__ import annotations

import json
import shutil
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from archive import settings as archive_settings
from archive.catalog.copying import copy_catalog
from archive.originals import Originals
from tests import coloured_photos

if TYPE_CHECKING:
    from pathlib import Path

    from archive.settings import Settings
    from tests.commands import Commands

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    coloured_photos.day(tmp_path / "card", 8, NOON)
    return tmp_path / "card"


@pytest.fixture
def filled(archive: Commands, card: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """An archive of eight photos, sealed into a shard."""
    monkeypatch.setattr(archive_settings, "SEAL_AT", 10)
    assert archive("ingest", card).code == 0
    return archive


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return tmp_path / "disk" / "backup"


def hits(archive: Commands, *options: object) -> object:
    found = archive("query", "red", "--all", "--limit", 20, "--json", *options).object["hits"]
    return [(hit["photo"]["digest"], hit["photo"]["captured_at"], hit["score"], hit["boxes"]) for hit in found]


def files(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_ino, path.stat().st_size) for path in folder.rglob("*") if path.is_file()}


def test_a_restored_archive_is_whole_and_answers_as_before(filled: Commands, disk: Path, tmp_path: Path) -> None:
    before = hits(filled)
    told = filled("backup", disk)
    assert told.code == 0
    assert told.out.startswith("8 originals copied")
    elsewhere = tmp_path / "other machine"
    restored = filled("restore", disk, "--home", elsewhere)
    assert restored.code == 0
    assert restored.out.splitlines()[1].startswith("8 originals restored")
    assert filled("check", "--data", "--home", elsewhere).code == 0
    assert hits(filled, "--home", elsewhere) == before
    assert filled("status", "--json", "--home", elsewhere).object["answering"]["shards"] == 1


def test_a_second_backup_copies_only_what_is_new(filled: Commands, disk: Path, card: Path) -> None:
    filled("backup", disk)
    before = files(disk / "originals")
    coloured_photos.write(card / "new.jpg", {"green": (0, 0, 90, 90)}, NOON)
    filled("ingest", card)
    assert filled("backup", disk, "--json").object["copied"] == 1
    after = files(disk / "originals")
    assert {name: after[name] for name in before} == before
    assert len(after) == 9
    assert len(list(disk.glob("catalog-*.sqlite"))) == 1


def test_a_backup_names_what_it_holds(filled: Commands, disk: Path) -> None:
    filled("backup", disk)
    held = filled("restore", disk, "--dry-run", "--json").object
    assert (held["backup"]["photos"], held["backup"]["pair"], held["failed"]) == (8, "custom", [])
    words = filled("restore", disk, "--dry-run").out
    assert "8 photos, taken 2026-11-20 to 2026-11-20" in words
    assert "8 originals are there, 0 are not" in words


def test_a_backup_that_lost_or_altered_an_original_says_which(filled: Commands, disk: Path, tmp_path: Path) -> None:
    filled("backup", disk)
    lost, altered, *_ = sorted((disk / "originals").rglob("*.jpg"))
    lost.unlink()
    altered.chmod(0o600)
    altered.write_bytes(altered.read_bytes()[:-1] + b"x")
    assert len(filled("restore", disk, "--dry-run", "--json").object["failed"]) == 1
    assert len(filled("restore", disk, "--dry-run", "--data", "--json").object["failed"]) == 2
    restored = filled("restore", disk, "--home", tmp_path / "other")
    assert restored.code == 1
    assert restored.err.count("not in the backup") == 2
    assert filled("backup", disk, "--verify", "--json").object["copied"] == 2
    assert filled("restore", disk, "--dry-run", "--data").code == 0


def test_an_altered_catalog_is_never_restored(filled: Commands, disk: Path, tmp_path: Path) -> None:
    filled("backup", disk)
    (catalog,) = disk.glob("catalog-*.sqlite")
    content = bytearray(catalog.read_bytes())
    content[len(content) // 2] ^= 1
    catalog.write_bytes(content)
    done = filled("restore", disk, "--home", tmp_path / "other")
    assert done.code == 3
    assert not (tmp_path / "other").exists()


def stop(*_arguments: object, **_options: object) -> None:
    raise KeyboardInterrupt


def test_a_first_backup_that_was_cut_off_is_not_taken_for_one_and_goes_on(
    filled: Commands, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Originals.put
    copied: list[object] = []

    def cut(self: Originals, *arguments: object) -> object:
        if len(copied) == 5:
            raise KeyboardInterrupt
        copied.append(arguments)
        return put(self, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as cutting:
        cutting.setattr(Originals, "put", cut)
        assert filled("backup", disk).code == 130
    refused = filled("restore", disk, "--home", tmp_path / "other")
    assert refused.code == 3
    assert "never finished" in refused.err
    assert filled("backup", disk, "--json").object["copied"] == 3
    assert filled("restore", disk, "--home", tmp_path / "other").code == 0


def test_a_first_backup_that_was_cut_off_in_its_first_file_goes_on(filled: Commands, disk: Path) -> None:
    disk.mkdir(parents=True)
    (disk / "archive-backup.json.new").write_bytes(b'{"arch')
    assert filled("backup", disk).code == 0
    assert not list(disk.glob("*.json.new"))


def test_half_an_original_that_a_killed_restore_left_is_cleared_away(
    filled: Commands, disk: Path, tmp_path: Path
) -> None:
    filled("backup", disk)
    first, second = disk / "originals" / "00", tmp_path / "other" / "originals" / "00"
    for folder in (first, second):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".new-abc").write_bytes(b"half")
    assert filled("backup", disk).code == 0
    assert filled("restore", disk, "--home", tmp_path / "other").code == 0
    assert not (first / ".new-abc").exists()
    assert not (second / ".new-abc").exists()


def test_until_its_last_step_the_backup_before_stays_good(
    filled: Commands, disk: Path, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled("backup", disk)
    coloured_photos.write(card / "new.jpg", {"green": (0, 0, 90, 90)}, NOON)
    filled("ingest", card)
    with monkeypatch.context() as cutting:
        cutting.setattr("archive.backup._dumped", stop)
        assert filled("backup", disk).code == 130
    assert filled("restore", disk, "--dry-run", "--data", "--json").object["backup"]["photos"] == 8


def test_a_restore_that_was_cut_off_goes_on(
    filled: Commands, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hits(filled)
    filled("backup", disk)
    elsewhere = tmp_path / "other"
    with monkeypatch.context() as cutting:
        cutting.setattr("archive.backup._copy_file", stop)
        assert filled("restore", disk, "--home", elsewhere).code == 130
    assert filled("status", "--home", elsewhere).code == 3
    assert filled("restore", disk, "--home", elsewhere, "--json").object["copied"] == 0
    assert hits(filled, "--home", elsewhere) == before


def test_an_archive_that_is_there_is_never_restored_over(filled: Commands, disk: Path) -> None:
    filled("backup", disk)
    done = filled("restore", disk)
    assert done.code == 2
    assert "already" in done.err


def test_a_folder_that_is_something_else_is_left_alone(
    filled: Commands, tmp_path: Path, home: Path, card: Path, settings: Settings
) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "letter.txt").write_text("mine")
    for place in (tmp_path / "documents", home / "backup", tmp_path):
        assert filled("backup", place).code == 2
    assert [path.name for path in (tmp_path / "documents").iterdir()] == ["letter.txt"]
    assert filled("ingest", card, "--home", tmp_path / "second").code == 0
    assert filled("backup", tmp_path / "disk").code == 0
    assert filled("backup", tmp_path / "disk", "--home", tmp_path / "second").code == 2


def test_what_was_forgotten_is_erased_from_the_backup_too(filled: Commands, disk: Path) -> None:
    filled("backup", disk)
    digest = filled("query", "red", "--all", "--json").object["hits"][0]["photo"]["digest"]
    filled("forget", digest, "--yes")
    assert filled("backup", disk, "--json").object["erased"] == 1
    left = [path for path in disk.rglob("*") if path.is_file()]
    assert not any(digest in path.name or bytes.fromhex(digest) in path.read_bytes() for path in left)
    assert filled("restore", disk, "--dry-run", "--data").code == 0


def test_a_damaged_original_does_not_end_a_backup_nor_reach_it(filled: Commands, home: Path, disk: Path) -> None:
    path = sorted((home / "originals").rglob("*.jpg"))[0]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    done = filled("backup", disk)
    assert done.code == 1
    assert "not copied: photo" in done.err
    assert len(list((disk / "originals").rglob("*.jpg"))) == 7


def test_everything_in_a_backup_is_the_owner_s_alone(filled: Commands, disk: Path) -> None:
    filled("backup", disk)
    for path in [disk, *disk.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_backup_needs_no_writer_lock_and_sees_one_consistent_state(
    filled: Commands, disk: Path, card: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ingest_meanwhile(path: Path, copy: Path) -> None:
        copy_catalog(path, copy)
        coloured_photos.write(card / "late.jpg", {"blue": (0, 0, 90, 90)}, NOON)
        assert filled("ingest", card).code == 0

    monkeypatch.setattr("archive.backup.copy_catalog", ingest_meanwhile)
    told = filled("backup", disk, "--json")
    assert (told.code, told.object["backup"]["photos"]) == (0, 8)
    assert filled("restore", disk, "--dry-run", "--data").code == 0
    assert json.loads((disk / "archive-backup.json").read_text())["complete"] is True


def test_towers_go_along(filled: Commands, home: Path, disk: Path, tmp_path: Path) -> None:
    (home / "towers" / "space").mkdir(parents=True)
    (home / "towers" / "space" / "tower.json").write_text("{}")
    filled("backup", disk)
    shutil.rmtree(home)
    assert filled("restore", disk).code == 0
    assert (home / "towers" / "space" / "tower.json").read_text() == "{}"


def test_there_is_nothing_to_back_up_before_the_first_photo(archive: Commands, disk: Path, home: Path) -> None:
    assert archive("backup", disk).code == 3
    assert archive("models", "use", "--segmenter", "colours", "--embedder", "colours").code == 0
    done = archive("backup", disk)
    assert (done.code, done.err) == (
        3,
        f"archive: the archive at {home} has no photos yet; run: archive ingest FOLDER\n",
    )
    assert not disk.exists()


def test_an_archive_of_which_every_photo_was_forgotten_still_empties_its_backup(filled: Commands, disk: Path) -> None:
    assert filled("backup", disk).code == 0
    assert filled("forget", "--after", "2026-01-01", "--yes").code == 0
    assert filled("backup", disk, "--json").object["erased"] == 8
    assert list((disk / "originals").rglob("*.jpg")) == []
