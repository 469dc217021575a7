"""`archive clock`: a clock that the camera can read, on the whole screen."""

from __future__ import annotations

import shutil
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from archive.cli.options import verbose

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[2J", "\x1b[?25h\x1b[?1049l"
"""To the terminal's other screen without a cursor, and back."""

HOME, INK, PLAIN, CLEAR_LINE = "\x1b[H", "\x1b[30;107m", "\x1b[0m", "\x1b[K"
HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
"""Two modules, one above the other, as one letter in black on white."""

CAPTION_LINES = 2


@click.command(
    epilog="""
\b
Examples:
  archive clock                 look at it while you wear the camera, until a photo was taken; Ctrl-C ends it
  archive clock --seconds 90

The camera's clock is never right for long. A photo that shows this screen tells `archive ingest` when it was taken, and
with it every photo of its session, earlier and later ones. Once a day is enough, twice is better. Make the window
large, stay within an arm's length or two, and wait for the red light to blink.
"""
)
@click.option("--seconds", type=click.IntRange(1), help="End by itself after so long. [default: Ctrl-C ends it]")
@verbose
def command(seconds: int | None) -> None:
    """Show a clock that the camera can read, to tell it the time."""
    from archive.photos import clock_code

    if not sys.stdout.isatty():
        raise click.UsageError("the clock needs a terminal to be shown on")
    ends = None if seconds is None else time.monotonic() + seconds
    sys.stdout.write(ENTER)
    try:
        while ends is None or time.monotonic() < ends:
            now = datetime.now().astimezone()
            offset = now.utcoffset()
            code = clock_code.code(int(now.timestamp() * 1000), int(offset.total_seconds()) // 60 if offset else 0)
            columns, rows = shutil.get_terminal_size()
            sys.stdout.write(HOME + "\r\n".join(screen(code, columns, rows, f"{now:%A %H:%M:%S}")))
            sys.stdout.flush()
            time.sleep(1 - time.time() % 1)
    except KeyboardInterrupt:  # the usual way to end it
        pass
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()


def screen(code: NDArray[np.bool_], columns: int, rows: int, caption: str) -> Iterator[str]:
    """The lines that fill a terminal: the code as large as it fits, in the middle, and a caption below it.

    Raises:
        click.UsageError: not even the smallest code fits.
    """
    import numpy as np

    side = len(code)
    scale = min(columns // side, (rows - CAPTION_LINES) * 2 // side)
    if scale < 1:
        needed = f"{side} columns and {-(-side // 2) + CAPTION_LINES} rows"
        raise click.UsageError(f"the clock needs {needed}; make the window larger or its letters smaller")
    large = np.kron(code, np.ones((scale, scale), dtype=np.bool_))
    if len(large) % 2:
        large = np.vstack([large, np.zeros_like(large[:1])])
    margin = " " * ((columns - side * scale) // 2)
    for upper, lower in zip(large[::2].tolist(), large[1::2].tolist(), strict=True):
        modules = "".join(HALVES[pair] for pair in zip(upper, lower, strict=True))
        yield f"{margin}{INK}{modules}{PLAIN}{CLEAR_LINE}"
    yield f"{caption.center(columns).rstrip()}{CLEAR_LINE}"
    yield f"{'Ctrl-C ends it'.center(columns).rstrip()}\x1b[J"
