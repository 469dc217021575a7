"""Examples: pictures of what is looked for, from a file, from a part of one, or from a hit of the last answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archive.errors import PhotoError, UsageError
from archive.last_answer import recall
from archive.photos.apart import decode_apart
from archive.photos.crops import square
from archive.photos.reading import digest_of, read_file
from archive.types import Box, Example, ordinal_of, photo_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archive.catalog.reader import CatalogReader
    from archive.protocols import Embedder
    from archive.types import Pixels, Vectors

_PLACE = re.compile(r"(?P<path>.+)@(?P<edges>\d+,\d+,\d+,\d+)", re.DOTALL)


class Place(NamedTuple):
    """A file, and the part of its upright photo that is meant; None means all of it."""

    path: Path
    box: Box | None


class Picture(NamedTuple):
    """The part of a photo that shows the thing, with the pixels of the whole photo and the digest of its file."""

    pixels: Pixels
    box: Box
    digest: str


class Looking(NamedTuple):
    """The image side of a pair, and how much context it sees around a thing."""

    embedder: Embedder
    context: float

    def vector(self, pixels: Pixels, box: Box) -> Vectors:
        """The vector (1, dim) of a box, cut out as the segments of the archive were; a whole photo as whole photos."""
        height, width = pixels.shape[:2]
        context = 0.0 if box == Box(0, 0, width, height) else self.context
        return self.embedder.embed_images([square(pixels, box, context, self.embedder.side)])


def from_files(told: Sequence[str], look: Callable[[], Looking]) -> list[Example]:
    """Examples from files, each `FILE` or `FILE@left,top,right,bottom`.

    The image side of the pair is had by `look`, and only if there is a file: it is what makes a query slow.
    """
    if not told:
        return []
    pictures = [read(place(one)) for one in told]
    looking = look()
    labels = [f"example {one}" for one in told]
    return [Example(label, looking.vector(one.pixels, one.box)) for label, one in zip(labels, pictures, strict=True)]


def from_hits(ranks: Sequence[int], reader: CatalogReader, pair_id: int, home: Path) -> list[Example]:
    """Examples that are hits of the last answer, by the vectors that the archive has of them."""
    return [
        Example(f"hit {rank}", one.vector)
        for rank, one in zip(ranks, pointed_at(ranks, reader, pair_id, home), strict=True)
    ]


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
        pixels = decode_apart(content).pixels
    except (PhotoError, OSError) as error:
        raise UsageError(f"{where.path} {error}; name a photo, such as: keys.jpg@120,80,260,190") from error
    height, width = pixels.shape[:2]
    box = where.box or Box(0, 0, width, height)
    if not (0 <= box.left < box.right <= width and 0 <= box.top < box.bottom <= height):
        told = ",".join(map(str, box))
        raise UsageError(f"the box {told} does not lie in {where.path}, which has {width} x {height} pixels")
    return Picture(pixels, box, digest_of(content))


class Pointed(NamedTuple):
    """A segment of the archive that a hit of the last answer showed, and its vector (1, dim)."""

    photo_id: int
    box: Box
    vector: Vectors


def pointed_at(ranks: Sequence[int], reader: CatalogReader, pair_id: int, home: Path) -> list[Pointed]:
    """What hits of the last answer showed, as the archive has it.

    Raises:
        UsageError: there is no such hit, it was erased or damaged since, or it was found in another archive or by
            another pair.
    """
    if not ranks:
        return []
    last = recall(home)
    segments = [last.segment(rank) for rank in ranks]
    if (last.archive, last.pair_id) != (reader.state.uuid, pair_id):
        raise UsageError("the last answer came from another archive or pair of models; ask again, then point at a hit")
    packs = reader.packs_of(pair_id, {photo_of(segment) for segment in segments})
    found = []
    for rank, segment in zip(ranks, segments, strict=True):
        photo_id, ordinal = photo_of(segment), ordinal_of(segment)
        if photo_id in reader.damaged:
            raise UsageError(f"the vectors of hit {rank} are damaged; run: archive repair")
        if photo_id not in packs:
            raise UsageError(f"the photo of hit {rank} is no longer in the archive; ask again")
        pack = packs[photo_id]
        found.append(Pointed(photo_id, pack.segment(ordinal).box, pack.vectors[ordinal : ordinal + 1]))
    return found
