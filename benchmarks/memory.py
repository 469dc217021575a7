"""Whether an ingest holds more memory the more photos there are: `python -m benchmarks.memory [PHOTOS]`.

The real command runs in a process of its own over a card of small made-up photos, with a segmenter and an embedder
that cost nothing and see as much as real ones: eight segments, 256 numbers each. What it has held at the most (VmHWM)
is read from outside as it passes each mark; the ratio is that of the last mark to the first.

What grows by itself is told apart: with `--no-index` no shard is written. Building one holds its vectors, up to a
million of them (see `archive.sealing`), whatever the number of photos.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
import numpy as np
from PIL import Image

from archive import cli, parts, progress, settings
from archive.types import Box, Region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archive.types import Pixels, Vectors

MARKS = (2_000, 5_000, 10_000, 20_000)
SIZE = (64, 48)
PICTURES = 40
PER_FOLDER = 1_000
DIM = 256
NO_INDEX = 1 << 40
"""Vectors outside every shard that no archive has."""

SEAL_AT_VARIABLE = "MEMORY_SEAL_AT"


class SevenBoxes:
    """Finds seven boxes, whatever the photo shows."""

    name = "seven"

    def segment(self, pixels: Pixels) -> list[Region]:
        """One box of another size and place for each."""
        height, width = pixels.shape[:2]
        return [
            Region(Box(width * at // 10, height * at // 12, width * (at + 3) // 10, height * (at + 4) // 12), 0.9)
            for at in range(7)
        ]


class Projected:
    """A crop's mean colours on a few axes drawn by chance, and a little of the crop itself."""

    space = "projected@1"
    side = None
    dim = DIM

    def __init__(self) -> None:
        self._axes = np.random.default_rng(3).normal(size=(48, DIM)).astype(np.float32)

    def embed_images(self, crops: Sequence[Pixels]) -> Vectors:
        """One unit row for each crop."""
        small = [np.asarray(Image.fromarray(crop).resize((4, 4)), np.float32).ravel() for crop in crops]
        return _unit(np.stack(small) @ self._axes)

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """A row for each text that depends on its length alone."""
        return _unit(np.stack([self._axes[len(text) % 48] for text in texts]))


def _unit(rows: Vectors) -> Vectors:
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12), dtype=np.float32)


def write_card(folder: Path, photos: int) -> None:
    """A card of that many photos: a few pictures, each time with another comment, so that no two files are equal."""
    chance = np.random.default_rng(5)
    bodies = []
    for _ in range(PICTURES):
        noise = Image.fromarray(chance.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize(SIZE)
        file = BytesIO()
        noise.save(file, "JPEG", quality=85)
        bodies.append(file.getvalue())
    for number in range(photos):
        place = folder / "DCIM" / f"{100 + number // PER_FOLDER}TEST"
        if number % PER_FOLDER == 0:
            place.mkdir(parents=True)
        body, comment = bodies[number % PICTURES], f"photo {number}".encode()
        length = (len(comment) + 2).to_bytes(2, "big")
        (place / f"IMG_{number:06d}.jpg").write_bytes(body[:2] + b"\xff\xfe" + length + comment + body[2:])


def measure(photos: int, marks: Sequence[int], *, index: bool = True) -> dict[int, int]:
    """What an ingest of that many photos has held at the most, in KiB, when it had done each mark."""
    with TemporaryDirectory(prefix="archive-memory-") as folder:
        card, home = Path(folder) / "card", Path(folder) / "home"
        write_card(card, photos)
        environment = {**os.environ, "ARCHIVE_HOME": str(home), SEAL_AT_VARIABLE: "" if index else str(NO_INDEX)}
        command = [sys.executable, "-m", "benchmarks.memory", "--ingest", str(card)]
        running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603  (ourselves)
        return _watched(running, home, photos, marks)


def _watched(running: subprocess.Popen[bytes], home: Path, photos: int, marks: Sequence[int]) -> dict[int, int]:
    peaks: dict[int, int] = {}
    last = 0
    while running.poll() is None:
        now = progress.read(home)
        last = _peak_kib(running.pid) or last
        for mark in marks:
            if now is not None and now.done >= mark:
                peaks.setdefault(mark, last)
        time.sleep(0.1)
    if running.returncode:
        raise SystemExit(f"the ingest ended with {running.returncode}")
    # The end of the run is a mark too: its file of progress goes before anybody can read the last number in it.
    return {mark: peaks.get(mark, last) for mark in marks if mark <= photos}


def _peak_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except ProcessLookupError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def _ingest(card: str) -> None:
    """The real command, with the parts of this benchmark."""
    parts.SEGMENTERS["seven"], parts.EMBEDDERS["projected"] = SevenBoxes, Projected
    if seal_at := os.environ.get(SEAL_AT_VARIABLE):
        settings.SEAL_AT = int(seal_at)
    cli.main(["ingest", card, "--segmenter", "seven", "--embedder", "projected"])


@click.command()
@click.argument("photos", default=MARKS[-1])
@click.option("--no-index", is_flag=True, help="Write no shard.")
@click.option("--ingest", "card", hidden=True)
def main(photos: int, card: str | None, *, no_index: bool) -> None:
    """Measure, print a line for each mark, and all of it as JSON."""
    if card is not None:
        _ingest(card)
    marks = sorted({*(mark for mark in MARKS if mark < photos), photos})
    peaks = measure(photos, marks, index=not no_index)
    for mark, kib in peaks.items():
        click.echo(f"{mark:>8,} photos  {kib / 1024:8.1f} MiB at the most so far", err=True)
    ratio = peaks[marks[-1]] / peaks[marks[0]]
    click.echo(json.dumps({"index": not no_index, "peak_kib": peaks, "ratio": round(ratio, 3)}))


if __name__ == "__main__":
    main()
