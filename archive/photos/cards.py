"""Finding the photos on a card or in a folder, without ever following it somewhere else."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from archive.errors import SourceVanished, UsageError
from archive.photos.names import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SUFFIXES = frozenset(
    {"jpg", "jpeg", "jfif", "jpe", "mpo", "png", "webp", "avif", "gif", "tif", "tiff", "bmp", "heic", "heif"}
)
"""Endings of a name that make a file worth opening, in lower case."""

SYSTEM_FOLDERS = frozenset(
    {
        "system volume information",
        "$recycle.bin",
        "recycler",
        "found.000",
        "lost.dir",
        "lost+found",
        "@eadir",
        "#recycle",
        "#snapshot",
        "__macosx",
    }
)
"""Folders that systems keep for themselves, in lower case; a photo there is a leftover or a thumbnail."""


class FoundFile(NamedTuple):
    """A file that may be a photo; `relative` is its path below the source, the bytes that the card holds."""

    path: Path
    relative: bytes

    @property
    def name(self) -> bytes:
        """What the card calls it."""
        return self.relative.rpartition(b"/")[2]


def find(source: Path, exclude: Path | None = None, *, on_error: Callable[[Path, str], None]) -> Iterator[FoundFile]:
    """Every file below a folder that may be a photo, or the single file that `source` is, whatever its name.

    Goes folder by folder, in the order of the names' bytes. Hidden names, system folders, links, devices and other
    file systems are passed over, and so is `exclude`, the archive's own home. A folder that cannot be read is
    reported to `on_error` with the reason, and the walk goes on.

    Raises:
        UsageError: the source does not exist, cannot be read, or is the archive itself.
        SourceVanished: the source went away during the walk.
    """
    status = _status(source)
    _refuse_own_home(source, exclude)
    if stat.S_ISDIR(status.st_mode):
        yield from _walk(source, status.st_dev, exclude, on_error)
    else:
        yield FoundFile(source.resolve(), os.fsencode(source.name))


def is_gone(source: Path, device: int) -> bool:
    """Whether the source no longer answers, or another file system stands in its place.

    `device` is the `st_dev` that it had at the start. Ask after any file of it could not be read.
    """
    try:
        if source.stat().st_dev != device:
            return True
        if source.is_dir():
            with os.scandir(source) as entries:
                next(entries, None)
    except PermissionError:
        return False
    except OSError:
        return True
    return False


def _status(source: Path) -> os.stat_result:
    try:
        return source.stat()
    except FileNotFoundError:
        raise UsageError(f"{printable(str(source))} does not exist; name a folder, a card or a photo") from None
    except OSError as problem:
        raise UsageError(f"{printable(str(source))} cannot be read: {problem.strerror}") from problem


def _refuse_own_home(source: Path, exclude: Path | None) -> None:
    if exclude is not None and source.resolve().is_relative_to(exclude.resolve()):
        raise UsageError(f"{printable(str(source))} belongs to the archive itself; name the folder with your photos")


def _walk(
    source: Path, device: int, exclude: Path | None, on_error: Callable[[Path, str], None]
) -> Iterator[FoundFile]:
    skipped = _identity(exclude)
    waiting = [source]
    while waiting:
        folder = waiting.pop()
        try:
            files, folders = _listing(folder, device, skipped)
        except OSError as problem:
            _raise_if_gone(source, device)
            if folder == source:
                raise UsageError(f"{printable(str(source))} cannot be read: {problem.strerror}") from problem
            on_error(folder, problem.strerror or type(problem).__name__)
            continue
        for path in files:
            yield FoundFile(path, os.fsencode(path.relative_to(source)))
        waiting.extend(reversed(folders))
    # An unplugged card leaves an empty folder behind, which must not pass for a card that was read to its end.
    _raise_if_gone(source, device)


def _listing(folder: Path, device: int, skipped: tuple[int, int] | None) -> tuple[list[Path], list[Path]]:
    """The photos and the folders to enter, each in the order of their names' bytes."""
    with os.scandir(folder) as entries:
        wanted = sorted((entry for entry in entries if _is_wanted(entry)), key=lambda entry: os.fsencode(entry.name))
    files, folders = [], []
    for entry in wanted:
        if entry.is_file(follow_symlinks=False):
            files.append(folder / entry.name)
            continue
        status = entry.stat(follow_symlinks=False)
        if status.st_dev == device and (status.st_dev, status.st_ino) != skipped:
            folders.append(folder / entry.name)
    return files, folders


def _is_wanted(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith("."):
        return False
    if entry.is_dir(follow_symlinks=False):
        return entry.name.lower() not in SYSTEM_FOLDERS
    stem, _, suffix = entry.name.rpartition(".")
    return bool(stem) and suffix.lower() in SUFFIXES and entry.is_file(follow_symlinks=False)


def _identity(folder: Path | None) -> tuple[int, int] | None:
    """Device and inode: a folder is the same one however its path is spelled."""
    if folder is None or not folder.exists():
        return None
    status = folder.stat()
    return status.st_dev, status.st_ino


def _raise_if_gone(source: Path, device: int) -> None:
    if is_gone(source, device):
        raise SourceVanished(f"{printable(str(source))} went away while it was read; plug it in and run this again")
