"""The clock on a terminal: what is drawn there can be read from a photo of it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive.cli.clock import ENTER, LEAVE, screen
from archive.photos import clock_code
from tests.commands import heed_ctrl_c
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archive.types import Pixels
    from tests.commands import Commands

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
DARK = {" ": (False, False), "▀": (True, False), "▄": (False, True), "█": (True, True)}


def photo(lines: Sequence[str]) -> Pixels:
    """A photo of a terminal: each letter two by four pixels, its upper and its lower half."""
    rows = []
    for line in lines:
        halves = [DARK.get(letter, (True, True)) for letter in ESCAPES.sub("", line).ljust(80)]
        rows += [[upper for upper, _ in halves], [lower for _, lower in halves]]
    grey = np.kron(np.where(np.array(rows), 20, 235).astype(np.uint8), np.ones((4, 4), np.uint8))
    return np.repeat(grey[:, :, None], 3, axis=2)


def on_terminal(size: tuple[int, int], *arguments: str, after: float | None = None) -> tuple[int, str]:
    """Run the clock on a terminal of its own; Ctrl-C `after` so many seconds. Its exit code and all that it drew."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    command = [sys.executable, "-m", "archive", "clock", *arguments]
    process = subprocess.Popen(
        command, cwd=CHECKOUT, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, preexec_fn=heed_ctrl_c
    )
    os.close(theirs)
    drawn = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that the other side was closed
            break
        if not part:
            break
        drawn += part
        if after is not None and ENTER.encode() in drawn:
            time.sleep(after)
            process.send_signal(signal.SIGINT)
            after = None
    os.close(ours)
    return process.wait(timeout=30), drawn.decode()


def test_a_small_terminal_shows_a_clock_that_can_be_read() -> None:
    began = time.time() * 1000
    code, drawn = on_terminal((24, 80), "--seconds", "2")
    assert code == 0
    assert drawn.startswith(ENTER)
    assert drawn.rstrip().endswith(LEAVE)
    frames = drawn.split("\x1b[H")[1:]
    assert len(frames) >= 2
    moments = []
    for frame in frames:
        shown = clock_code.read(photo(frame.split("\r\n")[:17]))
        assert shown is not None
        moments.append(shown.utc_ms - shown.error_ms)
    assert moments == sorted(set(moments))
    assert all(began <= moment <= time.time() * 1000 for moment in moments)


def test_ctrl_c_ends_the_clock_and_gives_the_screen_back() -> None:
    code, drawn = on_terminal((30, 100), after=0.3)
    assert code == 0
    assert LEAVE in drawn
    assert "Traceback" not in drawn


def test_a_terminal_that_is_too_small_is_told_what_is_needed() -> None:
    code, drawn = on_terminal((12, 80), "--seconds", "1")
    assert code == 2
    assert "33 columns and 19 rows" in drawn
    assert LEAVE in drawn


def test_the_clock_needs_a_terminal(archive: Commands) -> None:
    done = archive("clock")
    assert done.code == 2
    assert "needs a terminal" in done.err


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40), (200, 70), (33, 19)])
def test_the_code_fills_the_terminal_and_no_more(columns: int, rows: int) -> None:
    lines = list(screen(clock_code.code(1_795_000_000_000, 60), columns, rows, "Monday 14:02:11"))
    assert len(lines) <= rows
    assert max(len(ESCAPES.sub("", line)) for line in lines) <= columns
    assert len(lines) * 3 > rows or columns < 2 * 33
