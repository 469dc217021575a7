"""What durability costs, and what forgetting does: `python -m benchmarks.durability [--full]`. Needs strace.

adding      photos added to a catalog of a thousand segments and to one of a hundred thousand: calls that force bytes
            onto the disk and what they take, by strace, and the bytes that are written, by the system's own count
taking in   the same of whole photos, with originals and notes, through `archive ingest` with the built-in pair
forgetting  the milliseconds from the call until no query can find a photo, and what comes before and after it
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from archive import bootstrap, erasure, upkeep
from archive.catalog.copying import copy_catalog
from archive.catalog.lock import writer_lock
from archive.catalog.reader import CatalogReader
from archive.catalog.writer import Catalog, NewPhoto
from archive.settings import Settings
from archive.types import CaptureSource, CaptureTime, Pack
from benchmarks import days, synthetic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SMALL, LARGE = 1_000, 100_000
"""Segments of the two archives."""

FORGOTTEN = 21
BARE = 101
TRACED = "fsync,fdatasync,sync_file_range,syncfs,sync"
_CALL = re.compile(r"\b(?:fsync|fdatasync|sync_file_range|syncfs|sync)\(.*<([0-9.]+)>$")


def measure(*, full: bool) -> dict[str, object]:
    """Every figure; times are of this disk and of who else uses it, numbers of calls and bytes are not."""
    photos = 1_000 if full else 400
    with TemporaryDirectory() as folder:
        small, large = (_adding(segments, photos, Path(folder)) for segments in (SMALL, LARGE))
        return {
            "adding": {str(SMALL): small, str(LARGE): large},
            "bare_sync_ms": _bare_sync_ms(Path(folder)),
            "syncs_per_photo": large["syncs_per_photo"],
            "synced_ms_per_photo": large["synced_ms_per_photo"],
            "written_growth": large["written_bytes_per_photo"] / small["written_bytes_per_photo"],
            "taking_in": _taking_in(60 if full else 20, Path(folder)),
            "forgetting": _forgetting(Path(folder)),
        }


def _bare_sync_ms(folder: Path) -> float:
    """What this disk takes now to force a few appended bytes down, at the median: the measure of all other times."""
    taken = []
    with (folder / "bare").open("ab") as file:
        for _ in range(BARE):
            file.write(bytes(4096))
            file.flush()
            taken.append(_ms(lambda: os.fsync(file.fileno())))
    return statistics.median(taken)


def _adding(segments: int, photos: int, folder: Path) -> dict[str, float]:
    """Add photos to a copy of an archive's catalog, in a process that strace looks at."""
    home = folder / f"of-{segments}"
    home.mkdir()
    copy_catalog(synthetic.archive(segments).catalog, home / "catalog.sqlite")
    calls, told = _traced([sys.executable, "-m", "benchmarks.durability", "--add", str(photos), "--home", str(home)])
    return {**_each(calls, photos), **json.loads(told)}


def _taking_in(photos: int, folder: Path) -> dict[str, float]:
    """Take whole photos in; what the command does once at its beginning and its end is in the figures."""
    days.distinct(folder / "card", photos)
    command = [sys.executable, "-m", "archive", "ingest", str(folder / "card"), "--home", str(folder / "taken-in")]
    return _each(_traced(command)[0], photos)


def _traced(command: Sequence[str]) -> tuple[list[float], str]:
    """The seconds of each call that forces bytes onto the disk, and what the command printed."""
    if shutil.which("strace") is None:
        raise click.ClickException("needs strace; on Debian: apt-get install strace")
    with TemporaryDirectory() as folder:
        log = Path(folder) / "calls"
        tracer = ["strace", "-f", "--seccomp-bpf", "-qq", "-T", "-e", f"trace={TRACED}", "-o", str(log)]
        done = subprocess.run(  # noqa: S603  (our own interpreter, our own module)
            [*tracer, *command], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise click.ClickException(f"{' '.join(command[:4])} failed: {done.stderr[-2000:]}")
        found = (_CALL.search(line) for line in log.read_text().splitlines())
        return [float(call[1]) for call in found if call], done.stdout


def _each(calls: Sequence[float], photos: int) -> dict[str, float]:
    return {"syncs_per_photo": len(calls) / photos, "synced_ms_per_photo": sum(calls) * 1000 / photos}


def add(home: Path, photos: int) -> dict[str, float]:
    """Add so many photos as an ingest does: what each took, the bytes of the log's emptying included."""
    random = np.random.default_rng(5)
    with writer_lock(home), Catalog.open(home / "catalog.sqlite") as catalog:
        numbered = catalog.answering()
        if numbered is None:
            raise click.ClickException(f"{home} has no pair")
        pair_id, pair = numbered
        before, began = _written(), perf_counter()
        for number in range(photos):
            catalog.add_photo(_new_photo(number), pair_id, _pack(random, pair.dim))
        took = perf_counter() - began
        catalog.checkpoint()
        return {"written_bytes_per_photo": (_written() - before) / photos, "added_ms_per_photo": took * 1000 / photos}


def _pack(random: np.random.Generator, dim: int) -> Pack:
    rows = random.standard_normal((synthetic.SEGMENTS, dim), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    boxes = np.tile(np.array((0, 0, synthetic.WIDTH, synthetic.HEIGHT), np.int32), (synthetic.SEGMENTS, 1))
    return Pack(0, boxes, np.linspace(1, 0.3, synthetic.SEGMENTS, dtype=np.float32), rows)


def _new_photo(number: int) -> NewPhoto:
    return NewPhoto(
        digest=sha256(f"added {number}".encode()).hexdigest(),
        suffix=".jpg",
        size=353_000,
        capture=CaptureTime(synthetic.NEWEST + number * synthetic.EVERY, CaptureSource.EXIF, None),
        camera="made up",
        width=synthetic.WIDTH,
        height=synthetic.HEIGHT,
        name=f"added-{number}.jpg".encode(),
        path=f"card/added-{number}.jpg".encode(),
        modified=None,
    )


def _written() -> int:
    """The bytes that this process has given to the system to write."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def _forgetting(folder: Path) -> dict[str, float]:
    """Forget single photos of the larger archive, each looked for right after; shards are written anew at the end."""
    made = synthetic.archive(LARGE)
    settings = Settings(folder / "forgetting", made.weights)
    shutil.copytree(made.home, settings.home)
    checking = _ms(lambda: upkeep.refuse_damaged(settings.catalog))
    with bootstrap.writing(settings) as catalog:
        taken = []
        for photo in range(100, 100 * (FORGOTTEN + 1), 100):
            taken.append(_ms(lambda photo=photo: catalog.erase([photo])))  # type: ignore[misc]
            _require_invisible(settings, photo)
        places, receipt = bootstrap.places(settings, catalog), erasure.Receipt()
        rest = _ms(lambda: erasure.finish(places, receipt))
    return {
        "invisible_ms": statistics.median(taken),
        "slowest_ms": max(taken),
        "checked_before_ms": checking,
        "bytes_gone_ms": rest,
        "shards_written": receipt.shards,
    }


def _require_invisible(settings: Settings, photo: int) -> None:
    with CatalogReader.open(settings.catalog) as reader:
        numbered = reader.answering()
        if numbered is None or reader.photos([photo]) or reader.packs_of(numbered[0], [photo]):
            raise click.ClickException(f"photo {photo} can still be found")


def _ms(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return (perf_counter() - began) * 1000


@click.command()
@click.option("--full", is_flag=True, help="More photos.")
@click.option("--add", "photos", type=int, help="Only add so many photos to the archive at --home, and tell the bytes.")
@click.option("--home", type=click.Path(path_type=Path, file_okay=False))
def main(photos: int | None, home: Path | None, *, full: bool) -> None:
    """Print the figures as JSON."""
    figures: dict[str, Any] = add(home, photos) if home and photos else measure(full=full)
    click.echo(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
