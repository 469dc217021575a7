"""A card that fills up over weeks: every waking stays as cheap as the first, and every photo is there."""

from __future__ import annotations

import json
import mmap
from typing import TYPE_CHECKING

import pytest

from archive.photos import camera_card
from tests.firmware import fat
from tests.firmware.running import from_image, journal, play_on_micropython, sessions_of

if TYPE_CHECKING:
    from pathlib import Path

READS_PER_WAKING = 150
"""On clusters of 32 KB, as cards of 32 GB have them. The journal grows by one in 470 photos, and finding its end takes
a read for each: 20 more after a day, 200 more after a month without a reset."""

READS_OF_A_BOOT = 60


def fill(folder: Path, photos: int) -> None:
    """Let the camera take so many photos, then put the battery in anew, and read the card."""
    image = fat.make(folder / "card.img", 32, 2200 + photos // 32, cluster=64)
    settings = {"shot_sizes": [600, 700, 800]}
    card = {"image": str(image), "config": "settle_ms = 0\nled = 0\nreserve_mb = 2\n"}
    first = play_on_micropython(
        {"card": card, "steps": [{"wake": photos - 1}], **settings}, folder, f"{16 + photos // 1000}M", 7200
    )
    card = {"image": str(image)}
    reboot = play_on_micropython({"card": card, "steps": [{"wake": 1}], **settings}, folder)
    assert first["reads"] / (photos - 1) < READS_PER_WAKING
    assert reboot["reads"] < READS_OF_A_BOOT
    stored = [entry["path"] for entry in first["stored"] + reboot["stored"]]
    with image.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as base:
        examined = ((path, camera_card.examine(content)[0]) for path, content in fat.Image(base).files())
        whole = {path for path, condition in examined if condition is camera_card.Condition.WHOLE}
    assert len(stored) == photos
    assert set(stored) == whole


@pytest.mark.timeout(280)
def test_ten_thousand_photos_are_all_whole_and_none_costs_more_than_the_first(tmp_path: Path) -> None:
    fill(tmp_path, 10_000)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_photos_are_all_whole(tmp_path: Path) -> None:
    fill(tmp_path, 100_000)


def test_sessions_of_a_long_life_are_read_in_order_and_complete(tmp_path: Path) -> None:
    image = fat.make(tmp_path / "card.img", 16, 40, cluster=4)
    steps = [{"wake": 250}, {"power_off": 60_000}] * 3
    play_on_micropython({"card": {"image": str(image)}, "steps": steps, "shot_sizes": [600]}, tmp_path)
    root = from_image(image, tmp_path / "card")
    sessions = sessions_of(root)
    assert [session.key.number for session in sessions] == [1, 2, 3]
    for session in sessions:
        assert [photo.number for photo in session.photos] == list(range(250))
        assert session.missing == ()
        assert session.journal.bad_lines == 0
        mono = [session.mono_of(photo) or 0 for photo in session.photos]
        assert mono == sorted(mono)
    assert sorted(path.name for path in sessions[0].folder.iterdir()) == ["000", "001", "LOG.TXT"]
    assert journal(root, 3)[0].startswith("H v=1 dev=a0b1c2d3e4f5 ses=3 ")


def test_a_number_without_a_file_is_named_as_missing(tmp_path: Path) -> None:
    image = fat.make(tmp_path / "card.img", 16, 40, cluster=4)
    play_on_micropython({"card": {"image": str(image)}, "steps": [{"wake": 8}]}, tmp_path)
    root = from_image(image, tmp_path / "card")
    for number in (3, 7):
        (root / "ARCHIVE" / "S0000001" / "000" / f"{number:08d}.JPG").unlink()
    (session,) = sessions_of(root)
    assert session.missing == (3, 7)
    assert json.dumps([photo.number for photo in session.photos]) == "[0, 1, 2, 4, 5, 6]"
