"""The JSON API: the same object as on the command line, pictures by id, and plain words for what makes no sense."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from archive.thumbnails import Thumbnails
from archive.viewing import THUMBNAIL_SIDE
from archive.web import schema
from tests.fakes import COLOURS
from tests.web.conftest import HOSTILE_NAME, ORIGIN, ROTATED

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from archive.settings import Settings
    from tests.commands import Commands


def ids(client: TestClient) -> dict[str, int]:
    """The ids of all photos by their names."""
    photos = client.get("/api/v1/photos", params={"limit": 200}).json()["photos"]
    return {photo["name"]: photo["id"] for photo in photos}


@pytest.mark.parametrize(
    "words",
    [
        ["red"],
        ["red", "--limit", 1],
        ["white", "--all"],
        ["red", "--not", "white"],
        ["red", "--after", "2026-11-20T08:40Z"],
    ],
)
def test_the_answer_is_the_object_of_the_command_line(archive: Commands, client: TestClient, words: list[str]) -> None:
    told = json.loads(archive("query", *words, "--json").out)
    text, *options = map(str, words)
    parameters = {"text": text}
    while options:
        name = options.pop(0).removeprefix("--")
        parameters[name] = "true" if name == "all" else options.pop(0)
    answered = client.get("/api/v1/query", params=parameters)
    assert answered.status_code == 200
    got = answered.json()
    assert got.pop("took_ms").keys() == told.pop("took_ms").keys()
    assert got == told


def test_every_object_is_as_the_openapi_describes_it(client: TestClient) -> None:
    found = ids(client)
    schema.AnswerObject.model_validate(
        client.get("/api/v1/query", params={"text": "red", "all": True}).json(), strict=True
    )
    schema.PhotoPage.model_validate(client.get("/api/v1/photos").json(), strict=True)
    one = client.get(f"/api/v1/photos/{found['turned.jpg']}")
    schema.PhotoWithSegments.model_validate(one.json(), strict=True)
    schema.ProgressObject.model_validate(client.get("/api/v1/progress").json(), strict=True)
    schema.Problem.model_validate(client.get("/api/v1/photos/999").json(), strict=True)


def test_a_second_question_needs_neither_index_nor_text_half_made_anew(client: TestClient) -> None:
    first, second = (client.get("/api/v1/query", params={"text": "green"}).json() for _ in range(2))
    assert first["hits"] == second["hits"]


def test_pages_of_photos_go_back_in_time_without_gap_or_repeat(client: TestClient) -> None:
    seen: list[dict[str, object]] = []
    start = None
    while True:
        page = client.get("/api/v1/photos", params={"limit": 7} | ({"from": start} if start else {})).json()
        seen += page["photos"]
        start = page["next"]
        if start is None:
            break
    assert len(seen) == len({photo["id"] for photo in seen}) == 32
    taken = [str(photo["captured_at"]) for photo in seen]
    assert taken == sorted(taken, reverse=True)


def test_a_name_that_is_no_text_arrives_as_json(client: TestClient) -> None:
    assert HOSTILE_NAME.replace("/", "_") in ids(client)


@pytest.mark.parametrize("size", ["thumbnail", "view"])
def test_a_picture_is_upright_and_names_no_camera(client: TestClient, size: str) -> None:
    photo = ids(client)["turned.jpg"]
    answered = client.get(f"/api/v1/photos/{photo}/{size}")
    assert answered.headers["content-type"] == "image/jpeg"
    picture = Image.open(BytesIO(answered.content))
    assert picture.size == (320, 240)
    assert not picture.getexif()
    assert b"names itself" not in answered.content
    middle = ((ROTATED[0] + ROTATED[2]) // 2, (ROTATED[1] + ROTATED[3]) // 2)
    assert np.abs(np.array(picture.getpixel(middle)) - COLOURS["blue"]).max() < 30


def test_a_thumbnail_is_made_once_and_only_its_owner_can_read_it(client: TestClient, filled: Settings) -> None:
    photo = client.get("/api/v1/photos", params={"limit": 1}).json()["photos"][0]
    first = client.get(f"/api/v1/photos/{photo['id']}/thumbnail").content
    path = Thumbnails(filled.thumbnails).path(photo["digest"])
    assert path.read_bytes() == first
    assert max(Image.open(BytesIO(first)).size) <= THUMBNAIL_SIDE
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    written = path.stat().st_mtime_ns
    assert client.get(f"/api/v1/photos/{photo['id']}/thumbnail").content == first
    assert path.stat().st_mtime_ns == written


def test_a_forgotten_photo_leaves_no_picture_in_the_home_nor_in_the_server(
    archive: Commands, client: TestClient, filled: Settings
) -> None:
    forgotten, kept = client.get("/api/v1/photos?limit=2").json()["photos"]
    for photo in (forgotten, kept):
        for size in ("thumbnail", "view"):
            assert client.get(f"/api/v1/photos/{photo['id']}/{size}").status_code == 200
    thumbnails = Thumbnails(filled.thumbnails)
    unfinished = thumbnails.path(forgotten["digest"]).with_name(f"{forgotten['digest']}1234.new")
    unfinished.write_bytes(b"the beginning of a picture")
    done = archive("forget", forgotten["id"], "--yes", "--verify", "--json")
    assert done.object["verified"]["residue"] == []
    assert list(filled.home.rglob(f"{forgotten['digest']}*")) == []
    for size in ("thumbnail", "view"):
        assert client.get(f"/api/v1/photos/{forgotten['id']}/{size}").status_code == 404
        assert client.get(f"/api/v1/photos/{kept['id']}/{size}").status_code == 200
    assert [digest for digest, _ in thumbnails.stored()] == [kept["digest"]]
    answer = client.get("/api/v1/query?text=red&all=true&limit=100").json()
    assert forgotten["digest"] not in {hit["photo"]["digest"] for hit in answer["hits"]}


def segment(client: TestClient, name: str) -> int:
    """The first thing that was found in the photo of that name."""
    return int(client.get(f"/api/v1/photos/{ids(client)[name]}").json()["segments"][1]["segment"])


def test_a_segment_can_be_the_question(client: TestClient) -> None:
    shown = segment(client, "turned.jpg")
    answer = client.get("/api/v1/query", params={"like": shown}).json()
    assert answer["verdict"] == "seen"
    assert answer["hits"][0]["photo"]["name"] == "turned.jpg"
    assert answer["query"]["like"] == [f"thing 1 of photo {shown >> 10}"]


def test_a_segment_that_is_not_there_shows_nothing(client: TestClient) -> None:
    assert client.get("/api/v1/query", params={"like": 999 << 10}).status_code == 422


def test_what_is_taught_is_found_by_its_name(client: TestClient) -> None:
    photo = ids(client)["turned.jpg"]
    left, top, right, bottom = ROTATED
    told = {"name": "my  keys", "left": left, "top": top, "right": right, "bottom": bottom}
    taught = client.post(f"/api/v1/photos/{photo}/lesson", json=told, headers={"origin": ORIGIN})
    assert taught.status_code == 200
    assert schema.TaughtObject.model_validate(taught.json()).pictures == 1
    answer = client.get("/api/v1/query", params={"text": "my keys"}).json()
    assert answer["taught"] == [{"name": "my keys", "pictures": 1, "waiting": 0}]
    assert answer["hits"][0]["photo"]["name"] == "turned.jpg"


@pytest.mark.parametrize(
    "told",
    [{}, {"name": "x"}, {"name": "--", "left": 0, "top": 0, "right": 9, "bottom": 9},
     {"name": "keys", "left": 9, "top": 0, "right": 9, "bottom": 9},
     {"name": "keys", "left": 0, "top": 0, "right": 9, "bottom": 999},
     {"name": "x" * 101, "left": 0, "top": 0, "right": 9, "bottom": 9}],
)  # fmt: skip
def test_a_lesson_that_makes_no_sense_teaches_nothing(client: TestClient, told: dict[str, object]) -> None:
    sent = client.post(f"/api/v1/photos/{ids(client)['turned.jpg']}/lesson", json=told, headers={"origin": ORIGIN})
    assert sent.status_code == 422
    assert sent.json().keys() == {"error"}


def test_a_page_of_another_origin_teaches_nothing(client: TestClient) -> None:
    told = {"name": "keys", "left": 0, "top": 0, "right": 9, "bottom": 9}
    sent = client.post("/api/v1/photos/1/lesson", json=told, headers={"origin": "http://127.0.0.1:9"})
    assert sent.status_code == 403


def test_a_missing_original_is_said_and_ends_nothing(client: TestClient, filled: Settings) -> None:
    photo = client.get("/api/v1/photos", params={"limit": 1}).json()["photos"][0]
    next(filled.originals.glob(f"*/{photo['digest']}.jpg")).unlink()
    answered = client.get(f"/api/v1/photos/{photo['id']}/view")
    assert answered.status_code == 503
    assert "archive check" in answered.json()["error"]
    assert client.get("/api/v1/photos").status_code == 200


@pytest.mark.parametrize(
    "parameters",
    [{}, {"text": ""}, {"text": "   "}, {"text": "x" * 513}, {"text": "red", "limit": "0"},
     {"text": "red", "limit": "501"}, {"text": "red", "limit": "many"}, {"text": "red", "after": "the day before"},
     {"text": "red", "before": "9999999d"}, {"text": "red", "camera": "x" * 201}],
)  # fmt: skip
def test_what_makes_no_sense_is_said_in_one_line(client: TestClient, parameters: dict[str, str]) -> None:
    answered = client.get("/api/v1/query", params=parameters)
    assert answered.status_code == 422
    assert answered.json().keys() == {"error"}


@pytest.mark.parametrize("photo", ["0", "-1", "x", "999", "1125899906842625", "9" * 300])
def test_an_id_that_names_nothing_is_refused(client: TestClient, photo: str) -> None:
    for path in ("", "/view", "/thumbnail"):
        assert client.get(f"/api/v1/photos/{photo}{path}").status_code in {404, 422}


def test_words_that_mean_something_to_sql_or_to_a_shell_are_words(client: TestClient) -> None:
    for text in ("'; DROP TABLE photos; --", "$(id)", "\x00\x1b[31m", "\N{SNOWMAN}" * 100, '"', "%", "red\nred"):
        assert client.get("/api/v1/query", params={"text": text}).status_code == 200
    assert len(ids(client)) == 32
