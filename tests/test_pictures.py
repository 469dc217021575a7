"""Pictures beside the words of an answer: on a terminal alone, and in the system's viewer when asked."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests import coloured_photos
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands

TAKEN = datetime(2026, 11, 20, 8, tzinfo=UTC)
HALF_BLOCK = "▀"
ESCAPE = "\x1b"


@pytest.fixture
def filled(archive: Commands, tmp_path: Path) -> Commands:
    """An archive with a red square among grey photos."""
    for number in range(12):
        squares = {"white": (number, 0, number + 2, 2)} | ({"red": (40, 60, 120, 130)} if number == 5 else {})
        coloured_photos.write(tmp_path / "card" / f"IMG_{number}.jpg", squares, TAKEN)
    assert archive("ingest", tmp_path / "card").code == 0
    return archive


def on_a_terminal(*arguments: str) -> str:
    """What the command writes to a terminal that knows neither Kitty's protocol nor Sixel."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 40, 80, 800, 800))
    command = [sys.executable, "-m", "tests.coloured_archive", *arguments]
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with subprocess.Popen(
        command, cwd=CHECKOUT, env=environment, stdin=terminal, stdout=terminal, stderr=subprocess.DEVNULL
    ) as process:
        os.close(terminal)
        shown = b""
        while select.select([controller], [], [], 60)[0]:
            try:
                part = os.read(controller, 65_536)
            except OSError:  # the other side is closed
                break
            shown += part
        process.wait(30)
    os.close(controller)
    return shown.decode("utf-8", "replace")


@pytest.mark.usefixtures("filled")
def test_a_terminal_shows_the_photo_under_the_words() -> None:
    shown = on_a_terminal("query", "red")
    assert "Last seen" in shown
    assert shown.count(HALF_BLOCK) > 100
    assert "38;2;" in shown or "48;2;" in shown
    assert HALF_BLOCK not in on_a_terminal("query", "red", "--no-picture")
    assert HALF_BLOCK not in on_a_terminal("query", "purple")


def test_a_pipe_gets_words_alone(filled: Commands) -> None:
    told = filled("query", "red")
    assert "Last seen" in told.out
    assert ESCAPE not in told.out
    assert HALF_BLOCK not in told.out


def test_open_hands_the_photo_of_the_last_sighting_to_the_viewer(
    filled: Commands, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, opened = tmp_path / "programs", tmp_path / "opened"
    programs.mkdir()
    viewer = programs / ("open" if sys.platform == "darwin" else "xdg-open")
    viewer.write_text(f'#!/bin/sh\nprintf %s "$1" > "{opened}.new" && mv "{opened}.new" "{opened}"\n')
    viewer.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    assert filled("query", "red", "--open").code == 0
    deadline = time.monotonic() + 20
    while not opened.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert opened.read_text().startswith(str(home / "originals"))
    opened.unlink()
    assert filled("query", "purple", "--open").code == 1
    assert not opened.exists()


def test_without_a_viewer_the_answer_still_stands(
    filled: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = filled("query", "red", "--open")
    assert done.code == 3
    assert "Last seen" in done.out
    assert done.err.splitlines()[-1].startswith("archive: there is no ")


def test_status_draws_the_days_and_counts_them_in_json(filled: Commands) -> None:
    assert sum(filled("status", "--json").object["days"].values()) in {0, 12}  # 0 once that day is half a year ago
