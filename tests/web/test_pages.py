"""The pages as they are rendered: escaped, honest, and the same questions as the API's."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from archive.catalog.driver import connect_to_write
from archive.types import Mark

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from archive.settings import Settings

HOSTILE = '"><script>alert(1)</script>'


@pytest.mark.parametrize("path", ["/", "/photos", "/?q=yellow", "/?q=red"])
def test_a_photos_name_never_becomes_a_part_of_the_page(client: TestClient, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    if path in {"/photos", "/?q=yellow"}:
        assert "&lt;script&gt;alert(1)&lt;" in page.text
        assert "\\xff.jpg" in page.text


@pytest.mark.parametrize("name", ["q", "after", "before", "camera", "not", "bar", "limit", "from", "day"])
def test_what_an_address_says_is_escaped(client: TestClient, name: str) -> None:
    for path in ("/", "/photos"):
        page = client.get(path, params={"q": "red", name: HOSTILE})
        assert page.status_code in {200, 422}
        assert "<script>alert" not in page.text


def test_the_last_sighting_stands_first_then_earlier_ones_then_photos(client: TestClient) -> None:
    page = client.get("/?q=red").text
    assert page.index("Last seen") < page.index("Before that") < page.index("Photos, best first")
    assert page.count('class="card"') == 1 + 3


def test_what_is_not_there_is_not_seen_and_the_closest_are_offered(client: TestClient) -> None:
    page = client.get("/?q=purple").text
    assert "Not seen" in page
    assert 'class="card"' not in page
    assert "bar=0" in page
    assert 'class="card"' in client.get("/?q=purple&bar=0").text


def test_a_page_says_where_a_time_comes_from_and_which_pair_answered(client: TestClient) -> None:
    page = client.get("/?q=red").text
    assert "time by exif" in page
    assert "with the pair custom" in page
    assert "time by exif" in client.get("/photos/1").text


def test_a_range_without_photos_is_said(client: TestClient) -> None:
    assert "There is no photo in that range" in client.get("/?q=red&before=2001-01-01").text


def test_a_time_that_is_none_is_said(client: TestClient) -> None:
    page = client.get("/?q=red&after=whenever")
    assert page.status_code == 422
    assert "is not a time" in page.text


def test_the_photos_are_under_their_days_and_a_day_can_be_opened(client: TestClient) -> None:
    assert client.get("/photos").text.count('class="card"') == 32
    assert client.get("/photos?day=2026-11-20").text.count('class="card"') == 32
    assert "No photos before that" in client.get("/photos?day=2026-11-18").text


def test_a_photos_page_has_its_things_and_its_neighbours(client: TestClient) -> None:
    photos = client.get("/api/v1/photos?limit=200").json()["photos"]
    middle = next(photo for photo in photos if photo["name"] == "turned.jpg")
    page = client.get(f"/photos/{middle['id']}").text
    assert "1 thing found" in page
    assert page.count('rel="prev"') == page.count('rel="next"') == 1
    assert client.get(f"/photos/{photos[0]['id']}").text.count('rel="next"') == 0


def test_a_photos_page_says_why_it_ranks_lower(client: TestClient, filled: Settings) -> None:
    with closing(connect_to_write(filled.catalog)) as connection:
        connection.execute("DELETE FROM marks")
        connection.executemany("INSERT INTO marks (photo_id, mark) VALUES (?, ?)", [(4, mark.value) for mark in Mark])
    page = client.get("/photos/4").text
    said = "black, blurred, taken with the lens covered, damaged, nearly the same as the one before"
    assert f"Ranked lower, as it is {said}." in page
    assert "Ranked lower" not in client.get("/photos/5").text
