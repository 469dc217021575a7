"""Repair: what can be made again is made again, what cannot be trusted is set aside, and nothing is deleted."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from archive import parts
from archive import settings as archive_settings
from archive.catalog.driver import connect_to_write
from archive.catalog.writer import Catalog
from archive.originals import Originals
from archive.photos.reading import digest_of
from tests import coloured_photos
from tests.faults.operations import OtherEmbedder

if TYPE_CHECKING:
    from pathlib import Path

    from archive.settings import Settings
    from tests.commands import Commands

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def filled(archive: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """An archive of six photos, sealed into a shard."""
    monkeypatch.setattr(archive_settings, "SEAL_AT", 10)
    coloured_photos.day(tmp_path / "card", 6, NOON)
    assert archive("ingest", tmp_path / "card").code == 0
    return archive


def harm(home: Path, settings: Settings, card: Path) -> None:
    """One of everything: a rotten pack, a cut shard, an altered and a lost original, a stray and a waiting one."""
    with closing(connect_to_write(settings.catalog)) as connection:
        connection.execute("UPDATE packs SET crc = crc + 1 WHERE photo_id = 2")
    (shard,) = (home / "index").rglob("*.shard")
    shard.write_bytes(shard.read_bytes()[:-10])
    with closing(connect_to_write(settings.catalog)) as connection:
        rows = connection.execute("SELECT digest FROM photos WHERE id IN (4, 5) ORDER BY id").fetchall()
    altered, lost = (Originals(settings.originals).path(digest.hex(), ".jpg") for (digest,) in rows)
    lost.unlink()
    altered.chmod(0o600)
    altered.write_bytes(altered.read_bytes()[:-1] + b"x")
    (home / "originals" / "ab").mkdir(exist_ok=True)
    (home / "originals" / "ab" / f"{'ab' * 32}.jpg").write_bytes(b"stray")
    waiting = coloured_photos.jpeg({"green": (0, 0, 99, 99)}, NOON)
    Originals(settings.originals).put(waiting, digest_of(waiting), ".jpg", None)


def contents(home: Path) -> set[str]:
    """The digests of all files below the originals and of those set aside."""
    folders = (home / "originals", home / "set-aside")
    return {digest_of(path.read_bytes()) for folder in folders for path in folder.rglob("*") if path.is_file()}


def test_a_whole_archive_has_nothing_to_repair(filled: Commands) -> None:
    assert (filled("repair").code, filled("repair").out) == (0, "nothing is wrong\n")


def test_a_dry_run_names_everything_and_changes_nothing(
    filled: Commands, home: Path, settings: Settings, tmp_path: Path
) -> None:
    harm(home, settings, tmp_path / "card")
    before = contents(home)
    told = filled("repair", "--data", "--json")
    assert told.code == 3
    plan = told.object
    assert (plan["altered"], plan["lost"], plan["damaged_vectors"], plan["waiting"]) == ([4], [5], 1, 1)
    assert (len(plan["misnamed"]), plan["shards"], plan["done"]) == (1, 1, False)
    assert "would set aside" in filled("repair", "--data").out
    assert contents(home) == before
    assert not (home / "set-aside").exists()


def test_repair_makes_whole_what_the_card_and_the_originals_can_give_and_loses_no_byte(
    filled: Commands, home: Path, settings: Settings, tmp_path: Path
) -> None:
    answer = filled("query", "red", "--json").object["hits"]
    harm(home, settings, tmp_path / "card")
    before = contents(home)
    done = filled("repair", "--data", "--yes")
    assert done.code == 3
    assert done.err.count("brings it back") == 2
    assert before <= contents(home)
    assert filled("ingest", tmp_path / "card").code == 0
    assert filled("check", "--data").code == 0, filled("check", "--data").out
    assert filled("repair", "--data").code == 0
    assert filled("query", "red", "--json").object["hits"][0]["photo"] == answer[0]["photo"]


def test_rotten_vectors_of_a_pair_that_was_left_behind_just_go(
    filled: Commands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(parts.EMBEDDERS, "other", OtherEmbedder)
    assert filled("models", "use", "--segmenter", "colours", "--embedder", "other").code == 0
    assert filled("reindex").code == 0
    with closing(connect_to_write(settings.catalog)) as connection:
        connection.execute("UPDATE packs SET crc = crc + 1 WHERE photo_id = 2 AND pair_id = 1")
    assert filled("check").code == 3
    assert filled("repair", "--yes").code == 0
    assert filled("check", "--data").code == 0


def broken_shards(settings: Settings, pair_id: int) -> None:
    shards = [path for path in (settings.shards / str(pair_id)).iterdir() if path.suffix == ".shard"]
    assert shards
    for path in shards:
        path.write_bytes(path.read_bytes()[:-10])


@pytest.fixture
def changing(filled: Commands, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The same in the middle of changing the pair: the new one has seen five of six photos, and has a shard too."""
    monkeypatch.setitem(parts.EMBEDDERS, "other", OtherEmbedder)
    assert filled("models", "use", "--segmenter", "colours", "--embedder", "other").code == 0
    assert filled("reembed", "--photos", 5).code == 0
    return filled


def test_in_the_middle_of_a_changeover_broken_shards_are_mended_and_nothing_is_embedded(
    changing: Commands, settings: Settings
) -> None:
    for pair_id in (1, 2):
        broken_shards(settings, pair_id)
    assert changing("check").code == 3
    assert changing("repair", "--yes").code == 0
    assert changing("check", "--data").code == 0
    told = changing("status", "--json").object
    assert (told["answering"]["space"], told["wanted"]["pending"]) == ("colours@1", 1)


def test_in_the_middle_of_a_changeover_rotten_vectors_come_back_to_the_pair_that_answers(
    changing: Commands, settings: Settings
) -> None:
    before = changing("query", "red", "--json").object
    with closing(connect_to_write(settings.catalog)) as connection:
        connection.execute("UPDATE packs SET crc = crc + 1 WHERE photo_id = 2")
    assert changing("repair", "--yes").code == 0
    assert changing("check", "--data").code == 0
    assert changing("query", "red", "--json").object["hits"] == before["hits"]
    told = changing("status", "--json").object
    assert (told["answering"]["pending"], told["wanted"]["pending"]) == (0, 2)
    assert changing("reembed", "--json").object["switched"]


def interrupt(archive: Commands, folder: Path, colour: str, *words: object) -> None:
    """An ingest of one photo that is killed between its original and its row."""
    coloured_photos.write(folder / "1.jpg", {colour: (40, 60, 120, 130)}, NOON)

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Catalog, "add_photo", killed)
        assert archive("ingest", folder, *words).code == 130


def test_what_interrupted_runs_of_wearers_left_becomes_theirs(filled: Commands, tmp_path: Path) -> None:
    interrupt(filled, tmp_path / "anna", "blue", "--wearer", "anna")
    interrupt(filled, tmp_path / "ben", "green", "--wearer", "ben")
    interrupt(filled, tmp_path / "nobody", "yellow")
    assert filled("repair", "--json").object["waiting"] == 3
    assert "if it was somebody's" in filled("check").out
    done = filled("repair", "--yes")
    assert (done.code, done.err) == (0, "")
    assert filled("check", "--data").code == 0
    for name, others in (("anna", "ben"), ("ben", "anna")):
        assert filled("ingest", tmp_path / name, "--wearer", name, "--json").object["known"] == 1
        assert filled("ingest", tmp_path / others, "--wearer", name, "--dry-run", "--json").object["new"] == 1
    assert filled("ingest", tmp_path / "nobody", "--json").object["known"] == 1


def test_what_a_run_of_an_unknown_wearer_left_is_named_with_the_command_that_takes_it_in(
    filled: Commands, settings: Settings, tmp_path: Path
) -> None:
    interrupt(filled, tmp_path / "anna", "blue", "--wearer", "anna")
    with closing(connect_to_write(settings.catalog)) as connection:
        connection.execute("DELETE FROM wearers")
    done = filled("repair", "--yes")
    assert done.code == 3
    digest = digest_of((tmp_path / "anna" / "1.jpg").read_bytes())
    assert done.err == (
        f"left: {digest} is of a wearer whom the catalog does not know; take its card in with: "
        "archive ingest FOLDER --wearer NAME\n"
    )
    assert filled("ingest", tmp_path / "anna", "--wearer", "anna", "--json").object["new"] == 1
    assert filled("repair").code == 0


def test_originals_come_back_from_a_backup(filled: Commands, home: Path, settings: Settings, tmp_path: Path) -> None:
    assert filled("backup", tmp_path / "disk").code == 0
    harm(home, settings, tmp_path / "card")
    done = filled("repair", "--data", "--from", tmp_path / "disk", "--yes")
    assert done.code == 0, done.err
    assert filled("check", "--data").code == 0


def test_a_catalog_that_sqlite_cannot_read_is_beyond_repair_and_says_what_to_do(
    filled: Commands, settings: Settings
) -> None:
    with closing(connect_to_write(settings.catalog)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(settings.catalog.read_bytes())
    content[5 * 16_384 : 5 * 16_384 + 4_096] = bytes(4_096)
    settings.catalog.write_bytes(content)
    done = filled("repair", "--yes")
    assert done.code == 3
    assert "archive restore" in done.err


def test_a_sample_of_the_originals_is_hashed(filled: Commands, home: Path) -> None:
    for path in (home / "originals").rglob("*.jpg"):
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert filled("check", "--data", "--sample", 100).out.count("cannot be trusted") == 6
    assert filled("check", "--data", "--sample", 0.0001).code == 0
    assert filled("check", "--sample", 10).code == 2
