"""Forgetting from the page: first what it means, then the same erasure as the command's, with the same refusals."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from archive import bootstrap
from archive.catalog.driver import connect_to_write
from archive.catalog.lock import writer_lock
from archive.web import schema
from archive.web.schema import MOST_FORGOTTEN
from tests.web.conftest import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from httpx2 import Response
    from starlette.testclient import TestClient

    from archive.settings import Settings
    from tests.commands import Commands

    Ask = Callable[..., Response]

FORGET = "/api/v1/forget"


def newest(client: TestClient, count: int) -> list[dict[str, Any]]:
    """The photos that were taken last, once each was looked at."""
    photos: list[dict[str, Any]] = client.get("/api/v1/photos", params={"limit": count}).json()["photos"]
    for photo in photos:
        for size in ("thumbnail", "view"):
            assert client.get(f"/api/v1/photos/{photo['id']}/{size}").status_code == 200
    return photos


def forget(client: TestClient, *ids: object) -> Response:
    """What a program is answered that asks to forget photos."""
    return client.post(FORGET, json={"photos": ids}, headers={"origin": ORIGIN})


def forget_by_form(client: TestClient, *ids: object) -> Response:
    """What the page's form is answered."""
    return client.post("/forget", data={"photo": [str(one) for one in ids]}, headers={"origin": ORIGIN})


def count(client: TestClient) -> int:
    """How many photos there are."""
    return int(client.get("/api/v1/progress").json()["photos"])


def test_the_preview_says_what_the_command_says_and_erases_nothing(archive: Commands, client: TestClient) -> None:
    first, second = newest(client, 2)
    before = count(client)
    asked = client.get(FORGET, params={"photo": [first["id"], second["id"]]})
    preview = schema.ForgetPreview.model_validate(asked.json(), strict=True)
    assert preview.words == archive("forget", first["id"], second["id"]).err.splitlines()[:3]
    page = client.get("/forget", params={"photo": [first["id"], second["id"]]}).text
    assert all(line.strip() in page for line in preview.words)
    assert count(client) == before


def test_what_is_forgotten_is_gone_from_disk_answers_and_memory(
    archive: Commands, client: TestClient, filled: Settings
) -> None:
    first, second, kept = newest(client, 3)
    assert client.get("/api/v1/query?text=red").status_code == 200  # an index is kept now, which maps its files
    receipt = schema.ReceiptObject.model_validate(forget(client, first["id"], second["id"]).json(), strict=True)
    assert (receipt.photos, receipt.files, receipt.purge, receipt.verified) == (2, 4, "done", None)
    for photo in (first, second):
        assert list(filled.home.rglob(f"{photo['digest']}*")) == []
        for path in ("", "/thumbnail", "/view"):
            assert client.get(f"/api/v1/photos/{photo['id']}{path}").status_code == 404
    assert client.get(f"/api/v1/photos/{kept['id']}/view").status_code == 200
    answer = client.get("/api/v1/query?text=red&all=true&limit=100").json()
    assert not {first["id"], second["id"]} & {hit["photo"]["id"] for hit in answer["hits"]}
    assert archive("check", "--data").code == 0


def test_the_form_of_the_page_erases_and_shows_the_receipt(client: TestClient) -> None:
    before = count(client)
    photo = newest(client, 1)[0]
    done = forget_by_form(client, photo["id"])
    assert done.status_code == 200
    assert "1 photo forgotten: 2 files" in done.text
    assert count(client) == before - 1


@pytest.mark.parametrize("ask", [forget, forget_by_form])
def test_damage_lets_nothing_be_erased(client: TestClient, filled: Settings, ask: Ask) -> None:
    before = count(client)
    with closing(connect_to_write(filled.catalog)) as connection:
        connection.execute("UPDATE packs SET crc = crc + 1 WHERE photo_id = 2")
    refused = ask(client, 4)
    assert refused.status_code == 503
    assert "so nothing was erased; run: archive repair" in refused.text
    assert count(client) == before


@pytest.mark.parametrize("ask", [forget, forget_by_form])
def test_while_another_writes_nothing_is_erased(
    client: TestClient,
    filled: Settings,
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = count(client)
    monkeypatch.setattr(bootstrap, "PATIENCE", 0.0)
    with writer_lock(filled.home):
        refused = ask(client, 4)
    assert refused.status_code == 503
    assert "writing" in refused.text
    assert count(client) == before


@pytest.mark.parametrize("ask", [forget, forget_by_form])
@pytest.mark.parametrize(
    "ids", [(), (999,), (4, 999), (0,), (-1,), ("x",), ("9" * 5000,), range(1, MOST_FORGOTTEN + 2)]
)
def test_what_names_no_photo_erases_nothing(client: TestClient, ask: Ask, ids: tuple[object, ...]) -> None:
    before = count(client)
    assert ask(client, *ids).status_code == 422
    assert count(client) == before


@pytest.mark.parametrize("path", [FORGET, "/forget"])
@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:9"])
def test_a_page_of_another_origin_erases_nothing(client: TestClient, path: str, origin: str | None) -> None:
    before = count(client)
    headers = {} if origin is None else {"origin": origin}
    assert client.post(path, json={"photos": [4]}, headers=headers).status_code == 403
    assert client.post(path, data={"photo": ["4"]}, headers=headers).status_code == 403
    assert count(client) == before


def test_a_stranger_erases_nothing(stranger: TestClient) -> None:
    assert stranger.post(FORGET, json={"photos": [4]}, headers={"origin": ORIGIN}).status_code == 401
    assert stranger.post("/forget", data={"photo": ["4"]}, headers={"origin": ORIGIN}).status_code == 401
