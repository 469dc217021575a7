"""Playing the simulator's plans on either interpreter, and reading the cards that come out."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from archive.photos import camera_card
from tests.firmware import fat, micropython
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import ModuleType

Plan: TypeAlias = dict[str, Any]

FIRMWARE = CHECKOUT / "firmware"
PHOTO_SUFFIX = ".JPG"


def module(name: str) -> ModuleType:
    """A module of the firmware or its simulator, under CPython."""
    if str(FIRMWARE) not in sys.path:
        sys.path.insert(0, str(FIRMWARE))
    return importlib.import_module(name)


def play(plan: Plan) -> Plan:
    """Play a plan under CPython; its cards are folders."""
    result: Plan = module("simulator.scenario").play(plan)
    return result


def play_on_micropython(plan: Plan, folder: Path, heap: str = "32M", limit_s: int = 280) -> Plan:
    """Play a plan under MicroPython; its cards are FAT images."""
    (folder / "plan.json").write_text(json.dumps(plan))
    script = FIRMWARE / "simulator" / "scenario.py"
    command = [*micropython.interpreter(), "-X", f"heapsize={heap}", str(script)]
    done = subprocess.run(
        [*command, str(folder / "plan.json"), str(folder / "result.json")],
        capture_output=True, text=True, timeout=limit_s, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    result: Plan = json.loads((folder / "result.json").read_text())
    return result


def on_folder(root: Path, steps: list[Plan], config: str = "", **settings: object) -> Plan:
    """Play steps under CPython on a card that is the folder `root`."""
    root.mkdir(exist_ok=True)
    free = settings.pop("free", 1 << 30)
    return play({"card": {"folder": str(root), "config": config, "free": free}, "steps": steps, **settings})


def sessions_of(root: Path) -> list[camera_card.CardSession]:
    """The sessions of a card of which everything can be read."""

    def fail(path: Path, reason: str) -> None:
        raise AssertionError(f"{path}: {reason}")

    return camera_card.read(root, fail)


@dataclass(frozen=True)
class Audit:
    """All photos of a card: path on the card and true frame of those that are whole, and the rest by condition."""

    whole: dict[str, bytes]
    others: dict[str, camera_card.Condition]


def audit(root: Path) -> Audit:
    """Read a card as ingest would, and examine each photo's bytes."""
    whole: dict[str, bytes] = {}
    others: dict[str, camera_card.Condition] = {}
    for session in sessions_of(root):
        for photo in session.photos:
            content = photo.path.read_bytes()
            name = "/" + photo.path.relative_to(root).as_posix()
            condition, _ = camera_card.examine(content)
            if condition is camera_card.Condition.WHOLE:
                whole[name] = content
            else:
                others[name] = condition
    return Audit(whole, others)


def journal(root: Path, session: int = 1) -> list[str]:
    """The journal's lines without their CRCs."""
    content = (root / "ARCHIVE" / f"S{session:07d}" / "LOG.TXT").read_text(encoding="ascii")
    return [line.rpartition("*")[0] for line in content.splitlines()]


def kinds(lines: Iterable[str], kind: str) -> list[str]:
    """The lines of one kind."""
    return [line for line in lines if line.startswith(kind + " ")]


def from_image(image: Path, root: Path) -> Path:
    """The files of a FAT image, in a folder."""
    fat.extract(fat.Image(image.read_bytes()), root)
    return root
