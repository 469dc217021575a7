"""Examples: pictures of what is looked for, from a file, from a part of one, or from a hit of the last answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archive.errors import PhotoError, UsageError
from archive.photos.crops import square
from archive.photos.reading import decode, read_file
from archive.types import Box, Example, ordinal_of, photo_of

if TYPE_CHECKING:
    from archive.catalog.reader import CatalogReader
    from archive.last_answer import LastAnswer
    from archive.protocols import Embedder
    from archive.types import Pixels

_PLACE = re.compile(r"(?P<path>.+)@(?P<edges>\d+,\d+,\d+,\d+)", re.DOTALL)


class Place(NamedTuple):
    """A file, and the part of its upright photo that is meant; None means all of it."""

    path: Path
    box: Box | None


class Picture(NamedTuple):
    """The part of a photo that shows the thing, with the pixels of the whole photo."""

    pixels: Pixels
    box: Box
    content: bytes

    @property
    def is_whole(self) -> bool:
        """Whether the thing is all of the photo."""
        height, width = self.pixels.shape[:2]
        return self.box == Box(0, 0, width, height)


def place(told: str) -> Place:
    """What `FILE` or `FILE@left,top,right,bottom` names; a file whose own name looks like that goes first."""
    found = _PLACE.fullmatch(told)
    if found is None or Path(told).exists():
        return Place(Path(told).expanduser(), None)
    return Place(Path(found["path"]).expanduser(), Box(*map(int, found["edges"].split(","))))


def read(where: Place) -> Picture:
    """The picture at a place.

    Raises:
        UsageError: the file is not a photo, or the box does not lie in it.
    """
    try:
        content = read_file(where.path).content
        pixels = decode(content).pixels
    except (PhotoError, OSError) as error:
        raise UsageError(f"{where.path} {error}; name a photo, such as: keys.jpg@120,80,260,190") from error
    height, width = pixels.shape[:2]
    box = where.box or Box(0, 0, width, height)
    if not (0 <= box.left < box.right <= width and 0 <= box.top < box.bottom <= height):
        told = ",".join(map(str, box))
        raise UsageError(f"the box {told} does not lie in {where.path}, which has {width} x {height} pixels")
    return Picture(pixels, box, content)


def embed(picture: Picture, embedder: Embedder, context: float, label: str) -> Example:
    """The example that a picture is; it is cut out as the segments of the archive were."""
    crop = square(picture.pixels, picture.box, 0.0 if picture.is_whole else context)
    return Example(label, embedder.embed_images([crop]))


def from_hit(reader: CatalogReader, pair_id: int, last: LastAnswer, rank: int) -> Example:
    """The example that a hit of the last answer is, by the vector that the archive has of it.

    Raises:
        UsageError: there is no such hit, it was erased since, or it was found in another archive or by another pair.
    """
    segment = last.segment(rank)
    if (last.archive, last.pair_id) != (reader.state.uuid, pair_id):
        raise UsageError("the last answer came from another archive or pair of models; ask again, then point at a hit")
    pack = reader.packs_of(pair_id, [photo_of(segment)]).get(photo_of(segment))
    if pack is None:
        raise UsageError(f"the photo of hit {rank} is no longer in the archive; ask again")
    ordinal = ordinal_of(segment)
    return Example(f"hit {rank}", pack.vectors[ordinal : ordinal + 1])
