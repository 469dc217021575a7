"""The files of an index folder, without faiss: written so that a name always means whole content, verified when read.

A shard file, little-endian:

    header   64 bytes: magic, version, dim, count, nonce of the file, the first half of the sha256 of the training that
             it needs (zeros: none), and the version of faiss that wrote the engine
    ids      int64 (count,): segment ids in ascending order; faiss knows only their row numbers
    parts    only where there is a training: how many parts and how many dimensions, two uint32, then the arrays of
             `Parts` in their order
    padding  so many bytes of 255 (0 in versions before 4) that the first of the engine's blocks of codes stands at a
             multiple of 64; the others then stand at multiples of 32, which is what faiss's kernel needs
    engine   the faiss index, up to the end of the file; its first byte is another

What clustered shards share, their training, is a file named by its sha256: a header of 64 bytes (magic, version, dim,
kept, cells, subs; rows, first and last pack that it was learned from), then the arrays of `Training` in their
order, float32. Everything in it is a sum over many rows, so no photo that it was learned from can be told from it; but
a step of the codes may be the mean of few, of eight dimensions at the most, and the least and the most that codes lack
may be of one row each: lengths without a direction.
"""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archive.disk import sha256_of, sync
from archive.indexes.codes import STEPS, WIDEST, Steps
from archive.verified import has_digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from numpy.typing import NDArray

    from archive.types import Ids, Shard, Vectors
    from archive.verified import Verified

MAGIC = b"ARCHSHRD"
VERSION = 6
"""Versions before differ in what clustered shards hold; their flat ones are the same."""

TRAINING_MAGIC = b"ARCHCELL"
SHARD_SUFFIX = ".shard"
CELLS_SUFFIX = ".cells"
PARTIAL_SUFFIX = ".partial"

_HEADER = struct.Struct("<8sIIQ16s16s8s")
_TRAINING_HEADER = struct.Struct("<8sIIIIIQQQ12x")
_PARTS_HEADER = struct.Struct("<II")
_ALIGNMENT = 64
_PADDING = b"\xff"


class HashedFile:
    """A file that is being written: it counts and hashes what goes through."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        import hashlib

        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Of everything written so far, in hex."""
        return self._digest.hexdigest()

    def write(self, content: bytes | memoryview) -> None:
        """Append content, or raise OSError."""
        self._digest.update(content)
        self._file.write(content)
        self.size += len(content)

    __call__ = write
    """faiss calls its writer."""


class Parts(NamedTuple):
    """How a clustered shard divides the cells of its training, for its own rows.

    cells    int32 (parts,): of which cell each is a part, in ascending order
    rows     int32 (parts,): how many of the cell's rows it holds, which follow those of the part before; whole blocks
             of codes but for the last of a cell
    middles  float32 (parts, near): the mean of its rows in the first dimensions of what is coded, from the cell's own
    spreads  float32 (parts,): how far from that its rows lie, the root of the mean of squares, in all that are coded
    """

    cells: NDArray[np.int32]
    rows: NDArray[np.int32]
    middles: Vectors
    spreads: NDArray[np.float32]


NO_PARTS = Parts(*(np.empty(0, np.int32),) * 2, np.empty((0, 0), np.float32), np.empty(0, np.float32))


class ShardContent(NamedTuple):
    """A verified shard. `parts` and `engine` are mapped from the file and stay readable after the file is removed.

    `training` is the beginning of the sha256 of the training that it needs, empty for a shard that needs none and has
    no parts.
    """

    ids: Ids
    engine: NDArray[np.uint8]
    training: bytes
    parts: Parts


class Training(NamedTuple):
    """What clustered shards share: how a vector becomes a code, and where the cells lie. All float32.

    mean     (dim,): of the vectors that it was learned from
    codes    (kept, dim): a vector less the mean, times this, is what is coded
    asks     (kept, dim): a query times this; its products with what is coded are near those of the vectors themselves
    middles  (cells, kept): the mean of what is coded, of the vectors of each cell; a vector belongs to the nearest by
             its first dimensions
    means, stretches, lacks  (subs, 16, 8), (subs,) and (16,): see `archive.indexes.codes.Steps`
    """

    mean: NDArray[np.float32]
    codes: Vectors
    asks: Vectors
    middles: Vectors
    means: NDArray[np.float32]
    stretches: NDArray[np.float32]
    lacks: NDArray[np.float32]

    @property
    def steps(self) -> Steps:
        """What the half bytes of the codes stand for."""
        return Steps(self.means, self.stretches, self.lacks)


class Lesson(NamedTuple):
    """What a training was learned from: so many rows, of the packs from first to last."""

    rows: int
    first_pack: int
    last_pack: int


class StoredTraining(NamedTuple):
    """A training as it stands in its file, whose name is its sha256."""

    name: str
    training: Training
    lesson: Lesson

    @property
    def mark(self) -> bytes:
        """What a shard that needs it says of it."""
        return bytes.fromhex(self.name.removesuffix(CELLS_SUFFIX))[:16]


@contextmanager
def durable(folder: Path, name: str) -> Iterator[HashedFile]:
    """Write a new file of the folder: its name appears when all of it is on the disk, and not at all on an error."""
    partial = folder / f"{os.urandom(8).hex()}{PARTIAL_SUFFIX}"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield HashedFile(file)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(folder / name)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(folder)


def new_shard_name(first_pack: int, last_pack: int) -> str:
    """A name that no file ever had: a restored older catalog never takes a newer file for its own."""
    return f"{first_pack}-{last_pack}-{os.urandom(8).hex()}{SHARD_SUFFIX}"


class Needed(NamedTuple):
    """What a clustered shard has beside its engine: the mark of the training that it needs, and its parts."""

    mark: bytes
    parts: Parts


def write_head(
    file: HashedFile, ids: Ids, dim: int, engine_version: str, needed: Needed | None = None, unread: int = 0
) -> None:
    """Write everything of a shard that stands before the engine.

    So many of the engine's bytes stand before those that it reads in blocks.
    """
    mark, version = needed.mark if needed else b"", engine_version.encode()[:8]
    file.write(_HEADER.pack(MAGIC, VERSION, dim, len(ids), os.urandom(16), mark, version))
    file.write(np.ascontiguousarray(ids, dtype="<i8").data.cast("B"))
    if needed:
        file.write(_PARTS_HEADER.pack(*needed.parts.middles.shape))
        for part in needed.parts:
            file.write(part.astype(part.dtype.newbyteorder("<")).tobytes())
    file.write(_PADDING * (-(file.size + unread) % _ALIGNMENT))


def read_shard(folder: Path, shard: Shard, dim: int, verified: Verified | None = None) -> ShardContent | None:
    """The content of a shard, or None where its file is missing, altered, unreadable or of another dimension.

    The sha256 is checked before anything is parsed: faiss does not notice a flipped bit, and a bad header can abort
    the process. The hash is read, not mapped, because a disk error while reading is an OSError and while touching
    mapped memory the end of the process. With `verified`, what it found before is not hashed again.
    """
    try:
        if not has_digest(folder / shard.name, shard.sha256, verified):
            return None
        with (folder / shard.name).open("rb") as file:
            if os.fstat(file.fileno()).st_size != shard.size or shard.size < _HEADER.size:
                return None
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError:
        return None
    return _parse(memory, shard, dim)


def is_current(folder: Path, shard: Shard, engine_version: str) -> bool:
    """Whether a shard's file, by its head, was written as shards are written now. One that is missing was not."""
    try:
        with (folder / shard.name).open("rb") as file:
            head = file.read(_HEADER.size)
    except OSError:
        return False
    if len(head) < _HEADER.size:
        return False
    magic, version, *_, its_engine = _HEADER.unpack(head)
    return (magic, version, its_engine.rstrip(b"\0")) == (MAGIC, VERSION, engine_version.encode()[:8])


def training_mark(path: Path) -> bytes:
    """The mark of the training that the shard of that file says it needs; empty where there is none."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
    except OSError:
        return b""
    return _HEADER.unpack(head)[5].rstrip(b"\0") and _HEADER.unpack(head)[5] if len(head) == _HEADER.size else b""


def read_training(folder: Path, dim: int, verified: Verified | None = None) -> StoredTraining | None:
    """The training of the folder, or None where no file of one has the content that its name says.

    It is mapped. With `verified`, what it found before is not hashed again.
    """
    for path in sorted(folder.glob(f"*{CELLS_SUFFIX}")):
        try:
            if not has_digest(path, path.stem, verified):
                continue
            with path.open("rb") as file:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError:
            continue
        if content[:8] == TRAINING_MAGIC and (parsed := _parse_training(path.name, content, dim)):
            return parsed
    return None


def write_training(folder: Path, training: Training, lesson: Lesson) -> StoredTraining:
    """Store a training durably."""
    (kept, dim), cells, subs = training.codes.shape, len(training.middles), len(training.means)
    head = _TRAINING_HEADER.pack(TRAINING_MAGIC, VERSION, dim, kept, cells, subs, *lesson)
    content = head + b"".join(part.astype("<f4").tobytes() for part in training)
    name = f"{sha256_of(content)}{CELLS_SUFFIX}"
    with durable(folder, name) as file:
        file.write(content)
    return StoredTraining(name, training, lesson)


def _parse_training(name: str, content: mmap.mmap, dim: int) -> StoredTraining | None:
    _, version, its_dim, kept, cells, subs, *lesson = _TRAINING_HEADER.unpack_from(content)
    if (version, its_dim) != (VERSION, dim):
        return None
    of_codes = [(subs, STEPS, WIDEST), (subs,), (STEPS,)]
    shapes = [(dim,), (kept, dim), (kept, dim), (cells, kept), *of_codes]
    parts, place = [], _TRAINING_HEADER.size
    for shape in shapes:
        count = int(np.prod(shape))
        parts.append(np.frombuffer(content, "<f4", count, place).reshape(shape))
        place += 4 * count
    return StoredTraining(name, Training(*parts), Lesson(*lesson))


def _parse(memory: mmap.mmap, shard: Shard, dim: int) -> ShardContent | None:
    magic, version, its_dim, count, _, training, _ = _HEADER.unpack_from(memory)
    training = training.rstrip(b"\0") and training
    understood = (VERSION,) if training else range(1, VERSION + 1)
    if (magic, its_dim, count) != (MAGIC, dim, shard.count) or version not in understood:
        return None
    ids = np.frombuffer(memory, dtype="<i8", count=count, offset=_HEADER.size)
    end = _HEADER.size + ids.nbytes
    parts = NO_PARTS
    if training:
        parts = _parse_parts(memory, end)
        end += _PARTS_HEADER.size + sum(part.nbytes for part in parts)
    near = memory[end : end + _ALIGNMENT]
    padding = len(near) - len(near.lstrip(_PADDING + b"\0"))
    return ShardContent(ids, np.frombuffer(memory, dtype=np.uint8, offset=end + padding), training, parts)


def _parse_parts(memory: mmap.mmap, place: int) -> Parts:
    parts, near = _PARTS_HEADER.unpack_from(memory, place)
    place += _PARTS_HEADER.size
    cells, rows = np.frombuffer(memory, "<i4", 2 * parts, place).reshape(2, parts)
    middles = np.frombuffer(memory, "<f4", parts * near, place + 8 * parts).reshape(parts, near)
    return Parts(cells, rows, middles, np.frombuffer(memory, "<f4", parts, place + 8 * parts + middles.nbytes))
