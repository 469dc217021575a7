"""kill -9 while the wearable's card goes in: sessions, anchors and times end as an undisturbed run leaves them."""

from __future__ import annotations

import os
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from archive.catalog.driver import connect_to_read
from archive.photos import clock_code
from tests import coloured_photos
from tests.faults.test_kill import KILLED, calls, ingest, require_strace
from tests.firmware.running import Plan, on_folder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands

POINTS = {"fsync": 4, "pwrite64": 3}
CONFIG = "interval = 600\nsettle_ms = 0\nled = 0\n"
SHOWS_THE_CLOCK = 4


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions of four photos; the first photo of the second one shows a clock, and nothing else tells the time."""
    folder = tmp_path_factory.mktemp("wearable")
    pictures = [str(path) for path in coloured_photos.day(folder / "pictures", 8, datetime(2026, 11, 20, tzinfo=UTC))]
    steps: list[Plan] = [{"wake": 4}, {"power_off": 60_000}, {"wake": 4}]
    began = {"true_ms": (int(time.time()) - 4 * 3600) * 1000}
    told = on_folder(folder / "rehearsal", steps, CONFIG, pictures=pictures, **began)
    code = clock_code.code(told["stored"][SHOWS_THE_CLOCK]["true_ms"] - 500, 0)
    seen = folder / "pictures" / "clock.jpg"
    Image.fromarray(np.kron(np.where(code, 20, 235), np.ones((6, 6))).astype(np.uint8)).convert("RGB").save(seen)
    pictures[SHOWS_THE_CLOCK] = str(seen)
    on_folder(folder / "card", steps, CONFIG, pictures=pictures, **began)
    (folder / "card" / "ARCHIVE" / "broken.jpg").write_bytes(b"not a photo")
    return folder / "card"


def timing(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """What an archive knows of time, but for the moment at which it read the card."""
    with closing(connect_to_read(home / "catalog.sqlite")) as connection:
        return {
            "anchors": connection.execute("SELECT source, mono_ms, utc_ms, error_ms FROM anchors").fetchall(),
            "sessions": connection.execute("SELECT device, number, nonce, last_mono_ms FROM sessions").fetchall(),
            "photos": connection.execute(
                """SELECT s.number, p.number, p.mono_ms, p.captured_at_us, p.captured_error_ms, p.captured_at_source
                   FROM photos p JOIN sessions s ON s.id = p.session_id WHERE s.number = 2 ORDER BY p.number"""
            ).fetchall(),
        }


@pytest.mark.timeout(600)
def test_a_killed_ingest_of_a_card_leaves_no_time_behind_its_anchors(
    archive: Commands, card: Path, tmp_path: Path
) -> None:
    require_strace()
    counts = calls(card, tmp_path / "reference")
    expected = timing(tmp_path / "reference")
    assert len(expected["photos"]) == 4
    assert len(expected["anchors"]) == 1
    killed = 0
    for name, points in POINTS.items():
        # The last of them come after the last photo; the first make the archive.
        for number in np.linspace(counts[name] // 4, counts[name] * 3 // 4, points, dtype=int):
            home = tmp_path / f"{name}-{number}"
            tracer = ("strace", "-qq", "-o", os.devnull, "-e", f"trace={name}")
            inject = f"inject={name}:signal=KILL:when={number}"
            killed += ingest(card, home, *tracer, "-e", inject).returncode in {KILLED, 128 - KILLED}
            assert archive("ingest", card, "--home", home).code == 1
            assert timing(home) == expected
            assert archive("check", "--data", "--home", home).code == 0
    assert killed == sum(POINTS.values()), f"only {killed} points were hit, of {counts}"
