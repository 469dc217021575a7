"""What may be done to the wearable's card when somebody asks for it; reading one is `camera_card`'s.

The camera only reads what is written here, and finds its sessions as it left them: folders and journals stay.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from archive import disk
from archive.errors import ArchiveError, UsageError
from archive.photos.camera_card import folder_of, sync_text
from archive.photos.names import printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

MOUNTS = Path("/proc/self/mountinfo")
PATIENCE_S = 60
_OCTAL = re.compile(r"\\(\d{3})")


def write_sync(root: Path, now: datetime, sync: str) -> None:
    """Write SYNC.TXT, whole or not at all: `now` (aware, local) bounds the sessions that begin after it.

    Raises:
        UsageError: there is no ARCHIVE folder, so this is no card of the wearable.
        ArchiveError: the card cannot be written.
    """
    folder = folder_of(root)
    if folder is None:
        raise UsageError(f"{_shown(root)} has no folder ARCHIVE; make one there if it is to be the camera's card")
    path, unfinished = folder / "SYNC.TXT", folder / "SYNC.NEW"
    try:
        with unfinished.open("wb") as file:
            file.write(sync_text(now, sync))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        disk.sync(folder)
    except OSError as error:
        raise _unwritable(root, error) from error


def delete(root: Path, photos: Iterable[Path]) -> int:
    """Delete photos of the card at `root`; how many there were. The caller has proved that each is kept elsewhere.

    Raises:
        ArchiveError: the card cannot be written.
    """
    deleted, folders = 0, set()
    try:
        for photo in photos:
            photo.unlink()
            folders.add(photo.parent)
            deleted += 1
        for folder in sorted(folders):
            disk.sync(folder)
    except OSError as error:
        raise _unwritable(root, error) from error
    return deleted


def check_ejectable(root: Path) -> None:
    """Make sure that this system can eject what is mounted at `root`.

    Raises:
        UsageError: nothing is mounted there, or the system has no command for it.
    """
    if not os.path.ismount(root):
        raise UsageError(f"{_shown(root)} is no mount point, so it cannot be ejected; name the card itself")
    _eject_command(root)


def eject(root: Path) -> None:
    """Write everything out and unmount the card.

    Raises:
        ArchiveError: something still uses it.
    """
    os.sync()
    try:
        done = subprocess.run(  # noqa: S603  (found on PATH; its arguments are a mount point and its device)
            _eject_command(root), capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
        problem = (done.stderr or done.stdout).strip() if done.returncode else ""
    except subprocess.TimeoutExpired:
        problem = f"no answer in {PATIENCE_S} s"
    if problem:
        reason = printable(" ".join(problem.split()))
        raise ArchiveError(f"the photos are in, but {_shown(root)} could not be ejected: {reason}")


def _eject_command(root: Path) -> list[str]:
    place = str(root.resolve())
    if sys.platform == "darwin":
        return [_program("diskutil", root), "eject", place]
    device = _device(place)
    udisks = shutil.which("udisksctl")
    if udisks and device.startswith("/dev/"):
        return [udisks, "unmount", "--no-user-interaction", "--block-device", device]
    return [_program("umount", root), place]


def _program(name: str, root: Path) -> str:
    found = shutil.which(name)
    if found is None:
        raise UsageError(f"there is no command {name} to eject {_shown(root)} with; leave out --eject")
    return found


def _device(place: str) -> str:
    """What is mounted at a place, by the kernel's own list (proc(5), mountinfo); the mount on top is the last."""
    device = ""
    for line in MOUNTS.read_text(errors="surrogateescape").splitlines() if MOUNTS.exists() else ():
        before, _, after = line.partition(" - ")
        if _OCTAL.sub(lambda code: chr(int(code[1], 8)), before.split(" ")[4]) == place:
            device = after.split(" ")[1]
    return device


def _unwritable(root: Path, error: OSError) -> ArchiveError:
    reason = error.strerror or type(error).__name__
    return ArchiveError(f"the photos are in, but {_shown(root)} cannot be written: {reason}; is it write-protected?")


def _shown(root: Path) -> str:
    return printable(os.fsencode(root))
