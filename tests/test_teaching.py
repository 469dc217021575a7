"""Things of one's own: taught by pictures, found by name, kept through a change of models, forgotten for good."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from archive import bootstrap, parts, teaching
from archive.catalog.driver import connect_to_write
from archive.photos.clarity import LEAST_DETAIL, detail, doubts
from archive.photos.reading import decode
from archive.types import Box
from tests import coloured_photos
from tests.test_reindex import OtherEmbedder

if TYPE_CHECKING:
    from pathlib import Path

    from archive.settings import Settings
    from tests.commands import Commands

MORNING = datetime(2026, 11, 20, 8, tzinfo=UTC)
SQUARE = (40, 60, 120, 130)


@pytest.fixture
def filled(archive: Commands, tmp_path: Path) -> Commands:
    """A red mug at 8:00 and a blue one at 8:10, both called `mug` by nobody, and six photos of nothing."""
    for number in range(8):
        squares = {"red": SQUARE} if number == 0 else {"blue": SQUARE} if number == 1 else {}
        dot = {"white": (number * 3, 0, number * 3 + 2, 2)}
        coloured_photos.write(tmp_path / "card" / f"{number}.jpg", squares | dot, MORNING + timedelta(minutes=number))
    assert archive("ingest", tmp_path / "card").code == 0
    return archive


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """A picture of the red one, with its box."""
    return f"{coloured_photos.write(tmp_path / 'mine.jpg', {'red': (90, 50, 200, 190)})}@90,50,200,190"


def first(archive: Commands, *words: str) -> str:
    name: str = archive("query", *words, "--all", "--json").object["hits"][0]["photo"]["name"]
    return name


def test_a_query_that_names_what_was_taught_finds_that_one(filled: Commands, mine: str) -> None:
    assert filled("teach", "My  Mug", mine).out == "My Mug: 1 picture; ask for it by that name\n"
    answer = filled("query", "where is my mug", "--json").object
    assert [hit["photo"]["name"] for hit in answer["hits"]] == ["0.jpg"]
    assert answer["taught"] == [{"name": "My Mug", "pictures": 1, "waiting": 0}]
    assert filled("query", "a mug", "--json").object["taught"] == []


def test_mine_ranks_before_one_like_it_and_another_lesson_turns_that(
    filled: Commands, mine: str, tmp_path: Path
) -> None:
    blue = coloured_photos.write(tmp_path / "blue.jpg", {"blue": (90, 50, 200, 190)})
    filled("teach", "my mug", mine)
    filled("teach", "your mug", f"{blue}@90,50,200,190")
    assert first(filled, "my mug") == "0.jpg"
    assert first(filled, "your mug") == "1.jpg"


def test_pictures_of_one_thing_are_not_averaged(filled: Commands, mine: str, tmp_path: Path) -> None:
    blue = coloured_photos.write(tmp_path / "blue.jpg", {"blue": (90, 50, 200, 190)})
    filled("teach", "my mug", mine)
    filled("teach", "MY MUG", f"{blue}@90,50,200,190")
    hits = filled("query", "my mug", "--json", "--explain").object["hits"]
    assert {hit["photo"]["name"] for hit in hits} == {"0.jpg", "1.jpg"}
    assert {hit["why"]["probe"] for hit in hits} == {"my mug with my mug #1", "my mug with my mug #2"}


def test_a_hit_teaches_without_the_image_side(filled: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    filled("query", "red")
    monkeypatch.setattr(parts, "looking", None)  # calling it would fail
    assert filled("teach", "my mug", "--hit", 1).code == 0
    assert first(filled, "my mug") == "0.jpg"


def test_what_was_taught_is_listed_shown_and_saved(filled: Commands, mine: str, tmp_path: Path) -> None:
    assert "nothing was taught yet" in filled("teach", "list").err
    filled("query", "red")
    filled("teach", "my mug", mine, "--hit", 1)
    assert filled("teach", "list").out == "my mug  2 pictures\n"
    told = filled("teach", "show", "My Mug", "--save", tmp_path / "saved")
    assert "from a file  110 x 140 pixels" in told.out
    assert "from photo 1" in told.out
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == ["01-my_mug.jpg", "02-my_mug.jpg"]
    (thing,) = filled("teach", "list", "--json").object["things"]
    assert [picture["photo"] for picture in thing["pictures"]] == [None, 1]


def test_one_picture_or_all_of_a_thing_can_be_forgotten(filled: Commands, mine: str) -> None:
    filled("query", "red")
    filled("teach", "my mug", mine, "--hit", 1)
    assert filled("teach", "remove", "my mug", "--picture", 3).code == 2
    assert filled("teach", "remove", "my mug", "--picture", 1).code == 0
    assert filled("teach", "list").out == "my mug  1 picture\n"
    assert filled("teach", "remove", "My Mug").code == 0
    assert filled("teach", "remove", "my mug").code == 2
    assert filled("query", "my mug", "--json").object["taught"] == []


def test_what_was_forgotten_is_in_no_file_any_more(filled: Commands, mine: str, settings: Settings) -> None:
    filled("teach", "my unmistakable mug", mine)
    with bootstrap.reading(settings) as reader:
        picture = reader.exemplar_picture(1)[-256:]
    filled("teach", "remove", "my unmistakable mug")
    stored = b"".join(path.read_bytes() for path in settings.home.iterdir() if path.is_file())
    assert b"unmistakable" not in stored
    assert picture not in stored


def test_a_picture_goes_with_the_photo_that_it_shows(filled: Commands, tmp_path: Path, settings: Settings) -> None:
    filled("teach", "my mug", f"{tmp_path / 'card' / '0.jpg'}@40,60,120,130")
    assert "from photo 1" in filled("teach", "show", "my mug").out
    with closing(connect_to_write(settings.catalog)) as connection:
        connection.execute("DELETE FROM photos WHERE id = 1")
    assert filled("teach", "list").out == "my mug  0 pictures\n"
    assert filled("query", "my mug").code == 1
    filled("teach", "my mug", f"{tmp_path / 'card' / '1.jpg'}@40,60,120,130")
    assert filled("teach", "list").out == "my mug  1 picture\n"


def test_what_was_taught_survives_a_change_of_models(
    filled: Commands, mine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    filled("teach", "my mug", mine)
    (tmp_path / "mine.jpg").unlink()
    monkeypatch.setitem(parts.EMBEDDERS, "other", OtherEmbedder)
    filled("models", "use", "--segmenter", "colours", "--embedder", "other")
    assert first(filled, "my mug") == "0.jpg"
    assert filled("reindex").code == 0
    answer = filled("query", "my mug", "--json").object
    assert answer["searched"]["space"] == "colours@2"
    assert answer["taught"] == [{"name": "my mug", "pictures": 1, "waiting": 0}]
    assert answer["hits"][0]["photo"]["name"] == "0.jpg"


def test_pictures_that_wait_for_a_reindex_are_said_to(filled: Commands, mine: str, settings: Settings) -> None:
    filled("teach", "my mug", mine)
    with closing(connect_to_write(settings.catalog)) as connection:
        connection.execute("DELETE FROM exemplar_vectors")
    assert "1 picture of my mug waits" in filled("query", "my mug").err
    assert "waits for `archive reembed`" in filled("teach", "show", "my mug").out
    filled("reindex")
    assert first(filled, "my mug") == "0.jpg"


@pytest.mark.parametrize("words", [("my mug",), ("!?", "x.jpg"), ("my mug", "missing.jpg"), ("my mug", "--hit", "7")])
def test_a_lesson_that_is_none_is_wrong_usage(filled: Commands, words: tuple[str, ...]) -> None:
    filled("query", "red")
    assert filled("teach", *words).code == 2
    assert filled("teach", "list").out == ""


def test_before_any_ingest_the_error_names_the_command(archive: Commands, mine: str) -> None:
    told = archive("teach", "my mug", mine)
    assert (told.code, "archive ingest" in told.err) == (3, True)


def test_a_tiny_picture_is_taken_with_a_warning(filled: Commands, tmp_path: Path) -> None:
    told = filled("teach", "my mug", f"{tmp_path / 'card' / '0.jpg'}@40,60,60,90")
    assert told.code == 0
    assert "careful with" in told.err
    assert "20 x 30 pixels" in told.err


def noise(seed: int, blur: int) -> np.ndarray:
    grain = np.random.default_rng(seed).integers(0, 255, (200 // blur, 200 // blur), dtype=np.uint8)
    return np.asarray(Image.fromarray(grain).resize((200, 200), Image.Resampling.BICUBIC).convert("RGB"))


def test_a_blurred_picture_is_doubted_and_a_sharp_or_an_even_one_is_not() -> None:
    box = Box(10, 10, 190, 190)
    assert doubts(noise(1, blur=1), box) == []
    assert "blurred" in doubts(noise(1, blur=20), box)[0]
    assert doubts(np.full((200, 200, 3), 90, np.uint8), box) == []
    assert detail(noise(2, blur=20), box) < LEAST_DETAIL < detail(noise(2, blur=2), box)


@pytest.mark.parametrize(
    "box", [Box(0, 0, 400, 300), Box(0, 0, 1, 1), Box(399, 299, 400, 300), Box(100, 50, 300, 100), Box(3, 0, 4, 300)]
)
@pytest.mark.parametrize("grown", [1, 9])
def test_what_is_cut_out_holds_the_box_and_its_surroundings(box: Box, grown: int) -> None:
    pixels = np.full((300 * grown, 400 * grown, 3), 128, np.uint8)
    large = Box(*(edge * grown for edge in box))
    pixels[large.top : large.bottom, large.left : large.right] = (220, 30, 30)
    jpeg, inner = teaching.cut_out(pixels, large)
    kept = decode(jpeg).pixels
    height, width = kept.shape[:2]
    assert max(width, height) <= 1024
    assert 0 <= inner.left < inner.right <= width
    assert 0 <= inner.top < inner.bottom <= height
    middle = kept[(inner.top + inner.bottom) // 2, (inner.left + inner.right) // 2].astype(int)
    assert np.abs(middle - (220, 30, 30)).max() < 60
