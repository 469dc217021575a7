"""FAT16 and FAT32 by the specification (Microsoft FAT 1.03), made and read without the firmware's FatFs.

The reader sees what a card reader would: it follows the first FAT, and 8.3 names only.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from mmap import mmap
    from pathlib import Path

SECTOR = 512
ENTRY = 32
MEDIUM = 0xF8


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand in an image, in sectors."""

    kind: int
    cluster: int
    reserved: int
    fat: int
    root_entries: int
    total: int

    @property
    def root_at(self) -> int:
        return self.reserved + 2 * self.fat

    @property
    def first_cluster_at(self) -> int:
        return self.root_at + self.root_entries * ENTRY // SECTOR


def make(path: Path, kind: Literal[16, 32], megabytes: int, cluster: int = 1) -> Path:
    """An empty card. FAT32 needs 65525 clusters, so 34 MB at one sector each; the file is sparse."""
    total = megabytes * 2048
    width = kind // 8
    reserved, root_entries = (32, 0) if kind == 32 else (1, 512)
    fat = -(-(total // cluster + 2) * width // SECTOR)
    layout = Layout(kind, cluster, reserved, fat, root_entries, total)
    clusters = (total - layout.first_cluster_at) // cluster
    if not (clusters >= 65525 if kind == 32 else 4085 <= clusters < 65525):
        raise ValueError(f"{clusters} clusters are no FAT{kind}")
    with path.open("wb") as file:
        file.truncate(total * SECTOR)
        boot = _boot_sector(layout)
        file.write(boot)
        if kind == 32:
            file.seek(6 * SECTOR)
            file.write(boot)
            file.seek(SECTOR)
            file.write(_info_sector(clusters - 1))
        first = (
            struct.pack("<III", 0x0FFFFFF8, 0x0FFFFFFF, 0x0FFFFFFF)
            if kind == 32
            else struct.pack("<HH", 0xFFF8, 0xFFFF)
        )
        for copy in range(2):
            file.seek((reserved + copy * fat) * SECTOR)
            file.write(first)
    return path


def _boot_sector(layout: Layout) -> bytes:
    wide = layout.kind == 32
    small = 0 if wide or layout.total > 0xFFFF else layout.total
    sector = struct.pack(
        "<3s8sHBHBHHBHHHII",
        b"\xeb\x58\x90", b"MSDOS5.0", SECTOR, layout.cluster, layout.reserved, 2, layout.root_entries, small, MEDIUM,
        0 if wide else layout.fat, 63, 255, 0, 0 if small else layout.total,
    )  # fmt: skip
    if wide:
        sector += struct.pack("<IHHIHH12s", layout.fat, 0, 0, 2, 1, 6, b"")
    sector += struct.pack("<BBBI11s8s", 0x80, 0, 0x29, 0x1234ABCD, b"NO NAME", b"FAT32   " if wide else b"FAT16   ")
    return sector.ljust(510, b"\0") + b"\x55\xaa"


def _info_sector(free: int) -> bytes:
    return b"RRaA".ljust(484, b"\0") + struct.pack("<4sII12sI", b"rrAa", free, 3, b"", 0xAA550000)


class Image:
    """An image with some of its sectors replaced: a card as a power cut left it."""

    def __init__(self, base: bytes | mmap, changed: Mapping[int, bytes] | None = None) -> None:
        self._base = base
        self._changed = changed or {}
        self.layout = self._read_layout()

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Path and content of each file, folders in the order of their entries."""
        yield from self._walk("", None, set())

    def _read_layout(self) -> Layout:
        boot = self._sector(0)
        cluster, reserved, copies, root_entries, small = struct.unpack_from("<BHBHH", boot, 13)
        fat16, large, fat32 = (*struct.unpack_from("<H", boot, 22), *struct.unpack_from("<II", boot, 32))
        if boot[510:] != b"\x55\xaa" or copies != 2:
            raise ValueError("no FAT image")
        return Layout(16 if fat16 else 32, cluster, reserved, fat16 or fat32, root_entries, small or large)

    def _sector(self, number: int) -> bytes:
        changed = self._changed.get(number)
        return self._base[number * SECTOR : (number + 1) * SECTOR] if changed is None else changed

    def _next(self, cluster: int) -> int:
        width = self.layout.kind // 8
        at = cluster * width
        sector = self._sector(self.layout.reserved + at // SECTOR)
        value = int.from_bytes(sector[at % SECTOR : at % SECTOR + width], "little")
        return value & 0x0FFFFFFF if width == 4 else value

    def _chain(self, cluster: int) -> Iterator[bytes]:
        end = 0x0FFFFFF8 if self.layout.kind == 32 else 0xFFF8
        seen: set[int] = set()
        while 2 <= cluster < end and cluster not in seen:
            seen.add(cluster)
            first = self.layout.first_cluster_at + (cluster - 2) * self.layout.cluster
            for number in range(first, first + self.layout.cluster):
                yield self._sector(number)
            cluster = self._next(cluster)

    def _folder(self, cluster: int | None) -> bytes:
        if cluster is not None:
            return b"".join(self._chain(cluster))
        if self.layout.kind == 32:
            return b"".join(self._chain(2))
        return b"".join(self._sector(number) for number in range(self.layout.root_at, self.layout.first_cluster_at))

    def _walk(self, path: str, cluster: int | None, above: set[int]) -> Iterator[tuple[str, bytes]]:
        folder = self._folder(cluster)
        for at in range(0, len(folder), ENTRY):
            entry = folder[at : at + ENTRY]
            if entry[0] == 0:
                return
            attributes = entry[11]
            if entry[0] in {0xE5, 0x2E} or attributes & 0x08:  # deleted, the dots, a volume label or a long name
                continue
            stem, suffix = entry[:8].decode("cp437").rstrip(), entry[8:11].decode("cp437").rstrip()
            name = f"{path}/{stem}.{suffix}" if suffix else f"{path}/{stem}"
            high, low, size = struct.unpack_from("<H4xHI", entry, 20)
            start = (high << 16 if self.layout.kind == 32 else 0) | low
            if attributes & 0x10:
                if start not in above:
                    yield from self._walk(name, start, above | {start})
            else:
                yield name, self._content(start, size)

    def _content(self, start: int, size: int) -> bytes:
        parts: list[bytes] = []
        left = size
        for sector in self._chain(start) if size else ():
            parts.append(sector[:left])
            left -= len(parts[-1])
            if not left:
                break
        return b"".join(parts)


def extract(image: Image, root: Path) -> None:
    """Write the files of an image to a folder, as a person who copies the card would get them."""
    for name, content in image.files():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def writes(log: Path) -> list[tuple[int, bytes]]:
    """The sector writes of a simulator's log, in order."""
    content = log.read_bytes()
    step = 4 + SECTOR
    return [
        (int.from_bytes(content[at : at + 4], "little"), content[at + 4 : at + step])
        for at in range(0, len(content), step)
    ]
