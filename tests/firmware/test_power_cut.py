"""The power may fail at any sector: every prefix of the card's writes is mounted, written on, and read again."""

from __future__ import annotations

import shutil
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import pytest

from tests.firmware import fat
from tests.firmware.running import Plan, audit, play_on_micropython

if TYPE_CHECKING:
    from pathlib import Path

WAKES_BEFORE = 6
WAKES_AFTER = 2
SIZES = [700, 1100, 1900, 1536]
CONFIG = "interval = 30\nsettle_ms = 0\nreserve_mb = 2\n"


def record(folder: Path, kind: Literal[16, 32], wakes: int) -> tuple[Plan, Plan]:
    """A card in use, and the log of every sector that the firmware then writes to it."""
    image = fat.make(folder / "card.img", kind, 34 if kind == 32 else 6)
    settings = {"shot_sizes": SIZES, "seed": kind}
    setup = {"card": {"image": str(image), "config": CONFIG}, "steps": [{"wake": 1}], **settings}
    play_on_micropython(setup, folder)
    shutil.copy(image, folder / "before.img")
    plan = {"card": {"image": str(image), "log": str(folder / "writes")}, "steps": [{"wake": wakes}], **settings}
    return play_on_micropython(plan | {"seed": 7, "nvs": {"session": 1}}, folder), settings


def cut_everywhere(folder: Path, kind: Literal[16, 32], *, torn: bool, wakes: int = WAKES_BEFORE, step: int = 1) -> int:
    """Cut after every `step`-th write; gives the number of cuts, each of which was survived."""
    recorded, settings = record(folder, kind, wakes)
    writes = fat.writes(folder / "writes")
    assert recorded["writes"] == len(writes)
    cuts = list(range(0, len(writes) + 1, step))
    (folder / "out").mkdir()
    again = play_on_micropython(
        {
            "cuts": cuts, "image": str(folder / "before.img"), "log": str(folder / "writes"), "torn": torn,
            "wakes": WAKES_AFTER, "out": str(folder / "out"), "nvs": {} if torn else {"session": 2}, **settings,
            "seed": 9,
        },
        folder,
    )  # fmt: skip
    base = (folder / "before.img").read_bytes()
    before = {entry["path"]: entry for entry in recorded["stored"]}
    for result in again["cuts"]:
        cut = result["cut"]
        changed = prefix(base, writes, cut, torn=torn)
        check(
            folder / "cut",
            base,
            changed,
            {p: e["sha256"] for p, e in before.items() if e["writes"] <= cut - torn},
            before,
        )
        changed |= dict(fat.writes(folder / "out" / str(cut)))
        after = {entry["path"]: entry for entry in result["stored"]}
        assert len(after) == WAKES_AFTER, f"cut {cut}: the firmware did not go on"
        safe = {p: e["sha256"] for p, e in before.items() if e["writes"] <= cut - torn}
        check(folder / "cut", base, changed, safe | {p: e["sha256"] for p, e in after.items()}, before | after)
    return len(cuts)


def prefix(base: bytes, writes: list[tuple[int, bytes]], cut: int, *, torn: bool) -> dict[int, bytes]:
    """The sectors that changed up to the cut; of the last one only half where it is torn."""
    changed = dict(writes[: max(cut - torn, 0)])
    if torn and cut:
        number, content = writes[cut - 1]
        old = changed.get(number, base[number * fat.SECTOR : (number + 1) * fat.SECTOR])
        changed[number] = content[: fat.SECTOR // 2] + old[fat.SECTOR // 2 :]
    return changed


def check(root: Path, base: bytes, changed: dict[int, bytes], safe: dict[str, str], written: dict[str, Plan]) -> None:
    """No photo that was closed is lost, and nothing counts as whole that the camera did not store."""
    fat.extract(fat.Image(base, changed), root)
    whole = {path: sha256(content).hexdigest() for path, content in audit(root).whole.items()}
    shutil.rmtree(root)
    lost = {path for path, digest in safe.items() if whole.get(path) != digest}
    assert not lost
    first = "/ARCHIVE/S0000001/000/00000000.JPG"
    assert first in whole, "a photo of an earlier session was lost"
    wrong = {path for path, digest in whole.items() if path != first and digest != written[path]["sha256"]}
    assert not wrong


@pytest.mark.parametrize("kind", [16, 32])
@pytest.mark.parametrize("torn", [False, True])
def test_a_power_cut_at_any_sector_costs_no_stored_photo(tmp_path: Path, kind: Literal[16, 32], torn: bool) -> None:
    assert cut_everywhere(tmp_path, kind, torn=torn) > 60


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", [16, 32])
@pytest.mark.parametrize("torn", [False, True])
def test_a_power_cut_in_a_long_session_costs_no_stored_photo(tmp_path: Path, kind: Literal[16, 32], torn: bool) -> None:
    assert cut_everywhere(tmp_path, kind, torn=torn, wakes=40) > 400
