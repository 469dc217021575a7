"""What comes with the archive itself: which pairs, where they lie, and what their scores mean.

A query needs no more of a pair than this, and the registry takes longer to import than it saves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archive.verdicts import Calibration

NAMES = ("pocket",)
"""The shipped pairs; the registry says what each is made of."""

CALIBRATION = "calibration.json"


def is_shipped(name: str) -> bool:
    """Whether that is the name of a pair that comes with the archive; a path or an unknown name is none."""
    return name in NAMES


def shipped_folder(name: str) -> Path:
    """The folder of a pair that comes with the archive."""
    return Path(__file__).parent / name


def calibration(name: str) -> Calibration:
    """What scores mean in the space of a pair, where that was measured."""
    from archive.verdicts import UNMEASURED, Calibration

    path = shipped_folder(name) / CALIBRATION
    return Calibration(**json.loads(path.read_bytes())) if path.is_file() else UNMEASURED
