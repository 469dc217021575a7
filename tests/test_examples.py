"""Negatives and example pictures through the command line."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests import coloured_photos

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands

MORNING = datetime(2026, 11, 20, 8, tzinfo=UTC)
LEFT, RIGHT = (20, 60, 100, 130), (200, 60, 280, 130)


@pytest.fixture
def filled(archive: Commands, tmp_path: Path) -> Commands:
    """Nine photos: red alone at 8:00, blue alone at 8:10, both at 8:20, then six of nothing."""
    things = [{"red": LEFT}, {"blue": LEFT}, {"red": LEFT, "blue": RIGHT}, *({} for _ in range(6))]
    for number, squares in enumerate(things):
        dot = {"white": (number * 3, 0, number * 3 + 2, 2)}
        taken = MORNING + timedelta(minutes=10 * number)
        coloured_photos.write(tmp_path / "card" / f"{number}.jpg", dict(squares) | dot, taken)
    assert archive("ingest", tmp_path / "card").code == 0
    return archive


def names(archive: Commands, *words: object) -> list[str]:
    return [hit["photo"]["name"] for hit in archive("query", *words, "--json").object["hits"]]


def test_what_must_not_be_found_is_not_and_a_photo_with_the_right_thing_too_is(filled: Commands) -> None:
    assert set(names(filled, "red blue")) == {"0.jpg", "1.jpg", "2.jpg"}
    assert set(names(filled, "red blue", "--not", "blue")) == {"0.jpg", "2.jpg"}
    assert set(names(filled, "red blue", "--not", "blue", "--not", "red")) == set()


def test_the_box_is_that_of_what_was_not_rejected(filled: Commands) -> None:
    hits = filled("query", "red blue", "--not", "blue", "--json").object["hits"]
    boxes = {hit["photo"]["name"]: hit["boxes"][0]["left"] for hit in hits}
    assert all(abs(left - LEFT[0]) <= 2 for left in boxes.values())


def test_an_example_needs_no_words(filled: Commands, tmp_path: Path) -> None:
    example = coloured_photos.write(tmp_path / "example.jpg", {"red": (0, 0, 320, 240)})
    answer = filled("query", "--like", example, "--json").object
    assert answer["query"]["text"] == ""
    assert answer["query"]["like"] == [str(example)]
    assert {hit["photo"]["name"] for hit in answer["hits"]} == {"0.jpg", "2.jpg"}


def test_a_box_chooses_the_thing_in_the_example(filled: Commands, tmp_path: Path) -> None:
    example = coloured_photos.write(tmp_path / "a@b.jpg", {"red": LEFT, "blue": RIGHT})
    assert set(names(filled, "--like", f"{example}@210,70,270,120")) == {"1.jpg", "2.jpg"}


def test_words_and_an_example_combine(filled: Commands, tmp_path: Path) -> None:
    example = coloured_photos.write(tmp_path / "example.jpg", {"red": (0, 0, 320, 240)})
    assert set(names(filled, "blue", "--like", example, "--all")[:3]) == {"0.jpg", "1.jpg", "2.jpg"}


def test_a_hit_of_the_last_answer_is_an_example(filled: Commands) -> None:
    rank = next(hit["rank"] for hit in filled("query", "blue", "--json").object["hits"])
    answer = filled("query", "--like-hit", rank, "--json").object
    assert answer["query"]["like"] == [f"hit {rank}"]
    assert {hit["photo"]["name"] for hit in answer["hits"]} == {"1.jpg", "2.jpg"}


def test_what_is_kept_of_an_answer_is_private_and_holds_no_word(filled: Commands, home: Path) -> None:
    filled("query", "blue")
    path = home / "last-answer.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(json.loads(path.read_text())) == {"archive", "pair", "segments"}
    assert "blue" not in path.read_text()


def test_a_hit_that_is_not_there_is_wrong_usage(filled: Commands, home: Path) -> None:
    told = filled("query", "--like-hit", 1)
    assert (told.code, "archive query TEXT" in told.err) == (2, True)
    filled("query", "blue")
    told = filled("query", "--like-hit", 99)
    assert (told.code, "its hits are 1, 2" in told.err) == (2, True)
    (home / "last-answer.json").write_text("{}")
    assert filled("query", "--like-hit", 1).code == 2


def test_a_hit_of_another_archive_is_not_taken_for_one_of_this(filled: Commands, home: Path) -> None:
    filled("query", "blue")
    path = home / "last-answer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"archive": "another"}))
    told = filled("query", "--like-hit", 1)
    assert (told.code, "another archive" in told.err) == (2, True)


def test_a_home_that_cannot_be_written_still_answers(filled: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    from archive import last_answer

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(last_answer, "put_file", full)
    assert filled("query", "blue").code == 0


@pytest.mark.parametrize("told", ["missing.jpg", "card/0.jpg@0,0,999,10", "card/0.jpg@10,10,10,20", "card"])
def test_an_example_that_is_none_is_one_plain_line(filled: Commands, tmp_path: Path, told: str) -> None:
    done = filled("query", "--like", tmp_path / told)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "archive: " in done.err


def test_neither_words_nor_example_is_wrong_usage(filled: Commands) -> None:
    assert filled("query").code == 2
    assert filled("query", "--not", "blue").code == 2
