"""Things that were taught: plain, immutable values, like those of `archive.types`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from archive.types import Box, Vectors


class NewExemplar(NamedTuple):
    """A picture of a thing that is taught.

    `picture` is a JPEG of the thing and what surrounds it, `box` the thing's place in it, and `photo_id` the photo of
    the archive that it was taken from, if it was. `vector` (1, dim) belongs to `space`.
    """

    picture: bytes
    box: Box
    photo_id: int | None
    space: str
    vector: Vectors


class Exemplar(NamedTuple):
    """A stored picture of a taught thing; `vector` (1, dim) is None where the space asked about has not seen it."""

    id: int
    photo_id: int | None
    box: Box
    vector: Vectors | None


class Thing(NamedTuple):
    """A thing that was taught, with its pictures in the order in which they came."""

    name: str
    exemplars: tuple[Exemplar, ...]
