"""The files of an index folder, without faiss: written so that a name always means whole content, verified when read.

A shard file, little-endian:

    header   64 bytes: magic, version, dim, count, nonce of the file
    ids      int64 (count,): segment ids in ascending order; faiss knows only their row numbers
    padding  zeros up to a multiple of 64
    engine   the faiss index, up to the end of the file

The centres of the coarse cells that clustered shards share are a file of float32 (cells, dim), named by its sha256.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import secrets
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from archive.disk import sync
from archive.verified import has_digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from numpy.typing import NDArray

    from archive.types import Ids, Shard, Vectors
    from archive.verified import Verified

MAGIC = b"ARCHSHRD"
VERSION = 1
SHARD_SUFFIX = ".shard"
CELLS_SUFFIX = ".cells"
PARTIAL_SUFFIX = ".partial"

_HEADER = struct.Struct("<8sIIQ16s24x")
_ALIGNMENT = 64


class HashedFile:
    """A file that is being written: it counts and hashes what goes through."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
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


class ShardContent(NamedTuple):
    """A verified shard. `engine` is mapped from the file and stays readable after the file is removed."""

    ids: Ids
    engine: NDArray[np.uint8]


@contextmanager
def durable(folder: Path, name: str) -> Iterator[HashedFile]:
    """Write a new file of the folder: its name appears when all of it is on the disk, and not at all on an error."""
    partial = folder / f"{secrets.token_hex(8)}{PARTIAL_SUFFIX}"
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
    return f"{first_pack}-{last_pack}-{secrets.token_hex(8)}{SHARD_SUFFIX}"


def write_head(file: HashedFile, ids: Ids, dim: int) -> None:
    """Write everything of a shard that stands before the engine."""
    file.write(_HEADER.pack(MAGIC, VERSION, dim, len(ids), secrets.token_bytes(16)))
    file.write(np.ascontiguousarray(ids, dtype="<i8").data.cast("B"))
    file.write(bytes(-file.size % _ALIGNMENT))


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


class Cells(NamedTuple):
    """The centres of coarse cells, unit rows, and the name of their file."""

    name: str
    centres: Vectors


def read_cells(folder: Path, dim: int) -> Cells | None:
    """The cells of the folder, or None where no file of them has the content that its name says."""
    for path in sorted(folder.glob(f"*{CELLS_SUFFIX}")):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if hashlib.sha256(content).hexdigest() == path.stem:
            return Cells(path.name, np.frombuffer(content, dtype="<f4").reshape(-1, dim))
    return None


def write_cells(folder: Path, centres: Vectors) -> None:
    """Store the cells durably."""
    content = centres.astype("<f4").tobytes()
    with durable(folder, f"{hashlib.sha256(content).hexdigest()}{CELLS_SUFFIX}") as file:
        file.write(content)


def _parse(memory: mmap.mmap, shard: Shard, dim: int) -> ShardContent | None:
    magic, version, its_dim, count, _ = _HEADER.unpack_from(memory)
    if (magic, version, its_dim, count) != (MAGIC, VERSION, dim, shard.count):
        return None
    ids_end = _HEADER.size + 8 * count
    ids = np.frombuffer(memory, dtype="<i8", count=count, offset=_HEADER.size)
    engine = np.frombuffer(memory, dtype=np.uint8, offset=ids_end + -ids_end % _ALIGNMENT)
    return ShardContent(ids, engine)
