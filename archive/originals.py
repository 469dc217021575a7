"""The photos themselves: immutable files, named by what is in them, never by what a card called them."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from archive.disk import make_private_directory, sha256_of, sync
from archive.errors import ArchiveError, CatalogDamaged

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")
_FOLDER = re.compile(r"[0-9a-f]{2}")
_UNFINISHED = ".new-"


def is_name(digest: str, suffix: str) -> bool:
    """Whether an original can be called that."""
    return bool(_DIGEST.fullmatch(digest) and _SUFFIX.fullmatch(suffix))


class Originals:
    """A folder of content-addressed files: `<first two hex digits>/<sha256><suffix>`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, digest: str, suffix: str) -> Path:
        """Where the original with that digest is, or would be."""
        return Path(self._named(digest, suffix))

    def put(self, content: bytes, digest: str, suffix: str, modified: float | None) -> Path:
        """Keep a file, durably on return, with its own time of change; one that is there and whole is left alone.

        Raises:
            ArchiveError: it cannot be written, as on a full disk; nothing is left under its name.
        """
        path = self.path(digest, suffix)
        try:
            make_private_directory(path.parent)
            # A run that was killed may have left the file whole but its name not yet on the disk.
            if _holds(path, content):
                sync(path)
            else:
                _write(path, content, modified)
            sync(path.parent)
        except OSError as problem:
            reason = problem.strerror or type(problem).__name__
            raise ArchiveError(f"{self._folder} cannot be written: {reason}; put that right and run this again") from (
                problem
            )
        return path

    def read(self, digest: str, suffix: str) -> bytes:
        """The bytes of an original, verified.

        Raises:
            CatalogDamaged: it is missing, unreadable or altered.
        """
        path = self.path(digest, suffix)
        try:
            content = path.read_bytes()
        except OSError as problem:
            reason = "is missing" if isinstance(problem, FileNotFoundError) else f"cannot be read: {problem.strerror}"
            raise CatalogDamaged(f"the original {path} {reason}; run `archive check`") from problem
        if sha256_of(content) != digest:
            raise CatalogDamaged(f"the original {path} was altered; run `archive check`")
        return content

    def size(self, digest: str, suffix: str) -> int:
        """The size of an original in bytes.

        Raises:
            FileNotFoundError: it is missing.
            OSError: it cannot be looked at.
        """
        return self.path(digest, suffix).stat().st_size

    def has(self, digest: str, suffix: str, size: int) -> bool:
        """Whether an original of that size is there."""
        try:
            return self.size(digest, suffix) == size
        except OSError:
            return False

    def ensure(self, content: bytes, digest: str, suffix: str, modified: float | None) -> None:
        """Put an original where it is gone or cut short."""
        if not self.has(digest, suffix, len(content)):
            self.put(content, digest, suffix, modified)

    def where(self, digest: str, suffix: str) -> str:
        """Where a person finds it."""
        return self._named(digest, suffix)

    def local(self, digest: str, suffix: str) -> Path:
        """An original as a file of this machine."""
        return self.path(digest, suffix)

    def is_there(self, digest: str) -> bool:
        """Whether there is an original of that name, whatever it ends in and whatever is in it."""
        return bool(self.named(digest))

    def erase(self, digest: str) -> list[int]:
        """Erase every file of that name, durably; their sizes in bytes."""
        sizes = []
        for path in self.named(digest):
            sizes.append(path.stat().st_size)
            path.unlink()
            sync(path.parent)
        return sizes

    def adoptable(self, noted: Collection[str]) -> Iterator[tuple[str, Path]]:
        """Digest and path of every original that an interrupted run may have left, `noted` down or not."""
        del noted  # a folder has one writer: what has no row in it was left by him
        return self.stored()

    @property
    def folder(self) -> Path:
        """Where they all are."""
        return self._folder

    def named(self, digest: str) -> list[Path]:
        """The files that have that name, whatever they end in and whatever is in them."""
        return sorted((self._folder / digest[:2]).glob(f"{digest}*"))

    def digest_at(self, path: Path) -> str | None:
        """The sha256 of the bytes that stand there, in hex; None where they cannot be read."""
        try:
            with path.open("rb") as file:
                return sha256_of(file)
        except OSError:
            return None

    def read_from_disk(self, digest: str, suffix: str) -> bytes:
        """The same, from the disk itself: what the system still has in memory proves nothing about the disk.

        Raises:
            CatalogDamaged: it is missing, unreadable or altered.
        """
        path = self.path(digest, suffix)
        with suppress(OSError), path.open("rb") as file:  # what is wrong with the file, the reading below says
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return self.read(digest, suffix)

    def stored(self) -> Iterator[tuple[str, Path]]:
        """Digest and path of every original on the disk, by their names alone, in their order."""
        for path in self._files():
            if is_name(path.stem, path.suffix) and path.parent.name == path.stem[:2]:
                yield path.stem, path

    def sweep(self) -> None:
        """Delete what killed runs left unfinished. The caller holds the writer's lock, so nobody is writing."""
        for path in self._files():
            if path.name.startswith(_UNFINISHED):
                path.unlink()

    def _named(self, digest: str, suffix: str) -> str:
        """A path as words: an answer tells those of hundreds of photos, and a `Path` takes six times as long."""
        if not is_name(digest, suffix):
            raise ValueError(f"not a digest and a suffix: {digest!r}, {suffix!r}")
        return f"{self._folder}{os.sep}{digest[:2]}{os.sep}{digest}{suffix}"

    def _files(self) -> Iterator[Path]:
        if not self._folder.exists():
            return
        for folder in sorted(self._folder.iterdir()):
            if _FOLDER.fullmatch(folder.name) and folder.is_dir():
                yield from sorted(folder.iterdir())


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:  # missing, or no longer readable: then it is written again
        return False


def _write(path: Path, content: bytes, modified: float | None) -> None:
    with _unfinished_beside(path) as unfinished:
        with unfinished.open("r+b") as file:
            file.write(content)
            file.flush()
            if modified is not None:
                os.utime(file.fileno(), (modified, modified))
            os.fsync(file.fileno())
        unfinished.replace(path)


@contextmanager
def _unfinished_beside(path: Path) -> Iterator[Path]:
    """A new empty file, mode 0600, in the same folder; it is gone if the block fails."""
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile(dir=path.parent, prefix=_UNFINISHED, delete=False) as file:
        unfinished = Path(file.name)
    try:
        yield unfinished
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
