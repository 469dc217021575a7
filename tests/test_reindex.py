"""Changing the pair: every photo is embedded anew, and until the last one is, the old pair answers."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from archive import parts
from archive import settings as archive_settings
from archive.catalog.driver import connect_to_write
from archive.segmenters.whole import WholeSegmenter
from tests import coloured_photos
from tests.fakes import ColourEmbedder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from archive.settings import Settings
    from archive.types import Pixels, Vectors
    from tests.commands import Commands

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class OtherEmbedder(ColourEmbedder):
    """The same colours, in a space of another name."""

    space = "colours@2"


class FailingEmbedder(OtherEmbedder):
    """Stops at its fourth photo, as a power cut would."""

    photos = 0

    def embed_images(self, crops: Sequence[Pixels]) -> Vectors:
        FailingEmbedder.photos += 1
        if FailingEmbedder.photos == 4:
            raise KeyboardInterrupt
        return super().embed_images(crops)


@pytest.fixture
def filled(archive: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """An archive of twelve photos, and other parts to change to."""
    monkeypatch.setitem(parts.EMBEDDERS, "other", OtherEmbedder)
    coloured_photos.day(tmp_path / "card", 12, NOON)
    assert archive("ingest", tmp_path / "card").code == 0
    return archive


def rot(settings: Settings, photo: int) -> None:
    """Flip a bit of a photo's vectors, as a failing disk does."""
    with closing(connect_to_write(settings.catalog)) as connection:
        (blob,) = connection.execute("SELECT vectors FROM packs WHERE photo_id = ?", (photo,)).fetchone()
        altered = bytes([blob[0] ^ 1]) + blob[1:]
        connection.execute("UPDATE packs SET vectors = ? WHERE photo_id = ?", (altered, photo))


def space_of(archive: Commands) -> str:
    space: str = archive("query", "red", "--json").object["searched"]["space"]
    return space


def test_the_old_pair_answers_until_the_new_one_has_seen_every_photo(filled: Commands) -> None:
    told = filled("models", "use", "--segmenter", "colours", "--embedder", "other")
    assert "12 photos wait" in told.out
    assert space_of(filled) == "colours@1"
    assert "12 photos to embed" in filled("status").out
    assert filled("reindex").out.startswith("12 photos embedded, 0 failed")
    assert space_of(filled) == "colours@2"
    assert filled("check").code == 0


def test_a_reindex_that_was_cut_off_goes_on(filled: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    filled("models", "use", "--segmenter", "colours", "--embedder", "other")
    FailingEmbedder.photos = 0
    monkeypatch.setitem(parts.EMBEDDERS, "other", FailingEmbedder)
    assert filled("reindex").code == 130
    assert space_of(filled) == "colours@1"
    monkeypatch.setitem(parts.EMBEDDERS, "other", OtherEmbedder)
    rest = int(filled("reindex").out.split(" ")[0])
    assert 0 < rest < 12
    assert space_of(filled) == "colours@2"


def test_photos_that_come_in_meanwhile_are_answered_with_the_old_pair(filled: Commands, tmp_path: Path) -> None:
    filled("models", "use", "--segmenter", "colours", "--embedder", "other")
    extra = coloured_photos.write(tmp_path / "extra.jpg", {"yellow": (0, 0, 90, 90)}, NOON)
    assert filled("ingest", extra, "--no-reembed").code == 0
    assert filled("query", "yellow", "--json").object["hits"][0]["photo"]["name"] in {"extra.jpg", "IMG_0003.jpg"}
    assert filled("reindex").out.startswith("13 photos embedded")


def test_one_original_that_cannot_be_read_does_not_keep_the_new_pair_from_answering(
    filled: Commands, home: Path
) -> None:
    filled("models", "use", "--segmenter", "colours", "--embedder", "other")
    sorted((home / "originals").rglob("*.jpg"))[0].unlink()
    done = filled("reindex")
    assert done.code == 1
    assert "not embedded: photo" in done.err
    assert space_of(filled) == "colours@2"
    assert filled("query", "red", "--all", "--json").object["searched"]["photos"] == 11


def test_where_many_originals_cannot_be_read_the_old_pair_goes_on_answering(filled: Commands, home: Path) -> None:
    filled("models", "use", "--segmenter", "colours", "--embedder", "other")
    for path in sorted((home / "originals").rglob("*.jpg"))[:3]:
        path.unlink()
    assert filled("reindex").code == 1
    assert space_of(filled) == "colours@1"


def test_a_photo_whose_vectors_are_damaged_is_passed_over_and_then_embedded_anew(
    filled: Commands, settings: Settings
) -> None:
    before = filled("query", "red", "--all", "--limit", 20, "--json").object["hits"]
    rot(settings, photo=3)
    asked = filled("query", "red", "--all", "--limit", 20, "--json")
    assert asked.code == 0
    assert {hit["photo"]["id"] for hit in asked.object["hits"]} == {hit["photo"]["id"] for hit in before} - {3}
    assert "1 photos were passed over" in filled("query", "red").err
    assert filled("check").code == 3
    assert filled("reindex").out.startswith("1 photos embedded, 0 failed")
    assert filled("check").code == 0
    assert filled("query", "red", "--all", "--limit", 20, "--json").object["hits"] == before


def test_vectors_that_rotted_in_a_sealed_shard_are_sealed_anew(
    archive: Commands, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_settings, "SEAL_AT", 10)
    coloured_photos.day(tmp_path / "card", 12, NOON)
    assert archive("ingest", tmp_path / "card").code == 0
    before = archive("query", "red", "--json").object["hits"]
    rot(settings, photo=1)
    assert archive("query", "red", "--json").code == 0
    assert archive("reindex").out.startswith("1 photos embedded, 0 failed")
    assert archive("check").code == 0
    assert archive("query", "red", "--json").object["hits"] == before


def test_where_every_vector_is_damaged_the_query_says_so(filled: Commands, settings: Settings) -> None:
    for photo in range(1, 13):
        rot(settings, photo)
    done = filled("query", "red")
    assert done.code == 3
    assert "archive repair" in done.err


def test_a_reindex_with_nothing_to_do_does_nothing(filled: Commands) -> None:
    assert filled("reindex").out == "0 photos embedded, 0 failed, 0 shards written\n"


def test_whole_photos_are_a_segmenter_of_their_own(
    archive: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coloured_photos.day(tmp_path / "card", 6, NOON)
    archive("ingest", tmp_path / "card", "--segmenter", "whole")
    assert archive("status", "--json").object["answering"]["segments"] == 6
    assert WholeSegmenter().name in archive("status").out


def test_a_pair_can_be_chosen_before_the_first_photo(archive: Commands, tmp_path: Path) -> None:
    assert archive("models", "use", "--segmenter", "grid", "--embedder", "colours").code == 0
    coloured_photos.day(tmp_path / "card", 2, NOON)
    assert archive("ingest", tmp_path / "card", "--segmenter", "grid").code == 0
    assert "grid" in archive("status", "--json").object["answering"]["segmenter"]


def test_choosing_nothing_or_two_things_is_wrong_usage(archive: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARCHIVE_SEGMENTER")
    monkeypatch.delenv("ARCHIVE_EMBEDDER")
    assert archive("models", "use").code == 2
    assert archive("models", "use", "standard", "--segmenter", "grid").code == 2
    unknown = archive("models", "use", "gigantic")
    assert unknown.code == 2
    assert "standard" in unknown.err


@pytest.mark.parametrize("command", ["reindex", "sync"])
def test_where_there_is_no_archive_none_is_made(archive: Commands, home: Path, command: str) -> None:
    done = archive(command)
    assert (done.code, done.err) == (3, f"archive: there is no archive at {home}; run: archive ingest FOLDER\n")
    assert not home.exists()
