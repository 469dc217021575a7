"""Queries through the command line: what is found, what is honestly not, and the contract of the JSON."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from archive import asking, indexing, parts
from archive.settings import resolve
from archive.types import Query
from tests import coloured_photos
from tests.fakes import COLOURS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.commands import Commands

MORNING = datetime(2026, 11, 20, 8, tzinfo=UTC)
SQUARE = (40, 60, 120, 130)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """An hour of grey, with a red square at 8:10 and 8:12, at 8:50 again, and a blue one at 8:30."""
    folder = tmp_path / "card"
    things = {10: "red", 12: "red", 30: "blue", 50: "red"}
    for minute in range(0, 60, 2):
        squares = {things[minute]: SQUARE} if minute in things else {}
        # A dot of its own makes each photo's bytes different.
        squares |= {"white": (minute, 0, minute + 2, 2)}
        coloured_photos.write(folder / f"IMG_{minute:04d}.jpg", squares, MORNING + timedelta(minutes=minute))
    return folder


@pytest.fixture
def filled(archive: Commands, card: Path) -> Commands:
    """The command line, over an archive that holds the card."""
    assert archive("ingest", card).code == 0
    return archive


def test_the_last_sighting_stands_first(filled: Commands) -> None:
    done = filled("query", "red")
    assert done.code == 0
    first, name, *_ = done.out.splitlines()
    assert first.startswith("Last seen Fri 20 Nov ")
    assert "IMG_0050.jpg" in name
    assert "Before that" in done.out


def test_the_object_has_the_keys_of_the_contract(filled: Commands, home: Path, card: Path) -> None:
    answer = filled("query", "red", "--limit", 2, "--json").object
    assert list(answer) == [
        "query", "verdict", "searched", "hits", "sightings", "sightings_in_all", "took_ms", "taught", "since", "best",
    ]  # fmt: skip
    assert answer["sightings_in_all"] == len(answer["sightings"])
    assert answer["verdict"] == "seen"
    assert answer["searched"] == {"photos": 30, "segments": 34, "space": "colours@1", "pair": "custom", "untimed": 0}
    assert set(answer["took_ms"]) == {"load", "embed", "search", "total"}
    hit = answer["hits"][0]
    assert list(hit) == ["rank", "score", "probability", "photo", "boxes"]
    content = (card / hit["photo"]["name"]).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert hit["photo"] == {
        "id": hit["photo"]["id"],
        "digest": digest,
        "name": hit["photo"]["name"],
        "path": str(home / "originals" / digest[:2] / f"{digest}.jpg"),
        "captured_at": hit["photo"]["captured_at"],
        "captured_at_source": "exif",
        "captured_at_error_ms": None,
        "camera": None,
        "width": 320,
        "height": 240,
    }
    assert [list(box) for box in hit["boxes"]] == [["segment", "left", "top", "right", "bottom", "score"]]


def test_the_box_is_where_the_thing_is(filled: Commands) -> None:
    box = filled("query", "blue", "--json").object["hits"][0]["boxes"][0]
    edges = np.array([box["left"], box["top"], box["right"], box["bottom"]])
    assert np.abs(edges - SQUARE).max() <= 2


def test_sightings_are_runs_in_time_the_latest_first(filled: Commands) -> None:
    answer = filled("query", "red", "--json").object
    times = [(one["first"][11:16], one["last"][11:16], one["photos"]) for one in answer["sightings"]]
    assert times == [("08:50", "08:50", 1), ("08:10", "08:12", 2)]


def test_a_sighting_has_its_photo_and_box_even_where_the_limit_cuts_its_hit_off(filled: Commands) -> None:
    answer = filled("query", "red", "--limit", 1, "--json").object
    later, earlier = answer["sightings"]
    assert [hit["rank"] for hit in answer["hits"]] == [later["best"]]
    assert earlier["photo"]["name"] in {"IMG_0010.jpg", "IMG_0012.jpg"}
    assert abs(earlier["boxes"][0]["left"] - SQUARE[0]) <= 2


def test_the_newest_stand_first_where_that_is_asked_and_keep_their_rank(filled: Commands) -> None:
    newest = filled("query", "red", "--sort", "newest", "--json").object["hits"]
    assert [hit["photo"]["name"][4:8] for hit in newest] == ["0050", "0012", "0010"]
    ranks = {hit["photo"]["name"]: hit["rank"] for hit in filled("query", "red", "--json").object["hits"]}
    assert {hit["photo"]["name"]: hit["rank"] for hit in newest} == ranks
    one = filled("query", "red", "--sort", "newest", "--limit", 1, "--json").object["hits"]
    assert one == newest[:1]


def test_words_list_sightings_and_each_photo_only_when_asked(filled: Commands) -> None:
    brief, full = filled("query", "red").out, filled("query", "red", "--photos").out
    assert "IMG_0010.jpg" not in brief or "IMG_0012.jpg" not in brief
    assert "IMG_0010.jpg" in full
    assert "IMG_0012.jpg" in full
    assert full.startswith(brief)


def test_the_reason_is_told_where_it_is_asked_for(filled: Commands) -> None:
    told = filled("query", "red", "--not", "blue", "--explain").out
    assert "because segment 1 answers 'red'" in told
    assert "not blue: cosine" in told
    why = filled("query", "red", "--not", "blue", "--explain", "--json").object["hits"][0]["why"]
    assert (why["matched"], why["probe"]) == ("segment", "red")
    assert [(clue["label"], clue["against"]) for clue in why["clues"]] == [("red", False), ("blue", True)]
    assert "why" not in filled("query", "red", "--json").object["hits"][0]


def test_spoken_times_reach_the_filter(filled: Commands) -> None:
    searched = filled("query", "red", "--after", "2026-11-20T08:30Z", "--before", "last year", "--json").object
    assert searched["verdict"] == "empty"


def test_a_photo_stands_once(filled: Commands) -> None:
    hits = filled("query", "red", "--all", "--limit", 100, "--json").object["hits"]
    assert len({hit["photo"]["id"] for hit in hits}) == len(hits) == 30


@pytest.mark.parametrize("options", [(), ("--all",)])
def test_few_hits_are_the_beginning_of_many(filled: Commands, options: tuple[str, ...]) -> None:
    many = filled("query", "red", "--limit", 10, "--json", *options).object["hits"]
    for limit in (1, 2, 3):
        assert filled("query", "red", "--limit", limit, "--json", *options).object["hits"] == many[:limit]


def test_what_was_never_there_is_not_seen_but_nothing_is_hidden(filled: Commands) -> None:
    done = filled("query", "xyzzy")
    assert done.code == 1
    assert done.out.startswith("Not seen: 30 photos searched, nothing cleared the bar; the best scored")
    assert "--all" in done.out
    answer = filled("query", "xyzzy", "--json").object
    assert (answer["verdict"], answer["hits"], answer["sightings"]) == ("not_seen", [], [])
    everything = filled("query", "xyzzy", "--all", "--json").object
    assert (everything["verdict"], len(everything["hits"])) == ("not_seen", 10)


def test_a_range_without_photos_is_empty_which_is_not_the_same_as_not_seen(filled: Commands) -> None:
    done = filled("query", "red", "--after", "2026-11-21T00:00Z")
    assert done.code == 1
    from archive import moments

    begin = moments.calendar(datetime(2026, 11, 21, tzinfo=UTC), datetime.now(UTC))
    assert done.out == f"There is no photo after {begin}.\n"
    assert filled("query", "red", "--after", "2026-11-21T00:00Z", "--json").object["verdict"] == "empty"


def test_time_filters_are_inclusive_at_the_start_and_exclusive_at_the_end(filled: Commands) -> None:
    span = ("--after", "2026-11-20T08:10Z", "--before", "2026-11-20T08:50Z")
    answer = filled("query", "red", *span, "--all", "--json", "--limit", 100).object
    minutes = sorted(hit["photo"]["captured_at"][14:16] for hit in answer["hits"])
    assert minutes == [f"{minute:02d}" for minute in range(10, 50, 2)]
    assert answer["searched"]["photos"] == 20


def test_photos_of_unknown_time_are_found_and_a_range_says_that_it_left_them_out(
    archive: Commands, tmp_path: Path
) -> None:
    import os

    photo = coloured_photos.write(tmp_path / "clock.jpg", {"red": SQUARE})
    os.utime(photo, (0, 0))
    coloured_photos.write(tmp_path / "other.jpg", {"blue": SQUARE}, MORNING)
    archive("ingest", photo, tmp_path / "other.jpg")
    hit = archive("query", "red", "--all", "--json").object["hits"][0]["photo"]
    assert (hit["captured_at"], hit["captured_at_source"]) == (None, "unknown")
    assert "1 photos of unknown time were left out" in archive("query", "red", "--after", "2020-01-01").err


def test_saved_pictures_have_the_box_drawn(filled: Commands, tmp_path: Path) -> None:
    done = filled("query", "red", "--save", tmp_path / "found")
    assert "saved 3 pictures" in done.err
    pictures = sorted((tmp_path / "found").iterdir())
    assert [path.name for path in pictures] == ["01-IMG_0050.jpg", "02-IMG_0010.jpg", "03-IMG_0012.jpg"]
    drawn = np.asarray(Image.open(pictures[0])).astype(int)
    plain = coloured_photos.pixels({"red": SQUARE}).astype(int)
    changed = np.abs(drawn - plain).sum(axis=2) > 100
    left, top, _, bottom = SQUARE
    assert changed[top:bottom, left - 3 : left + 4].any(axis=1).mean() > 0.9
    assert not changed[200:, 200:].any()


def test_a_text_is_embedded_once(filled: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.fakes import ColourEmbedder

    asked: list[str] = []

    class Counting(ColourEmbedder):
        def embed_text(self, texts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            asked.extend(texts)
            return super().embed_text(texts)

    monkeypatch.setitem(parts.EMBEDDERS, "colours", Counting)
    first = filled("query", "red", "--json").object["hits"]
    assert filled("query", "red", "--json").object["hits"] == first
    assert asked == ["red"]


def test_several_texts_that_are_new_need_the_tower_once(filled: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.fakes import ColourEmbedder

    made: list[ColourEmbedder] = []

    def counted() -> ColourEmbedder:
        made.append(ColourEmbedder())
        return made[-1]

    monkeypatch.setitem(parts.EMBEDDERS, "colours", counted)
    assert filled("query", "red", "--not", "blue", "--not", "green").code in {0, 1}
    assert len(made) == 1


@pytest.mark.usefixtures("filled")
def test_what_can_wait_is_left_until_after_the_answer_and_then_spares_the_next_one(home: Path) -> None:
    waiting: list[Callable[[], object]] = []
    supply = asking.Supply(indexing.index_to_ask, parts.words, later=waiting.append)
    assert asking.ask(Query("red"), resolve(home), supply=supply).hits
    (note,) = waiting
    assert note()
    assert asking.ask(Query("red"), resolve(home), supply=supply).hits
    assert waiting == [note]


def test_words_need_no_quotes(filled: Commands) -> None:
    assert filled("query", "the", "red", "--json").object["query"]["text"] == "the red"


def test_before_any_ingest_the_error_names_the_command(archive: Commands) -> None:
    done = archive("query", "red")
    assert done.code == 3
    assert "archive ingest" in done.err


def test_a_time_that_is_none_is_wrong_usage(filled: Commands) -> None:
    done = filled("query", "red", "--after", "soonish")
    assert done.code == 2
    assert "write it like" in done.err


def test_every_colour_is_found_where_it_is(archive: Commands, tmp_path: Path) -> None:
    coloured_photos.day(tmp_path / "card", 60, MORNING)
    archive("ingest", tmp_path / "card")
    for number, colour in enumerate(name for name in COLOURS if name != "grey"):
        answer = archive("query", colour, "--json", "--limit", 3).object
        found = {int(hit["photo"]["name"][4:8]) % 6 for hit in answer["hits"]}
        assert found == {number}, colour


def test_a_narrower_range_never_unsees_a_photo(archive: Commands, tmp_path: Path) -> None:
    for minute in range(40):
        colour = "red" if minute >= 20 else "blue"
        squares = {colour: SQUARE, "white": (minute, 0, minute + 2, 2)}
        coloured_photos.write(tmp_path / "card" / f"{minute}.jpg", squares, MORNING + timedelta(minutes=minute))
    archive("ingest", tmp_path / "card")
    whole = archive("query", "red", "--json").object
    narrow = archive("query", "red", "--after", "2026-11-20T08:20Z", "--json").object
    one = archive("query", "red", "--after", "2026-11-20T08:39Z", "--json").object
    assert whole["verdict"] == narrow["verdict"] == one["verdict"] == "seen"
    assert len(one["hits"]) == 1


@pytest.mark.parametrize("text", ["", "  ", "\udcff"])
def test_what_is_no_text_is_wrong_usage(filled: Commands, text: str) -> None:
    assert filled("query", text).code == 2


def test_a_place_that_cannot_be_made_is_named(filled: Commands, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = filled("query", "red", "--save", tmp_path / "file" / "found")
    assert done.code == 3
    assert "cannot be made" in done.err
