"""The photo of an answer inside the terminal: with its boxes, as sharp as the terminal can."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from archive.errors import ArchiveError

if TYPE_CHECKING:
    from pathlib import Path

    from archive.settings import Settings
    from archive.types import Answer

WIDEST = 72
"""Columns; a photo that fills a wide terminal would push the words off it."""

TALLEST_SHARE = 0.5


def show(answer: Answer, settings: Settings) -> None:
    """Draw the photo of the last sighting, if there is one and a person is looking; on a pipe, nothing.

    Kitty's protocol or Sixel where the terminal says that it knows them, else half blocks in colour.
    """
    if not (answer.sightings and sys.stdin.isatty() and sys.stdout.isatty()):
        return
    if not os.get_terminal_size(sys.stdout.fileno()).columns:  # a terminal without a size has no screen
        return
    from archive import bootstrap, gallery

    picture = gallery.picture(answer.sightings[0].hit, bootstrap.originals(settings))

    from rich.console import Console
    from textual_image.renderable import Image  # asks the terminal what it can, so not before it is needed

    console = Console()
    rows = max(8, int(console.height * TALLEST_SHARE))
    # A cell is about twice as high as it is wide.
    columns = min(WIDEST, console.width, max(1, round(2 * rows * picture.width / picture.height)))
    console.print(Image(picture, width=columns, height="auto"))


def open_viewer(path: Path) -> None:
    """Open a photo in the system's own viewer, which goes on by itself.

    Raises:
        ArchiveError: there is no viewer.
    """
    import shutil

    program = "open" if sys.platform == "darwin" else "xdg-open"
    found = shutil.which(program)
    if found is None:
        raise ArchiveError(f"there is no {program} to open {path} with; look at it with any viewer")
    silence = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    os.posix_spawn(found, [found, str(path)], os.environ, file_actions=silence)
