"""One writer at a time, by a lock that the kernel frees even when its holder is killed."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from archive.disk import PRIVATE_FILE, make_private_directory
from archive.errors import ArchiveBusy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_NAME = "writer.lock"
BRIEFLY = "briefly"
"""Stands in the lock's file after the process that wants it for a moment only, again and again."""

BRIEF_PATIENCE = 60.0
"""Seconds that others wait for one that holds the lock briefly: seldom, what it adds makes a large shard due."""


@contextmanager
def writer_lock(home: Path, patience: float = 0.0, *, briefly: bool = False, name: str = LOCK_NAME) -> Iterator[None]:
    """Be the only writer of the archive at `home` for as long as the block runs; `home` is made if it is missing.

    `patience` is how many seconds to wait for another writer: a query holds the lock for a few milliseconds. Who takes
    it `briefly` is waited for longer, by those who wait at all. A lock of another `name` keeps out nothing but what
    asks for that name too.

    Raises:
        ArchiveBusy: another process is.
    """
    make_private_directory(home)
    # The file stays: unlinking it would let two processes lock two files of the same name.
    descriptor = os.open(home / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        _take(descriptor, home, patience)
        os.fchmod(descriptor, PRIVATE_FILE)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}{f' {BRIEFLY}' if briefly else ''}".encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def is_held(home: Path) -> bool:
    """Whether a process is writing to the archive at `home` now, other than briefly."""
    try:
        descriptor = os.open(home / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _holder(descriptor).endswith(BRIEFLY) and not _taken(descriptor)
    finally:
        os.close(descriptor)


def _take(descriptor: int, home: Path, patience: float) -> None:
    began = time.monotonic()
    try:
        while not _taken(descriptor):
            is_brief = patience and _holder(descriptor).endswith(BRIEFLY)
            if time.monotonic() - began >= (max(patience, BRIEF_PATIENCE) if is_brief else patience):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.02)
    except BlockingIOError as error:
        pid = _holder(descriptor).removesuffix(BRIEFLY).strip()
        who = f"process {pid}" if pid.isdecimal() else "another process"
        message = f"{who} is writing to the archive at {home}; wait until it ends, then run this again"
        raise ArchiveBusy(message) from error


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
