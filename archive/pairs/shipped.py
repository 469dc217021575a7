"""What comes with the archive itself: which pairs, where they lie, and what their scores mean.

A query needs no more of a pair than this, and the registry takes longer to import than it saves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from archive.verdicts import Calibration


class Shipped(NamedTuple):
    """Where a shipped pair lies, and the file there that says what its scores mean."""

    folder: str
    calibration: str


SHIPPED = {
    "pocket": Shipped("pocket", "calibration.json"),
    "pocket-close": Shipped("pocket", "calibration-close.json"),
}
"""The shipped pairs; the registry says what each is made of.

They share their weights and a space. A pair that looks closer meets more that resembles what is asked for, so the same
score means less there.
"""


def is_shipped(name: str) -> bool:
    """Whether that is the name of a pair that comes with the archive; a path or an unknown name is none."""
    return name in SHIPPED


def shipped_folder(name: str) -> Path:
    """The folder of a pair that comes with the archive."""
    return Path(__file__).parent / SHIPPED[name].folder


def calibration(name: str) -> Calibration:
    """What scores mean in the space of a pair, where that was measured."""
    from archive.verdicts import UNMEASURED, Calibration

    if not is_shipped(name):
        return UNMEASURED
    return Calibration(**json.loads((shipped_folder(name) / SHIPPED[name].calibration).read_bytes()))
