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


@contextmanager
def writer_lock(home: Path, patience: float = 0.0) -> Iterator[None]:
    """Be the only writer of the archive at `home` for as long as the block runs; `home` is made if it is missing.

    `patience` is how many seconds to wait for another writer: a query holds the lock for a few milliseconds.

    Raises:
        ArchiveBusy: another process is.
    """
    make_private_directory(home)
    # The file stays: unlinking it would let two processes lock two files of the same name.
    descriptor = os.open(home / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        _take(descriptor, home, time.monotonic() + patience)
        os.fchmod(descriptor, PRIVATE_FILE)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, home: Path, deadline: float) -> None:
    try:
        while not _taken(descriptor):
            if time.monotonic() >= deadline:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.02)
    except BlockingIOError as error:
        pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        who = f"process {pid}" if pid.isdecimal() else "another process"
        message = f"{who} is writing to the archive at {home}; wait until it ends, then run this again"
        raise ArchiveBusy(message) from error


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
