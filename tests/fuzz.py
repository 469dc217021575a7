"""Broken and hostile pictures by the ten thousand, decoded as the product decodes them.

`python -m tests.fuzz --mutants 100000 [--from N]` prints counts. Each mutant is made from its number alone, so a bad
one can be made again. The mutants are decoded by processes of this program, as an ingest does it: what looks plain in
that very process, the rest by the worker beside it. None may end that process, take more than ten seconds of a
processor, hold more than a gibibyte, or raise anything but one plain PhotoError.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

import click
from PIL import Image

from archive.errors import PhotoError
from archive.photos.apart import ApartDecoder
from archive.photos.names import printable
from tests.paths import CHECKOUT, SHARED
from tests.photos.pictures import encoded, quarters, scenery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST_SECONDS = 10.0
MOST_KIB = 1 << 20
BATCH = 1_000
LARGEST_SEED = 60_000
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".avif", ".bmp", ".mpo", ".heic"}
TICKS = os.sysconf("SC_CLK_TCK")

_SIZES = (0, 1, 2, 3, 0x7F, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)


@dataclass(slots=True)
class Counts:
    """How mutants ended, and every one that broke a rule."""

    mutants: int = 0
    whole: int = 0
    damaged: int = 0
    refused: int = 0
    worker_ended: int = 0
    most_seconds: float = 0.0
    most_kib: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def add(self, other: Counts) -> None:
        """Those of another batch too."""
        for name in ("mutants", "whole", "damaged", "refused", "worker_ended"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.most_seconds = max(self.most_seconds, other.most_seconds)
        self.most_kib = max(self.most_kib, other.most_kib)
        self.by_kind = dict(Counter(self.by_kind) + Counter(other.by_kind))
        self.violations += other.violations


@cache
def seeds() -> tuple[bytes, ...]:
    """Small photos of every format and mode that is taken, and the odd files beside the checkout where they are."""
    picture, drawn = scenery(160, 120), Image.fromarray(quarters(97, 61))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    exif.get_ifd(0x8769)[0x9003] = "2026:11:20 12:00:00"
    jpegs = [
        encoded(picture, "JPEG"),
        encoded(picture, "JPEG", progressive=True),
        encoded(picture, "JPEG", exif=exif, quality=95, subsampling=0),
        encoded(drawn.convert("L"), "JPEG"),
        encoded(picture.convert("CMYK"), "JPEG"),
        encoded(drawn, "JPEG", restart_marker_rows=1),
        encoded(picture, "MPO", save_all=True, append_images=[drawn]),
    ]
    others = [
        *(encoded(drawn.convert(mode), "PNG") for mode in ("RGB", "RGBA", "P", "L", "1", "I;16")),
        *(encoded(picture, "WEBP", lossless=lossless) for lossless in (False, True)),
        encoded(picture, "WEBP", save_all=True, append_images=[picture.transpose(Image.Transpose.ROTATE_180)]),
        encoded(drawn, "GIF", save_all=True, append_images=[drawn.transpose(Image.Transpose.ROTATE_180)]),
        *(encoded(drawn, "TIFF", compression=kind) for kind in ("raw", "tiff_lzw", "tiff_deflate", "jpeg", "packbits")),
        encoded(picture, "AVIF"),
        encoded(drawn, "BMP"),
    ]
    found = sorted((SHARED / "odd-files" / "images").glob("*")) if (SHARED / "odd-files").is_dir() else []
    odd = [path for path in found if path.suffix.lower() in SUFFIXES and path.stat().st_size <= LARGEST_SEED]
    # Most cards hold JPEGs, and most of what is clever about decoding is about them.
    return (*jpegs, *jpegs, *jpegs, *others, *(path.read_bytes() for path in odd))


def mutant(number: int) -> tuple[str, bytes]:
    """The mutant of that number, and what was done to it."""
    chance = random.Random(number)
    content = bytearray(chance.choice(seeds()))
    kinds = [chance.choice(list(_MUTATIONS)) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
    for kind in kinds:
        if content:
            _MUTATIONS[kind](content, chance)
    return kinds[0], bytes(content)


def _truncate(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def _flip_bits(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def _overwrite_run(content: bytearray, chance: random.Random) -> None:
    start, length = chance.randrange(len(content)), chance.choice((1, 2, 4, 16, 256, 4096))
    run = bytes([chance.randrange(256)]) * length if chance.random() < 0.5 else chance.randbytes(length)
    content[start : start + length] = run[: len(content) - start]


def _zero_sectors(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content)) // 512 * 512
    length = min(512 * chance.choice((1, 2, 8, 64)), len(content) - start)
    content[start : start + length] = bytes(length)


def _lie_in_header(content: bytearray, chance: random.Random) -> None:
    """Numbers of the first bytes, where sizes, depths and counts stand, become extreme ones."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        _put_number(content, chance.randrange(min(len(content), 256)), chance)


def _lie_about_length(content: bytearray, chance: random.Random) -> None:
    """The length that follows a marker of a JPEG or stands before a chunk's name of another format becomes another."""
    places = [at + 2 for at in range(len(content) - 4) if content[at] == 0xFF and content[at + 1] > 0xBF]
    places += [at - 4 for at in range(4, len(content) - 4) if content[at : at + 4].isalpha()]
    _put_number(content, chance.choice(places) if places else 0, chance)


def _lie_about_size(content: bytearray, chance: random.Random) -> None:
    """The height and width in a JPEG's frame header, or in a PNG's, become others."""
    for marker, place in ((b"\xff\xc0", 5), (b"\xff\xc2", 5), (b"IHDR", 4), (b"VP8 ", 14), (b"ispe", 8)):
        at = content.find(marker)
        if at >= 0 and at + place + 8 < len(content):
            width = 2 if marker[0] == 0xFF else 4
            for number in range(2):
                value = chance.choice((0, 1, 7, 9_999, 10_000, 65_500, 65_535))
                start = at + place + width * number
                content[start : start + width] = value.to_bytes(width, "big")
            return
    _lie_in_header(content, chance)


def _repeat_part(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content))
    part = content[start : start + chance.choice((16, 256, 2048))]
    content[start:start] = part * chance.choice((1, 4, 32))


def _splice(content: bytearray, chance: random.Random) -> None:
    other = chance.choice(seeds())
    content[chance.randrange(len(content)) :] = other[chance.randrange(len(other)) :]


def _cut_out(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content))
    del content[start : start + chance.choice((1, 2, 16, 512, 4096))]


def _put_number(content: bytearray, at: int, chance: random.Random) -> None:
    width = chance.choice((1, 2, 4))
    number = chance.choice(_SIZES) & ((1 << 8 * width) - 1)
    content[at : at + width] = number.to_bytes(width, chance.choice(("big", "little")))[: len(content) - at]


_MUTATIONS: dict[str, Callable[[bytearray, random.Random], None]] = {
    "truncated": _truncate,
    "bits flipped": _flip_bits,
    "run overwritten": _overwrite_run,
    "sectors zeroed": _zero_sectors,
    "header lies": _lie_in_header,
    "length lies": _lie_about_length,
    "size lies": _lie_about_size,
    "part repeated": _repeat_part,
    "spliced": _splice,
    "cut out": _cut_out,
}


def decode_all(numbers: Iterable[int], note: Callable[[int], object] = lambda _number: None) -> Counts:
    """Decode mutants in this process, as an ingest does; `note` is told of each before it is tried."""
    counts = Counts()
    with ApartDecoder() as decoder:
        for number in numbers:
            note(number)
            kind, content = mutant(number)
            _decode(number, kind, content, decoder, counts)
    return counts


def _decode(number: int, kind: str, content: bytes, decoder: ApartDecoder, counts: Counts) -> None:
    before, worker = process_time(), decoder._worker
    worked = _seconds_of(worker)
    for pid in (os.getpid(), *((worker.pid,) if worker else ())):
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    counts.mutants += 1
    counts.by_kind[kind] = counts.by_kind.get(kind, 0) + 1
    try:
        photo = decoder.decode(content)
    except PhotoError as error:
        counts.refused += 1
        counts.worker_ended += "breaks its decoder" in str(error)
        if len(str(error)) > 200 or str(error) != printable(str(error)):
            counts.violations.append(f"{number}: says {str(error)!r}")
    except Exception as error:  # noqa: BLE001  (anything else is what is looked for)
        counts.violations.append(f"{number}: raises {error!r}")
    else:
        counts.damaged += photo.damage is not None
        counts.whole += photo.damage is None
    now = decoder._worker
    seconds = process_time() - before + (_seconds_of(now) - worked if now is worker else 0.0)
    kib = max(_peak_kib(os.getpid()), _peak_kib(now.pid) if now else 0)
    counts.most_seconds, counts.most_kib = max(counts.most_seconds, seconds), max(counts.most_kib, kib)
    if seconds > MOST_SECONDS:
        counts.violations.append(f"{number}: took {seconds:.1f} s of a processor")
    if kib > MOST_KIB:
        counts.violations.append(f"{number}: held {kib} KiB")


def _seconds_of(worker: subprocess.Popen[bytes] | None) -> float:
    """Processor time of a worker so far."""
    if worker is None:
        return 0.0
    fields = Path(f"/proc/{worker.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def run(mutants: int, first: int = 0, batch: int = BATCH, told: Callable[[Counts], object] | None = None) -> Counts:
    """Decode mutants in batches, each by a process of its own; one that dies breaks a rule, and the next goes on."""
    total, number, last = Counts(), first, first + mutants
    while number < last:
        count = min(batch, last - number)
        found, tried = _batch(number, count)
        total.add(found)
        number = tried + 1
        if told is not None:
            told(total)
    return total


def _batch(first: int, count: int) -> tuple[Counts, int]:
    """The counts of a batch, and the last number that was tried."""
    command = [sys.executable, "-m", "tests.fuzz", "--batch", "--from", str(first), "--mutants", str(count)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if done.returncode == 0:
        return Counts(**json.loads(lines[-1])), first + count - 1
    tried = int(lines[-1])
    words = f"{tried}: ended the process with {done.returncode}: {done.stderr[-300:]}"
    return Counts(mutants=tried - first + 1, violations=[words]), tried


@click.command()
@click.option("--mutants", default=100_000, show_default=True)
@click.option("--from", "first", default=0, help="Number of the first one.")
@click.option("--batch", is_flag=True, hidden=True)
def main(mutants: int, first: int, *, batch: bool) -> None:
    """Decode mutants and print how they ended."""
    if batch:
        counts = decode_all(range(first, first + mutants), lambda number: print(number, flush=True))  # noqa: T201
        click.echo(json.dumps(asdict(counts)))
        return
    total = run(mutants, first, told=_tell)
    click.echo(json.dumps(asdict(total), indent=1))
    sys.exit(bool(total.violations))


def _tell(so_far: Counts) -> None:
    most = f"at the most {so_far.most_seconds:.1f} s and {so_far.most_kib >> 10} MiB"
    click.echo(f"{so_far.mutants:,} mutants, {most}, {len(so_far.violations)} violations", err=True)


if __name__ == "__main__":
    main()
