"""Private folders and files: nobody else on the machine may read what a camera saw, whatever the umask says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600


def make_private_directory(path: Path) -> None:
    """Make a folder that only its owner can enter, with the parents that are missing."""
    if path.is_dir():
        return
    if not path.parent.is_dir():
        make_private_directory(path.parent)
    path.mkdir(exist_ok=True)
    path.chmod(PRIVATE_DIRECTORY)
    sync_directory(path.parent)


def make_private_file(path: Path) -> None:
    """Make an empty file that only its owner can read; a file that is there already keeps its content.

    SQLite gives its -wal and -shm files the mode of the main file, so making that one first covers all three.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        os.fchmod(descriptor, PRIVATE_FILE)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
