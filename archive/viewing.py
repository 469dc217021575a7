"""Pictures of single photos for a page: a thumbnail that is made once, and a large view that is made when asked."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from archive.photos.scaling import scaled

if TYPE_CHECKING:
    from archive.originals import Originals
    from archive.thumbnails import Thumbnails
    from archive.types import Photo

THUMBNAIL_SIDE = 400
VIEW_SIDE = 1600


def thumbnail(photo: Photo, originals: Originals, thumbnails: Thumbnails) -> bytes:
    """A JPEG of at most 400 pixels each way.

    Raises:
        CatalogDamaged: the original is missing or altered.
        PhotoError: the original can no longer be decoded.
    """
    kept = thumbnails.get(photo.digest)
    if kept is not None:
        return kept
    content = scaled(originals.read(photo.digest, photo.suffix), THUMBNAIL_SIDE)
    with suppress(FileNotFoundError):  # the photo was erased meanwhile: nothing of it is to be kept
        thumbnails.put(photo.digest, content)
    return content


def view(photo: Photo, originals: Originals) -> bytes:
    """A JPEG of at most 1600 pixels each way; not kept, for a million of them would fill a disk.

    Raises:
        CatalogDamaged: the original is missing or altered.
        PhotoError: the original can no longer be decoded.
    """
    return scaled(originals.read(photo.digest, photo.suffix), VIEW_SIDE)
