"""A bucket of an object store, through fsspec, and what its errors mean.

Where the store is and who asks is said as the store's own tools are told it: AWS_ENDPOINT_URL, AWS_PROFILE,
AWS_ACCESS_KEY_ID and the rest, or the role of the machine. Answers of the kind 5xx, and lost connections, are retried.
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from archive.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

SCHEME = "s3://"

TRIES = 8
"""Times that a request is sent before its failure counts: with growing pauses, about half a minute."""

MODIFIED = "modified"


class Stored(NamedTuple):
    """An object: its key below the prefix, its size, and when the store received it."""

    key: str
    size: int
    received: datetime | None


class Bucket:
    """What a URL such as `s3://bucket/prefix` holds. Keys are relative to it."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def __str__(self) -> str:
        return self.url

    def put(self, key: str, content: bytes, modified: float | None = None) -> None:
        """Keep an object; it has its key only once all its bytes arrived and the store has compared their MD5."""
        kept = {} if modified is None else {MODIFIED: repr(modified)}
        md5 = base64.b64encode(_md5(content).digest()).decode()
        # One request, however large: an upload in parts could be left half done, which nobody sees and everybody pays.
        with self._errors():
            self._files.pipe_file(self._at(key), content, chunksize=len(content) + 1, ContentMD5=md5, Metadata=kept)

    def get(self, key: str) -> bytes:
        """The bytes of an object.

        Raises:
            FileNotFoundError: it is not there.
        """
        with self._errors():
            content: bytes = self._files.cat_file(self._at(key))
        return content

    def size(self, key: str) -> int:
        """The size of an object in bytes.

        Raises:
            FileNotFoundError: it is not there.
        """
        return int(self._info(key)["size"])

    def holds(self, key: str, content: bytes) -> bool:
        """Whether an object of exactly those bytes is there, as far as the store can say without sending them.

        A store that encrypts with keys of its own names no MD5: then it is False, and putting it again does no harm.
        """
        try:
            known = self._info(key)
        except FileNotFoundError:
            return False
        return bool(known["size"] == len(content) and known["ETag"].strip('"') == _md5(content).hexdigest())

    def modified(self, key: str) -> float | None:
        """The time of change, in seconds since 1970, that was put with an object."""
        with self._errors():
            kept = self._files.metadata(self._at(key))
        return float(kept[MODIFIED]) if MODIFIED in kept else None

    def remove(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        with self._errors():
            self._files.rm_file(self._at(key))

    def beginning(self, folder: str, name: str) -> list[Stored]:
        """The objects of a folder whose names begin with that."""
        with self._errors():
            found = self._files.find(self._at(folder), prefix=name, detail=True)
        return [self._stored(one) for one in found.values()]

    def every(self, folder: str = "") -> Iterator[Stored]:
        """Every object below a folder, in the order of keys; no more than one folder's are listed at a time."""
        with self._errors():
            try:
                found = self._files.ls(self._at(folder), detail=True, refresh=True)
            except FileNotFoundError:
                return
        for one in sorted(found, key=lambda entry: str(entry["name"])):
            stored = self._stored(one)
            if one["type"] == "directory":
                yield from self.every(stored.key)
            elif stored.key and not one["name"].endswith("/"):  # an empty object may stand for a folder
                yield stored

    def _stored(self, entry: dict[str, Any]) -> Stored:
        key = entry["name"].removeprefix(self._root).strip("/")
        return Stored(key, int(entry["size"]), entry.get("LastModified"))

    def _info(self, key: str) -> dict[str, Any]:
        with self._errors():
            known: dict[str, Any] = self._files.info(self._at(key), refresh=True)
        return known

    def _at(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root

    @property
    def _root(self) -> str:
        return self.url.removeprefix(SCHEME)

    @cached_property
    def _files(self) -> Any:  # noqa: ANN401  (fsspec has no types)
        import fsspec

        retries = {"retries": {"max_attempts": TRIES, "mode": "standard"}}
        return fsspec.filesystem("s3", use_listings_cache=False, config_kwargs=retries)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            from botocore.exceptions import BotoCoreError
        except ImportError as error:
            raise ArchiveError(f"{self} needs what comes with: pip install 'archive[cluster]'") from error
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, BotoCoreError) as error:
            said = " ".join(str(error).split()) or type(error).__name__
            message = f"{self} cannot be reached or used: {said}; what is kept stays kept, mend that and run this again"
            raise ArchiveError(message) from error


def _md5(content: bytes) -> Any:  # noqa: ANN401  (hashlib's own type has no name)
    return hashlib.md5(content, usedforsecurity=False)  # what the store compares; the sha256 is the key's own
