"""A time range over large shards finds what a look at every photo finds, through the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from archive import scanning, settings
from archive.indexes import faiss_shards
from archive.indexes.faiss_shards import FaissIndex
from tests import coloured_photos

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands

MORNING = datetime(2026, 11, 20, 8, tzinfo=UTC)
PHOTOS = 90
RANGES = (
    (),
    ("--after", "2026-11-20T08:40:00Z"),
    ("--before", "2026-11-20T08:40:00Z"),
    ("--after", "2026-11-20T08:31:00Z", "--before", "2026-11-20T09:09:00Z"),
    ("--after", "2026-11-20T09:03:00Z", "--before", "2026-11-20T09:07:00Z"),
)


@pytest.fixture
def filled(archive: Commands, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The command line, over photos of an hour and a half that clustered shards hold, all but the last."""
    defaults = {**(FaissIndex.__init__.__kwdefaults__ or {}), "ivf_at": 1}
    monkeypatch.setattr(FaissIndex.__init__, "__kwdefaults__", defaults)
    monkeypatch.setattr(faiss_shards, "EXACT_BELOW", 0)
    monkeypatch.setattr(scanning, "SCANNED_WHOLE", 0)
    monkeypatch.setattr(settings, "SEAL_AT", 100)
    coloured_photos.day(tmp_path / "card", PHOTOS, MORNING)
    assert archive("ingest", tmp_path / "card").code == 0
    coloured_photos.day(tmp_path / "late", 7, MORNING + timedelta(minutes=PHOTOS), every=61)
    assert archive("ingest", tmp_path / "late").code == 0
    pair = archive("status", "--json").object["answering"]
    assert pair["shards"] > 0
    assert pair["segments_outside_shards"] > 0
    assert list((home / "index").rglob("*.cells"))
    return archive


def test_a_time_range_finds_what_a_look_at_every_photo_of_it_finds(filled: Commands) -> None:
    for text, limits in product(("red", "yellow"), RANGES):
        asked = ("query", text, *limits, "--limit", PHOTOS, "--json")
        some, every = filled(*asked).object, filled(*asked, "--all").object
        assert (some["searched"], some["verdict"]) == (every["searched"], every["verdict"])
        found = [_told(hit) for hit in some["hits"]]
        assert found, limits
        assert found == [_told(hit) for hit in every["hits"]][: len(found)]
        least = some["hits"][-1]["probability"]
        assert all(hit["probability"] <= least for hit in every["hits"][len(found) :])


def test_a_photo_that_was_forgotten_leaves_the_rest_of_its_range_found(filled: Commands) -> None:
    asked = ("query", "red", "--after", "2026-11-20T08:31:00Z", "--limit", PHOTOS, "--json")
    before = [hit["photo"]["id"] for hit in filled(*asked).object["hits"]]
    assert filled("forget", before[0], before[3], "--yes").code == 0
    after = [hit["photo"]["id"] for hit in filled(*asked).object["hits"]]
    assert sorted(after) == sorted(set(before) - {before[0], before[3]})


def _told(hit: dict[str, Any]) -> tuple[int, float]:
    return hit["photo"]["id"], hit["score"]
