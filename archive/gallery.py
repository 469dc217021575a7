"""The pictures of an answer: photos with the boxes of their hits drawn, as files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archive.errors import ArchiveError
from archive.photos.apart import decode_apart
from archive.photos.drawing import annotated, save_jpeg
from archive.photos.reading import decode

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

    from archive.catalog.reader import CatalogReader
    from archive.originals import Originals
    from archive.things import Thing
    from archive.types import Answer, Hit

_UNSAFE = re.compile(r"[^\w.-]+")


def save(answer: Answer, folder: Path, originals: Originals) -> list[Path]:
    """Save the photos of the hits, and that of the last sighting if it is not among them; returns the files.

    Files are named by rank: `01-IMG_0042.jpg`. The folder is made if it is missing.
    """
    _make(folder)
    wanted = {hit.rank: hit for hit in (*(one.hit for one in answer.sightings[:1]), *answer.hits)}
    return [_save_one(hit, folder, originals) for _, hit in sorted(wanted.items())]


def save_exemplars(thing: Thing, reader: CatalogReader, folder: Path) -> list[Path]:
    """Save the pictures of a taught thing with their boxes drawn, as `01-my_keys.jpg` and on; returns the files."""
    _make(folder)
    paths = []
    for number, one in enumerate(thing.exemplars, 1):
        pixels = decode(reader.exemplar_picture(one.id)).pixels
        path = folder / f"{number:02d}-{_UNSAFE.sub('_', thing.name)[:60]}.jpg"
        save_jpeg(annotated(pixels, [(one.box, "")]), path)
        paths.append(path)
    return paths


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArchiveError(f"{folder} cannot be made ({error.strerror}); name another folder to save in") from error


def picture(hit: Hit, originals: Originals) -> Image:
    """The photo of a hit with its boxes drawn."""
    pixels = decode_apart(originals.read(hit.photo.digest, hit.photo.suffix)).pixels
    return annotated(pixels, [(scored.box, f"{scored.score:.2f}") for scored in hit.boxes])


def _save_one(hit: Hit, folder: Path, originals: Originals) -> Path:
    stem = _UNSAFE.sub("_", hit.photo.name.rpartition(".")[0] or hit.photo.name)[:60]
    path = folder / f"{hit.rank:02d}-{stem}.jpg"
    save_jpeg(picture(hit, originals), path)
    return path
