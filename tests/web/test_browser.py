"""The page in a real browser: boxes at the right pixels, by keyboard and on a phone, asking nobody else anything."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from archive.progress import Told
from tests.fakes import COLOURS
from tests.paths import CHECKOUT
from tests.web.browser import chromium, come_in, screen
from tests.web.conftest import ROTATED, SQUARE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

    from tests.web.browser import Witness

Scheme = Literal["light", "dark"]
YELLOW = np.array((255, 214, 10))
PHONE = {"width": 390, "height": 844}
PAGES = [
    "/",
    "/photos",
    "/?q=red",
    "/?q=purple",
    "/?q=red&after=today",
    "/?q=x&after=never",
    "/photos/11",
    "/photos/999",
    "/forget?photo=11",
    "/forget?photo=999",
]


class Served(NamedTuple):
    """A running `archive serve`."""

    url: str
    home: Path

    @property
    def base(self) -> str:
        """The address without the way in."""
        return self.url.partition("/enter")[0]


@contextmanager
def serving(home: Path) -> Iterator[Served]:
    """`archive serve` as a user starts it, stopped with Ctrl-C."""
    command = [sys.executable, "-m", "tests.coloured_archive", "serve", "--home", str(home), "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Served(json.loads(process.stdout.readline())["url"], home)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def served(made_once: Path) -> Iterator[Served]:
    with serving(made_once) as served:
        yield served


@pytest.fixture(scope="module")
def window(browser: Browser, served: Served) -> tuple[Page, Witness]:
    """A window that has come in."""
    return come_in(browser, served.url, viewport={"width": 1280, "height": 900}, color_scheme="light")


@pytest.fixture
def page(window: tuple[Page, Witness], served: Served) -> Iterator[Page]:
    """The window, at the first page; at the end it must have complained of nothing, and asked no other host."""
    page, witness = window
    witness.complaints.clear()
    page.goto(served.base)
    yield page
    assert witness.complaints == []
    assert witness.elsewhere == []


def ask(page: Page, words: str) -> None:
    """Type a question and wait for its answer."""
    page.fill("#q", words)
    page.press("#q", "Enter")
    page.wait_for_selector("#said")
    page.wait_for_load_state()  # the answer's script listens from then on


def pixels(element: Locator) -> np.ndarray[Any, Any]:
    """What an element shows on the screen, once its pictures are there."""
    element.page.wait_for_load_state("networkidle")
    return np.asarray(Image.open(BytesIO(element.screenshot())).convert("RGB")).astype(int)


def frame(shown: np.ndarray[Any, Any]) -> tuple[int, int, int, int]:
    """The outer edges of the yellow frame: left, top, right, bottom."""
    rows, columns = np.nonzero(np.abs(shown - YELLOW).sum(axis=2) < 40)
    assert len(rows), "no yellow frame is on the screen"
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def on_screen(page: Page, x: int, y: int) -> tuple[float, float]:
    """Where a pixel of the photo is in the window."""
    place = page.evaluate(
        """([x, y]) => {
          const point = new DOMPoint(x, y).matrixTransform(document.querySelector("#photo").getScreenCTM());
          return [point.x, point.y];
        }""",
        [x, y],
    )
    return place[0], place[1]


@pytest.mark.parametrize(("words", "box"), [("red", SQUARE), ("blue", ROTATED)])
def test_the_box_is_at_the_right_pixels_of_the_upright_photo(
    page: Page, words: str, box: tuple[int, int, int, int]
) -> None:
    ask(page, words)
    assert page.inner_text("#said").startswith("Last seen")
    shown = pixels(page.locator(".last .picture"))
    scale = min(shown.shape[1] / 320, shown.shape[0] / 240)
    assert np.abs(np.array(frame(shown)) - np.array(box) * scale).max() <= 4
    left, top, right, bottom = (np.array(box) * scale).astype(int)
    inside = shown[top + 8 : bottom - 8, left + 8 : right - 8].mean(axis=(0, 1))
    assert np.abs(inside - COLOURS[words]).max() < 25
    crop = pixels(page.locator(".crop"))
    assert np.abs(crop[crop.shape[0] // 2, crop.shape[1] // 2] - COLOURS[words]).max() < 25
    screen(page, f"answer-{words}")


def test_a_thing_that_is_not_there_is_honestly_not_seen(page: Page) -> None:
    ask(page, "purple")
    assert page.inner_text("#said") == "Not seen"
    assert page.locator("#hits .card").count() == 0
    screen(page, "not-seen")
    page.click("text=Show the closest anyway")
    page.wait_for_selector("#hits .card")
    assert page.inner_text("#said") == "Not seen"


def test_everything_is_reached_by_keyboard_alone(page: Page) -> None:
    page.goto(page.url.rstrip("/") + "/photos")
    page.keyboard.press("/")
    page.keyboard.type("red")
    page.keyboard.press("Enter")
    page.wait_for_selector("#said")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('large')"):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/photos/*")
    first = page.url
    page.keyboard.press("ArrowRight")
    page.wait_for_function("first => location.href !== first && document.querySelector('#photo')", arg=first)
    page.wait_for_load_state()  # the next photo's script listens to keys from then on
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(first.partition("#")[0])


def test_pointing_at_a_thing_marks_it_in_the_photo(page: Page) -> None:
    ask(page, "red")
    page.click(".last .large")
    page.wait_for_selector("#photo")
    page.mouse.move(2, 2)
    page.wait_for_function("() => !document.querySelector('.segment.shown')")
    page.locator(".things a").hover()
    marked = page.locator(".segment.shown .over")
    assert (marked.get_attribute("x"), marked.get_attribute("width")) == (str(SQUARE[0]), str(SQUARE[2] - SQUARE[0]))
    screen(page, "photo")
    page.mouse.move(2, 2)
    page.wait_for_function("() => !document.querySelector('.segment.shown')")


def test_the_slider_hides_weak_photos_and_fetches_weaker_ones(page: Page) -> None:
    ask(page, "red")
    cards = page.locator("#hits .card:visible")
    before = cards.count()
    assert before >= 3
    page.locator("#bar").focus()
    page.keyboard.press("End")
    assert page.locator("#bar + output").inner_text() == "clear match"
    page.keyboard.press("Home")
    page.wait_for_url("**bar=0")
    assert page.locator("#hits .card:visible").count() > before


def test_what_is_not_meant_is_added_and_taken_back(page: Page) -> None:
    ask(page, "red")
    page.fill("#not", "white")
    page.press("#not", "Enter")
    page.wait_for_selector(".chips a.without")
    assert "not=white" in page.url
    assert page.input_value("#q") == "red"
    page.click(".chips a.without")
    page.wait_for_function("() => !location.search.includes('not=')")
    assert page.input_value("#q") == "red"


def test_a_box_that_is_drawn_asks_for_more_like_it_and_teaches(page: Page) -> None:
    ask(page, "green")
    page.click(".last .large")
    page.wait_for_selector("#photo")
    page.goto(page.url.partition("#")[0])
    assert page.locator("#chosen").is_hidden()
    left, top, right, bottom = SQUARE
    page.mouse.move(*on_screen(page, left - 2, top - 2))
    page.mouse.down()
    page.mouse.move(*on_screen(page, left + 20, top + 20))
    page.mouse.move(*on_screen(page, right + 2, bottom + 2))
    page.mouse.up()
    drawn = page.locator("#drawn .over")
    assert abs(float(drawn.get_attribute("x") or 0) - SQUARE[0]) <= 3
    assert abs(float(drawn.get_attribute("width") or 0) - (SQUARE[2] - SQUARE[0])) <= 6
    page.fill("#mine", "my passport")
    page.press("#mine", "Enter")
    page.wait_for_function("() => document.querySelector('#chosen [role=status]').textContent.includes('1 picture')")
    screen(page, "taught")
    page.click("text=More like this")
    page.wait_for_selector("#said")
    assert page.inner_text("#said").startswith("Last seen")
    assert page.locator("#hits .card").count() == 1
    ask(page, "my passport")
    assert "was taught" in page.inner_text(".footnote")
    assert page.inner_text("#said").startswith("Last seen")
    screen(page, "found-what-was-taught")


@pytest.mark.parametrize("script", [True, False])
def test_a_photo_is_forgotten_by_keyboard_and_is_gone_from_page_search_and_disk(
    browser: Browser, made_once: Path, tmp_path: Path, *, script: bool
) -> None:
    home = shutil.copytree(made_once, tmp_path / "home")
    with serving(home) as served:
        page, witness = come_in(browser, served.url)
        ask(page, "green")
        page.click(".last .large")
        page.wait_for_selector("#photo")
        photo = page.url.partition("#")[0]
        digest = page.request.get(photo.replace("/photos/", "/api/v1/photos/")).json()["photo"]["digest"]
        assert len(list(home.rglob(f"{digest}*"))) == 2
        if not script:
            bare = browser.new_context(java_script_enabled=False)
            bare.add_cookies(page.context.cookies())  # type: ignore[arg-type]
            page.context.close()
            page = bare.new_page()
            page.goto(photo)
        page.focus("text=Forget this photo")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=to be erased: 1 photo, taken")
        screen(page, "forget")
        assert page.request.get(photo).ok
        page.focus("text=Erase for good")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=1 photo forgotten")
        screen(page, "forgotten")
        assert list(home.rglob(f"{digest}*")) == []
        assert page.request.get(photo).status == 404
        page.goto(f"{served.base}/photos")
        assert page.locator(f"a[href='{photo.removeprefix(served.base)}']").count() == 0
        ask(page, "green")
        assert page.inner_text("#said") == "Not seen"
        page.context.close()
        assert witness.elsewhere == []


def test_chips_narrow_the_answer_and_stay(page: Page) -> None:
    ask(page, "red")
    page.click("text=Yesterday")
    page.wait_for_selector(".chips [aria-current]")
    assert "after=yesterday" in page.url
    assert page.inner_text(".chips [aria-current]") == "Yesterday"
    ask(page, "green")
    assert "after=yesterday" in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, served: Served, scheme: Scheme) -> None:
    page, _ = come_in(browser, served.url, color_scheme=scheme)
    for number, path in enumerate(PAGES):
        page.goto(served.base + path)
        found = Axe().run(page).response["violations"]
        serious = [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found
                   if one["impact"] in {"serious", "critical"}]  # fmt: skip
        assert serious == [], path
        screen(page, f"{scheme}-{number}")
    page.context.close()


def test_nothing_sticks_out_of_a_phones_screen(browser: Browser, served: Served) -> None:
    page, witness = come_in(browser, served.url, viewport=PHONE, is_mobile=True, has_touch=True, device_scale_factor=2)
    for number, path in enumerate(PAGES):
        page.goto(served.base + path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
        screen(page, f"phone-{number}")
    page.context.close()
    assert witness.elsewhere == []


def test_a_question_is_answered_without_any_script(browser: Browser, served: Served, page: Page) -> None:
    cookies = page.context.cookies()
    with_none = browser.new_context(java_script_enabled=False)
    with_none.add_cookies(cookies)  # type: ignore[arg-type]  # what it gave is what it takes
    bare = with_none.new_page()
    bare.goto(served.base)
    bare.fill("#q", "red")
    bare.press("#q", "Enter")
    assert bare.locator("#said").inner_text().startswith("Last seen")
    with_none.close()


def test_scripts_cannot_read_the_cookie(page: Page) -> None:
    assert page.evaluate("document.cookie") == ""


def test_a_running_ingest_is_shown_as_it_goes(page: Page, served: Served) -> None:
    class Nobody:
        def begin(self, files: int) -> None: ...

        def step(self) -> None: ...

    assert page.locator("#ingest").is_hidden()
    with Told(served.home, Nobody()) as told:
        told.begin(40)
        page.wait_for_selector("#ingest:visible")
        assert "of 40" in page.inner_text("#ingest-words")
    page.wait_for_selector("#ingest", state="hidden")


def test_an_empty_archive_says_how_to_begin(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path / "nothing") as empty:
        page, witness = come_in(browser, empty.url)
        assert "archive ingest" in page.inner_text("main")
        screen(page, "empty")
        page.context.close()
        assert (witness.complaints, witness.elsewhere) == ([], [])


class _Elsewhere(BaseHTTPRequestHandler):
    """A page of another port of this machine, which a browser takes for the same site."""

    def __init__(self, victim: str, *rest: Any) -> None:  # noqa: ANN401  (the server's own business)
        self._victim = victim
        super().__init__(*rest)

    def do_GET(self) -> None:
        page = f"""<!doctype html><title>elsewhere</title><img src="{self._victim}/api/v1/photos/1/view">
        <script>
        addEventListener("load", async () => {{
          const asked = await fetch("{self._victim}/api/v1/photos", {{ credentials: "include" }}).catch(() => null);
          window.got = asked === null ? "nothing" : await asked.text();
        }});
        </script>"""
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None: ...


def test_a_page_of_another_port_gets_neither_words_nor_pictures(page: Page, served: Served, browser: Browser) -> None:
    evil = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Elsewhere, served.base))
    Thread(target=evil.serve_forever, daemon=True).start()
    other = browser.new_context()
    other.add_cookies(page.context.cookies())  # type: ignore[arg-type]
    window = other.new_page()
    window.goto(f"http://127.0.0.1:{evil.server_port}/")
    window.wait_for_function("window.got !== undefined")
    assert window.evaluate("window.got") == "nothing"
    assert window.evaluate("document.images[0].naturalWidth") == 0
    other.close()
    evil.shutdown()
    evil.server_close()
