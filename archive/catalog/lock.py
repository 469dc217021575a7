"""One writer at a time, by a lock that the kernel frees even when its holder is killed."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from archive.catalog.files import PRIVATE_FILE, make_private_directory
from archive.errors import ArchiveBusy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_NAME = "writer.lock"


@contextmanager
def writer_lock(home: Path) -> Iterator[None]:
    """Be the only writer of the archive at `home` for as long as the block runs; `home` is made if it is missing.

    Raises:
        ArchiveBusy: another process is; nothing was waited for.
    """
    make_private_directory(home)
    # The file stays: unlinking it would let two processes lock two files of the same name.
    descriptor = os.open(home / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        _take(descriptor, home)
        os.fchmod(descriptor, PRIVATE_FILE)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, home: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        who = f"process {pid}" if pid.isdecimal() else "another process"
        message = f"{who} is writing to the archive at {home}; wait until it ends, then run this again"
        raise ArchiveBusy(message) from error
