"""Photos that lie in a bucket, brought here a few at a time so that an ingest can take them in like those of a folder.

This is a plain listing: the contract of the wearable's card is for cards alone.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from archive.errors import UsageError
from archive.object_store import SCHEME, Bucket
from archive.photos.cards import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive.object_store import Stored

BATCH = 256
"""Photos that are here at once: about a gigabyte at the most."""

_AS_A_PATH = SCHEME.replace("//", "/")


def url_of(source: Path) -> str | None:
    """The URL that was given as a SOURCE; None where it is a path. A path has lost the second of two slashes."""
    text = str(source)
    return f"{SCHEME}{text.removeprefix(_AS_A_PATH)}" if text.startswith(_AS_A_PATH) else None


def batches(url: str) -> Iterator[Path]:
    """Folders with the photos below a URL, named and timed as they are there; each folder is gone at the next one.

    Raises:
        UsageError: there is nothing that could be a photo.
        ArchiveError: the store cannot be reached.
    """
    bucket = Bucket(url)
    photos = (one for one in bucket.every() if PurePosixPath(one.key).suffix[1:].lower() in SUFFIXES)
    is_empty = True
    while batch := list(islice(photos, BATCH)):
        is_empty = False
        with _fetched(bucket, batch) as folder:
            yield folder
    if is_empty:
        raise UsageError(f"there is no photo at {url}")


@contextmanager
def _fetched(bucket: Bucket, batch: list[Stored]) -> Iterator[Path]:
    with TemporaryDirectory(prefix="archive-from-s3-") as name:
        folder = Path(name)
        for one in batch:
            path = folder / one.key
            if not path.resolve().is_relative_to(folder.resolve()):
                continue  # a key may say `..`, which a file of a card cannot
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bucket.get(one.key))
            if one.received is not None:
                received = one.received.timestamp()
                os.utime(path, (received, received))
        yield folder
