"""What is told of a photo that is about to be added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archive.sessions import SessionPlace
    from archive.types import CaptureTime, Mark


class PhotoIsKnown(Exception):  # noqa: N818  (a state of the world, and no fault of anybody's)
    """Another machine has added the photo since it was looked for; its id is `photo_id`."""

    def __init__(self, photo_id: int) -> None:
        super().__init__(f"the photo is in as {photo_id}")
        self.photo_id = photo_id


@dataclass(frozen=True, slots=True)
class NewPhoto:
    """A photo that is about to be added, and where it was found.

    `digest` is the sha256 in hex of its `size` bytes; width and height are those of the upright photo. `name` and
    `path` (relative to the source) are bytes as the system gave them; `modified` is in seconds since 1970. A photo of
    the wearable has a `place` in its session, and a `condition`, whole or damaged, by its own digest.
    """

    digest: str
    suffix: str
    size: int
    capture: CaptureTime
    camera: str | None
    width: int
    height: int
    name: bytes
    path: bytes
    modified: float | None
    marks: tuple[Mark, ...] = ()
    place: SessionPlace | None = None
    condition: str | None = None
