"""The photos themselves in an object store: the same keys as the folder has paths, and the same promises.

What shows a photo reads its bytes. Only what cannot do without a file gets a copy, in a small folder of the home.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from archive.disk import make_private_directory, replace_file
from archive.errors import CatalogDamaged
from archive.originals import Originals, is_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from archive.object_store import Bucket

COPIES = 64
"""Originals of which a copy stays in the home; beyond that the oldest copy goes."""


class ObjectOriginals(Originals):
    """Content-addressed objects: `<prefix>/<first two hex digits>/<sha256><suffix>`. `folder` is that of the copies."""

    def __init__(self, bucket: Bucket, folder: Path) -> None:
        super().__init__(folder)
        self._bucket = bucket

    def put(self, content: bytes, digest: str, suffix: str, modified: float | None) -> Path:
        """Keep a photo, durably on return; one that is there and whole is left alone. Returns where a copy would be.

        Raises:
            ArchiveError: the store does not take it; nothing is under its key.
        """
        key = self._key(digest, suffix)
        if not self._bucket.holds(key, content):
            self._bucket.put(key, content, modified)
        return self.path(digest, suffix)

    def read(self, digest: str, suffix: str) -> bytes:
        """The bytes of an original, verified.

        Raises:
            CatalogDamaged: it is missing or altered.
            ArchiveError: the store cannot be reached.
        """
        where = self.where(digest, suffix)
        try:
            content = self._bucket.get(self._key(digest, suffix))
        except FileNotFoundError as problem:
            raise CatalogDamaged(f"the original {where} is missing; run `archive check`") from problem
        if hashlib.sha256(content).hexdigest() != digest:
            raise CatalogDamaged(f"the original {where} was altered; run `archive check`")
        return content

    def read_from_disk(self, digest: str, suffix: str) -> bytes:
        """The same: nothing of the store is kept in this machine's memory."""
        return self.read(digest, suffix)

    def size(self, digest: str, suffix: str) -> int:
        """The size of an original in bytes.

        Raises:
            FileNotFoundError: it is missing.
        """
        return self._bucket.size(self._key(digest, suffix))

    def where(self, digest: str, suffix: str) -> str:
        """Its URL."""
        return f"{self._bucket}/{self._key(digest, suffix)}"

    def local(self, digest: str, suffix: str) -> Path:
        """A copy of an original as a file, fetched now if there is none."""
        path = self.path(digest, suffix)
        if not path.exists():
            content = self.read(digest, suffix)
            make_private_directory(path.parent)
            replace_file(path, content)
            if (modified := self._bucket.modified(self._key(digest, suffix))) is not None:
                os.utime(path, (modified, modified))
            self._drop_copies()
        return path

    def is_there(self, digest: str) -> bool:
        """Whether there is an original of that name, whatever it ends in."""
        return any(self._keys(digest))

    def erase(self, digest: str) -> list[int]:
        """Remove every object of that name, and the copy; the sizes of what was removed, in bytes.

        A bucket that keeps versions keeps these, too: that is set at the bucket.
        """
        sizes = super().erase(digest)
        for key, size in list(self._keys(digest)):
            self._bucket.remove(key)
            sizes.append(size)
        return sizes

    def digest_at(self, path: Path) -> str | None:
        """The sha256, in hex, of the object whose copy would stand there; None where it cannot be read."""
        try:
            return hashlib.sha256(self._bucket.get(self._key(path.stem, path.suffix))).hexdigest()
        except FileNotFoundError:
            return None

    def stored(self) -> Iterator[tuple[str, Path]]:
        """Digest of every original in the store, and where its copy would be, by their names alone, in their order."""
        for key in (stored.key for stored in self._bucket.every()):
            folder, _, name = key.rpartition("/")
            digest, dot, ending = name.partition(".")
            if is_name(digest, f"{dot}{ending}") and folder == digest[:2]:
                yield digest, self.path(digest, f".{ending}")

    def adoptable(self, noted: Collection[str]) -> Iterator[tuple[str, Path]]:
        """Copies of those that this machine has noted: what else has no row is on its way from another machine."""
        for digest in sorted(noted):
            for key, _ in self._keys(digest):
                yield digest, self.local(digest, os.path.splitext(key)[1])  # noqa: PTH122  (a key is no path)

    def sweep(self) -> None:
        """Nothing is ever left unfinished: an object has its key once it is whole."""

    def _keys(self, digest: str) -> Iterator[tuple[str, int]]:
        for stored in self._bucket.beginning(digest[:2], digest):
            yield stored.key, stored.size

    def _key(self, digest: str, suffix: str) -> str:
        path = self.path(digest, suffix)  # refuses what is no name
        return f"{path.parent.name}/{path.name}"

    def _drop_copies(self) -> None:
        copies = sorted(self._files(), key=lambda path: path.stat().st_ctime)
        for path in copies[:-COPIES]:
            path.unlink(missing_ok=True)
