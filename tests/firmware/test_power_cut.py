"""The power may fail at any sector: every prefix of the card's writes is mounted, written on, and read again."""

from __future__ import annotations

import shutil
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

import pytest

from tests.firmware import fat
from tests.firmware.running import Plan, audit, play_on_micropython

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

EARLIER = 12
"""Photos that lie on the card when the recording begins: one more and the folder grows into its next sector."""

WAKES = 6
WAKES_AFTER = 2
SIZES = [700, 1100, 1900, 1536]
CONFIG = "interval = 30\nsettle_ms = 0\nreserve_mb = 2\n"


def record(folder: Path, kind: Literal[16, 32], wakes: int) -> tuple[Plan, Plan]:
    """A card in use, and the log of every sector that the firmware then writes to it, a new session included."""
    image = str(fat.make(folder / "card.img", kind, 34 if kind == 32 else 6))
    settings = {"shot_sizes": SIZES, "seed": kind}
    steps = [
        {"wake": 1}, {"power_off": 60_000}, {"wake": EARLIER - 1}, {"save": str(folder / "before.img")},
        {"card": {"image": image, "log": str(folder / "writes")}}, {"wake": wakes},
        {"power_off": 60_000}, {"wake": 2},
    ]  # fmt: skip
    card = {"image": image, "config": CONFIG}
    return play_on_micropython({"card": card, "steps": steps, **settings}, folder), settings


def cut_everywhere(folder: Path, kind: Literal[16, 32], *, torn: bool, wakes: int = WAKES) -> int:
    """Cut after every single write; gives the number of cuts, each of which was survived."""
    recorded, settings = record(folder, kind, wakes)
    writes = fat.writes(folder / "writes")
    assert recorded["writes"] == len(writes)
    (folder / "out").mkdir()
    again = play_on_micropython(
        {
            "cuts": list(range(len(writes) + 1)), "image": str(folder / "before.img"), "log": str(folder / "writes"),
            "torn": torn, "wakes": WAKES_AFTER, "out": str(folder / "out"), "nvs": {} if torn else {"session": 3},
            **settings, "seed": 9,
        },
        folder,
    )  # fmt: skip
    base = (folder / "before.img").read_bytes()
    earlier = digests(recorded["stored"][:EARLIER])
    for result in again["cuts"]:
        cut = result["cut"]
        changed = prefix(base, writes, cut, torn=torn)
        stored = recorded["stored"][EARLIER:]
        safe = earlier | digests(entry for entry in stored if entry["writes"] <= cut - torn)
        found = check(folder / "cut", base, changed, safe, earlier | digests(stored))
        after = digests(result["stored"])
        assert len(after) == WAKES_AFTER, f"cut {cut}: the firmware did not go on"
        changed |= dict(fat.writes(folder / "out" / str(cut)))
        check(folder / "cut", base, changed, found | after, earlier | digests(stored) | after)
    return len(again["cuts"])


def digests(stored: Iterable[Plan]) -> dict[str, str]:
    """Path and digest of each photo whose file was closed."""
    return {entry["path"]: entry["sha256"] for entry in stored}


def prefix(base: bytes, writes: list[tuple[int, bytes]], cut: int, *, torn: bool) -> dict[int, bytes]:
    """The sectors that changed up to the cut; of the last one only half where it is torn."""
    changed = dict(writes[: max(cut - torn, 0)])
    if torn and cut:
        number, content = writes[cut - 1]
        old = changed.get(number, base[number * fat.SECTOR : (number + 1) * fat.SECTOR])
        changed[number] = content[: fat.SECTOR // 2] + old[fat.SECTOR // 2 :]
    return changed


def check(
    root: Path, base: bytes, changed: dict[int, bytes], safe: dict[str, str], written: dict[str, str]
) -> dict[str, str]:
    """The whole photos: all that must be safe are among them, and none that the camera did not store."""
    fat.extract(fat.Image(base, changed), root)
    whole = {path: sha256(content).hexdigest() for path, content in audit(root).whole.items()}
    shutil.rmtree(root)
    assert whole | safe == whole, "a stored photo was lost"
    assert whole.items() <= written.items(), "wrong bytes were taken for a photo"
    return whole


@pytest.mark.parametrize("kind", [16, 32])
@pytest.mark.parametrize("torn", [False, True])
def test_a_power_cut_at_any_sector_costs_no_stored_photo(tmp_path: Path, kind: Literal[16, 32], torn: bool) -> None:
    assert cut_everywhere(tmp_path, kind, torn=torn) > 90


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", [16, 32])
@pytest.mark.parametrize("torn", [False, True])
def test_a_power_cut_in_a_long_session_costs_no_stored_photo(tmp_path: Path, kind: Literal[16, 32], torn: bool) -> None:
    assert cut_everywhere(tmp_path, kind, torn=torn, wakes=40) > 400
