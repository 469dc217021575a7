"""A real browser, Debian's Chromium, driven by Playwright: nothing is fetched to run it."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from playwright.sync_api import Browser, Page, Request

NAMES = ("chromium", "chromium-browser", "google-chrome")
REQUIRED = "ARCHIVE_REQUIRE_BROWSER"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
]  # fmt: skip
PATIENCE = 20_000
SCREENS = CHECKOUT / "tests" / "output" / "page"


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium; without one the tests are skipped, or fail where ARCHIVE_REQUIRE_BROWSER is 1."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        reason = "needs Chromium, which is not installed: apt-get install chromium"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


class Witness:
    """Sees everything that a page asks for and complains of."""

    def __init__(self, page: Page, host: str) -> None:
        self._host = host
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in {"error", "warning"} else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._requested)

    def _requested(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != self._host:
            self.elsewhere.append(request.url)


def come_in(browser: Browser, url: str, **options: Any) -> tuple[Page, Witness]:  # noqa: ANN401
    """A new window that has come in through the address that `archive serve` printed."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(PATIENCE)
    witness = Witness(page, urlsplit(url).netloc)
    page.goto(url)
    page.wait_for_url("**/")
    return page, witness


def screen(page: Page, name: str, *, whole: bool = True) -> None:
    """Keep a picture of the page among the tests' artefacts."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{name}.png", full_page=whole)
