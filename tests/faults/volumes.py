"""File systems of their own: in a file, so that their power can be cut, or in memory, so that they can be full."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KINDS = ("ext4", "xfs")
NEW_MOUNTS = 0x20000
"""CLONE_NEWNS."""

MEGABYTES = 320
"""XFS is not made any smaller than 300; what is not used takes no room."""


def keep_mounts_apart() -> bool:
    """Let this process mount what no other sees or holds, and what goes with it; False where it may not.

    A mount that another process was born with would stay, shut down as it is, when it is unmounted here.
    """
    if sys.platform != "linux" or ctypes.CDLL(None).unshare(NEW_MOUNTS):
        return False
    _done("mount", "--make-rprivate", "/")
    return True


@dataclass(frozen=True)
class Volume:
    """A mounted file system."""

    folder: Path
    image: Path | None = None

    def mount_again(self) -> None:
        """Take it away and bring it back, as a machine does that is switched on: the journal is replayed."""
        _done("umount", self.folder)
        _done("mount", "-o", "loop", str(self.image), self.folder)


@contextmanager
def volume(kind: str, folder: Path) -> Iterator[Volume]:
    """A new file system of that kind below a folder."""
    made = Volume(folder / "mounted", folder / "image")
    made.folder.mkdir(parents=True)
    assert made.image is not None
    with made.image.open("wb") as image:
        image.truncate(MEGABYTES << 20)
    _done(f"mkfs.{kind}", "-q", str(made.image))
    _done("mount", "-o", "loop", str(made.image), made.folder)
    try:
        yield made
    finally:
        _done("umount", made.folder)
        made.image.unlink()


@contextmanager
def in_memory(folder: Path, kilobytes: int) -> Iterator[Volume]:
    """A disk of that size."""
    folder.mkdir(parents=True, exist_ok=True)
    _done("mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=0700", "none", folder)
    try:
        yield Volume(folder)
    finally:
        _done("umount", folder)


def enlarge(disk: Volume, kilobytes: int) -> None:
    """Give a disk in memory more room."""
    _done("mount", "-o", f"remount,size={kilobytes}k", disk.folder)


@cache
def missing(kinds: Sequence[str] = KINDS) -> str | None:
    """Why there can be no file systems of these kinds here; None where there can."""
    if os.geteuid() != 0:
        return "needs root, who may mount a file system"
    if lacking := [f"mkfs.{kind}" for kind in kinds if shutil.which(f"mkfs.{kind}") is None]:
        return f"needs {' and '.join(lacking)} (Debian: e2fsprogs, xfsprogs)"
    try:
        with TemporaryDirectory() as folder:
            for kind in kinds:
                with volume(kind, Path(folder) / kind):
                    pass
            with in_memory(Path(folder) / "memory", 64):
                pass
    except subprocess.CalledProcessError as error:
        return f"this system mounts no file system from a file: {error.stderr.strip()}"
    return None


def _done(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True)
