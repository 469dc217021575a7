"""Status and check: what is there is told, what is damaged is named, what is only a cache loses nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from archive import settings as archive_settings
from archive.catalog.driver import connect_to_write
from tests import coloured_photos

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def filled(archive: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """An archive of eight photos, sealed into a shard."""
    monkeypatch.setattr(archive_settings, "SEAL_AT", 10)
    coloured_photos.day(tmp_path / "card", 8, NOON)
    assert archive("ingest", tmp_path / "card").code == 0
    return archive


def an_original(home: Path) -> Path:
    return sorted((home / "originals").rglob("*.jpg"))[0]


def test_status_counts_what_is_there(filled: Commands, home: Path) -> None:
    told = filled("status", "--json").object
    assert (told["photos"], told["sources"], told["captured_by"]) == (8, 8, {"exif": 8})
    assert (told["first"], told["last"]) == ("2026-11-20T12:00:00Z", "2026-11-20T12:07:00Z")
    assert told["bytes"]["originals"] == sum(path.stat().st_size for path in (home / "originals").rglob("*.jpg"))
    assert told["answering"]["segments"] == 16
    assert (told["answering"]["shards"], told["answering"]["segments_outside_shards"]) == (1, 0)
    assert told["wanted"] is None


def test_status_for_people_names_the_pair_and_what_is_pending(filled: Commands) -> None:
    words = filled("status").out
    assert "8," in words
    assert "custom: colours" in words
    assert "pending   nothing" in words


def test_a_fresh_archive_is_whole(filled: Commands) -> None:
    for options in ((), ("--data",)):
        done = filled("check", *options)
        assert done.code == 0, done.out
        assert done.out.startswith("the archive is whole")
    assert filled("check", "--json").object == {"whole": True, "data": False, "findings": []}


def test_a_missing_original_is_damage(filled: Commands, home: Path) -> None:
    an_original(home).unlink()
    done = filled("check")
    assert done.code == 3
    assert "damage: the original of photo" in done.out
    assert "is missing" in done.out


def test_a_shortened_original_is_found_by_its_size(filled: Commands, home: Path) -> None:
    path = an_original(home)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    assert "has the wrong size" in filled("check").out


def test_one_flipped_bit_of_an_original_is_found_when_data_is_read(filled: Commands, home: Path) -> None:
    path = an_original(home)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    assert filled("check").code == 0
    done = filled("check", "--data")
    assert done.code == 3
    assert "cannot be trusted" in done.out


def test_one_flipped_bit_of_the_vectors_is_found(filled: Commands, settings: archive_settings.Settings) -> None:
    connection = connect_to_write(settings.catalog)
    (blob,) = connection.execute("SELECT vectors FROM packs WHERE id = 3").fetchone()
    connection.execute("UPDATE packs SET vectors = ? WHERE id = 3", (bytes([blob[0] ^ 1]) + blob[1:],))
    connection.close()
    assert filled("check").code == 3


def test_a_damaged_shard_is_a_cache_to_rebuild_and_reindex_does(filled: Commands, home: Path) -> None:
    before = filled("query", "red", "--json").object["hits"]
    (shard,) = (home / "index").rglob("*.shard")
    shard.chmod(0o600)
    shard.write_bytes(shard.read_bytes()[:-100])
    done = filled("check")
    assert done.code == 3
    assert "cache: " in done.out
    assert "archive reindex" in done.out
    assert filled("query", "red", "--json").object["hits"] == before
    assert "1 shards written" in filled("reindex").out
    assert filled("check").code == 0
    assert filled("query", "red", "--json").object["hits"] == before


def test_without_an_archive_status_and_check_name_the_first_command(archive: Commands) -> None:
    for command in ("status", "check"):
        done = archive(command)
        assert done.code == 3
        assert "archive ingest" in done.err
