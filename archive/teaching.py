"""Teaching: pictures of a thing of one's own, kept so that a query which names it looks for that one.

A picture is kept with the vector that each space makes of it: another pair embeds it again at the next reindex.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from archive import examples
from archive.errors import UsageError
from archive.photos.apart import decode_apart
from archive.photos.clarity import doubts
from archive.photos.crops import LARGEST
from archive.photos.reading import decode
from archive.things import NewExemplar
from archive.types import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from archive.catalog.reader import CatalogReader
    from archive.catalog.writer import Catalog
    from archive.examples import Looking
    from archive.originals import Originals
    from archive.types import Pair, Pixels

ROOM = 0.5
"""What is kept around the thing, as a share of its width and height on each side: no pair's crops show more."""

QUALITY = 95


class Lesson(NamedTuple):
    """A picture to learn from, and what a person should know before relying on it."""

    exemplar: NewExemplar
    doubts: list[str]


def from_files(told: Sequence[str], look: Callable[[], Looking], reader: CatalogReader) -> list[Lesson]:
    """Lessons from files, each `FILE` or `FILE@left,top,right,bottom`; `look` gives the image side of the pair."""
    if not told:
        return []
    pictures = [examples.read(examples.place(one)) for one in told]
    looking = look()
    lessons = []
    for one, picture in zip(told, pictures, strict=True):
        jpeg, box = cut_out(picture.pixels, picture.box)
        vector = looking.vector(decode(jpeg).pixels, box)
        new = NewExemplar(jpeg, box, reader.photo_id(picture.digest), looking.embedder.space, vector)
        lessons.append(_lesson(new, one, picture.pixels, picture.box))
    return lessons


def from_hits(
    ranks: Sequence[int], reader: CatalogReader, pair: tuple[int, Pair], originals: Originals, home: Path
) -> list[Lesson]:
    """Lessons from hits of the last answer, whose vectors are known already."""
    pair_id, space = pair[0], pair[1].space
    lessons = []
    for rank, pointed in zip(ranks, examples.pointed_at(ranks, reader, pair_id, home), strict=True):
        photo = reader.photos([pointed.photo_id])[pointed.photo_id]
        pixels = decode_apart(originals.read(photo.digest, photo.suffix)).pixels
        jpeg, box = cut_out(pixels, pointed.box)
        new = NewExemplar(jpeg, box, pointed.photo_id, space, pointed.vector)
        lessons.append(_lesson(new, f"hit {rank}", pixels, pointed.box))
    return lessons


def embed_missing(catalog: Catalog, looking: Looking) -> int:
    """Embed the exemplars that this space has not seen, each in its own transaction; how many there were."""
    space = looking.embedder.space
    missing = catalog.exemplars_without_vector(space)
    for exemplar_id, jpeg, box in missing:
        catalog.add_exemplar_vector(exemplar_id, space, looking.vector(decode(jpeg).pixels, box))
    return len(missing)


def forget(catalog: Catalog, name: str, number: int | None) -> None:
    """Forget a taught thing, or one of its pictures, counted from 1; its bytes go from the catalog's files too.

    Raises:
        UsageError: there is no such thing or picture.
    """
    if not catalog.unteach(name, number):
        picture = "" if number is None else f" with a picture {number}"
        raise UsageError(f"nothing named {name!r}{picture} was taught; see: archive teach list")
    catalog.checkpoint()


def cut_out(pixels: Pixels, box: Box) -> tuple[bytes, Box]:
    """A JPEG of a box with room around it, as far as the photo reaches, and where the box lies in it."""
    height, width = pixels.shape[:2]
    across, down = round(box.width * ROOM), round(box.height * ROOM)
    left, top = max(0, box.left - across), max(0, box.top - down)
    part = pixels[top : min(height, box.bottom + down), left : min(width, box.right + across)]
    image, scale = Image.fromarray(part), 1.0
    if max(image.size) > LARGEST:
        scale = LARGEST / max(image.size)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    edges = np.array([box.left - left, box.top - top, box.right - left, box.bottom - top]) * scale
    inner = Box(*edges.round().astype(int).tolist())
    return buffer.getvalue(), Box(
        min(inner.left, image.width - 1),
        min(inner.top, image.height - 1),
        min(max(inner.right, inner.left + 1), image.width),
        min(max(inner.bottom, inner.top + 1), image.height),
    )


def _lesson(new: NewExemplar, label: str, pixels: Pixels, box: Box) -> Lesson:
    return Lesson(new, [f"{label}: {doubt}" for doubt in doubts(pixels, box)])
