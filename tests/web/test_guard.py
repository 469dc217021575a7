"""Who gets in, from where, and what every answer forbids: a local server is reached by every page of the browser."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from archive.web import door as doors
from archive.web.application import application
from archive.web.door import Door
from archive.web.guard import LARGEST_BODY, LONGEST_ADDRESS, Hosts
from tests.web.conftest import ORIGIN

if TYPE_CHECKING:
    from archive.settings import Settings

PRIVATE = ["/", "/photos", "/photos/1", "/api/v1/query?text=red", "/api/v1/photos", "/api/v1/photos/1/view",
           "/api/v1/photos/1/thumbnail", "/api/v1/progress", "/api/v1/openapi.json", "/nothing", "/static"]  # fmt: skip


@pytest.mark.parametrize("path", PRIVATE)
def test_a_stranger_sees_nothing(stranger: TestClient, path: str) -> None:
    assert stranger.get(path).status_code == 401


@pytest.mark.parametrize("path", PRIVATE)
def test_a_strangers_browser_is_led_to_the_door(stranger: TestClient, path: str) -> None:
    led = stranger.get(path, headers={"accept": "text/html", "sec-fetch-mode": "navigate"})
    assert (led.status_code, led.headers["location"]) == (303, "/enter")


@pytest.mark.parametrize("token", ["", "x", "Bearer", "Bearer ", "Bearer wrong", "Basic dXNlcjpwYXNz", "bearer \xff"])
def test_a_wrong_token_is_no_token(stranger: TestClient, token: str) -> None:
    assert stranger.get("/api/v1/photos", headers=[(b"authorization", token.encode("latin-1"))]).status_code == 401


@pytest.mark.parametrize(
    "cookie", ["archive_8377=", "archive_8377=x", "archive_8377", "archive_8378=x", ";;=", "a=\xff"]
)
def test_a_wrong_cookie_is_no_cookie(stranger: TestClient, cookie: str) -> None:
    assert stranger.get("/api/v1/photos", headers=[(b"cookie", cookie.encode("latin-1"))]).status_code == 401


def test_the_token_itself_is_not_the_cookie(stranger: TestClient, door: Door) -> None:
    assert stranger.get("/api/v1/photos", headers={"cookie": f"{door.cookie}={door.token}"}).status_code == 401


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(stranger: TestClient, door: Door) -> None:
    came = stranger.post("/enter", data={"answer": door.token}, headers={"origin": ORIGIN})
    assert came.headers["location"] == "/"
    kept = came.headers["set-cookie"]
    assert kept.startswith("archive_8377=")
    assert {part.strip() for part in kept.split(";")[1:]} == {"Path=/", "HttpOnly", "SameSite=Strict"}
    assert door.token not in kept
    assert stranger.get("/photos").status_code == 200


def test_each_start_has_a_token_of_its_own() -> None:
    assert len({Door(8377).token for _ in range(8)}) == 8


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8377", "127.0.0.1.evil.example:8377", "127.0.0.1:8378", "127.0.0.1", "localhost",
     "192.168.1.5:8377", "0.0.0.0:8377", "[::]:8377", "2130706433:8377", "127.1:8377", "", ":8377", "127.0.0.1:8377:1",
     "127.0.0.1:٨٣٧٧", "user@127.0.0.1:8377", "127.0.0.1:8377 evil"],
)  # fmt: skip
def test_a_name_that_was_pointed_here_is_refused(program: TestClient, host: str) -> None:
    for path in ("/", "/enter", "/static/style.css", "/api/v1/photos"):
        assert program.get(path, headers=[(b"host", host.encode())]).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8377", "localhost:8377", "LOCALHOST:8377", "[::1]:8377"])
def test_the_servers_own_names_are_taken(program: TestClient, host: str) -> None:
    assert program.get("/api/v1/photos", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/api/v1/query?text=red", "/api/v1/photos/1/view", "/static/script.js"])
def test_pages_of_other_sites_and_of_other_ports_get_nothing(client: TestClient, path: str, site: str) -> None:
    asked = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
    assert client.get(path, headers=asked).status_code == 403


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://127.0.0.1:8378", "https://127.0.0.1:8377"]
)
def test_a_form_of_another_site_changes_nothing(stranger: TestClient, door: Door, origin: str | None) -> None:
    headers = {} if origin is None else {"origin": origin}
    sent = stranger.post("/enter", data={"answer": door.token}, headers=headers)
    assert sent.status_code == 403
    assert "set-cookie" not in sent.headers


def test_a_body_that_is_too_large_is_not_read(client: TestClient) -> None:
    for content in (b"x" * (LARGEST_BODY + 1), iter([b"x" * 9_000] * 3)):
        sent = client.post("/enter", content=content, headers={"origin": ORIGIN})
        assert sent.status_code == 413
    assert client.get("/photos", headers={"content-length": "-1"}).status_code == 400


def test_an_address_that_is_too_long_is_refused(client: TestClient) -> None:
    assert client.get("/", params={"q": "x" * LONGEST_ADDRESS}).status_code == 414


@pytest.mark.parametrize(
    "path", ["/", "/enter", "/static/style.css", "/api/v1/photos/1/view", "/nothing", "/api/v1/nothing"]
)
def test_every_answer_says_what_a_browser_must_not_do(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http:" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "path",
    ["/static/../door.py", "/static/..%2fdoor.py", "/static/%2e%2e/%2e%2e/door.py", "/static//etc/passwd",
     "/static/style.css%00.js", "/static/", "/photos/../../etc/passwd", "/photos/1%2f..%2f2", "/photos/-1",
     "/photos/0x1", "/photos/99999999999999999999", "/photos/" + "9" * 4000, "/photos/%D9%A1", "/photos/1.jpg"],
)  # fmt: skip
def test_paths_lead_to_nothing_but_pages(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_another_address_takes_any_number_but_no_name() -> None:
    hosts = Hosts("0.0.0.0", 8377)
    assert hosts.has("192.168.1.5:8377")
    assert hosts.has("[fe80::1]:8377")
    assert hosts.has("localhost:8377")
    assert not hosts.has("evil.example:8377")
    assert not hosts.has("192.168.1.5:80")


def test_a_password_opens_the_door_and_guessing_closes_it(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(8377, "correct horse")
    with TestClient(application(filled, door, Hosts("0.0.0.0", 8377)), ORIGIN, follow_redirects=False) as client:

        def answer(words: str) -> int:
            return client.post("/enter", data={"answer": words}, headers={"origin": ORIGIN}).status_code

        assert 'type="password"' in client.get("/enter").text
        assert [answer("wrong") for _ in range(doors.TRIES)] == [403] * doors.TRIES
        assert answer("correct horse") == 429
        later = monotonic() + doors.PAUSE
        monkeypatch.setattr(doors, "monotonic", lambda: later)
        assert answer("correct horse") == 303
        assert client.get("/photos").status_code == 200
