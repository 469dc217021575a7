"""What the disk is asked for: names and bytes that survive a power cut, and that nobody else on the machine may read.

A camera saw what is in these files, so their modes are fixed, whatever the umask says.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600
NEW_SUFFIX = ".new"


def make_private_directory(path: Path) -> None:
    """Make a folder that only its owner can enter, with the parents that are missing, durably."""
    if path.is_dir():
        return
    if not path.parent.is_dir():
        make_private_directory(path.parent)
    path.mkdir(exist_ok=True)
    path.chmod(PRIVATE_DIRECTORY)
    sync(path.parent)


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
    sync(path.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Write a small private file so that a reader sees the old one or the new one, also after a power cut."""
    new = path.with_name(path.name + NEW_SUFFIX)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(new, flags, PRIVATE_FILE), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync(path.parent)


def put_file(path: Path, content: bytes) -> None:
    """The same without waiting for the disk, for what may be lost; several processes may do it at once."""
    new = path.with_name(f".new-{os.urandom(8).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(new, flags, PRIVATE_FILE), "wb") as file:
            file.write(content)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def sha256_of(content: bytes | BufferedReader) -> str:
    """The sha256 of bytes, or of a file that is open, in hex."""
    import hashlib  # brings OpenSSL: most queries hash nothing

    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    return hashlib.file_digest(content, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Force a file's bytes, or a folder's names, onto the disk: a rename or an unlink is not there before this."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
