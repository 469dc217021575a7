"""What a photo says about itself: which way is up, which camera took it, and when.

Metadata that cannot be read is as good as none: it must never cost a photo whose pixels are fine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from PIL import ExifTags, Image

from archive.photos.capture_time import ExifStamp

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CAMERA_LENGTH = 100

Tags = ExifTags.Base
_STAMPS = (
    (Tags.DateTimeOriginal, Tags.SubsecTimeOriginal, Tags.OffsetTimeOriginal),
    (Tags.DateTimeDigitized, Tags.SubsecTimeDigitized, Tags.OffsetTimeDigitized),
    (Tags.DateTime, Tags.SubsecTime, Tags.OffsetTime),
)
# Exif 2.32, 4.6.4 A: what the first row and column of the stored picture are, seen upright.
_TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Value = TypeVar("Value")


class Metadata(NamedTuple):
    """`turn` makes the picture upright, None where it is; `stamps` stand most trusted first."""

    turn: Image.Transpose | None
    camera: str | None
    stamps: tuple[ExifStamp, ...]


def metadata(image: Image.Image) -> Metadata:
    """Read a loaded picture's metadata.

    To be read after the pixels are loaded: a PNG may carry it behind them, and a TIFF is turned upright by Pillow
    while it loads. AVIF's own rotation arrives as an orientation, and HEIF's is already applied.
    """
    exif = _readable(image.getexif)
    if exif is None:
        return Metadata(None, None, ())
    details = _readable(lambda: exif.get_ifd(ExifTags.IFD.Exif)) or {}

    def tag(number: int) -> object:
        value = _readable(lambda: exif.get(number))
        return details.get(number) if value is None else value

    stamps = tuple(ExifStamp(*(_text(tag(number)) for number in numbers)) for numbers in _STAMPS)
    return Metadata(_turn(tag(Tags.Orientation)), _camera(tag), tuple(stamp for stamp in stamps if stamp.moment))


def _readable(read: Callable[[], Value]) -> Value | None:
    """The boundary for damaged metadata: Pillow's parser can raise anything on hostile bytes."""
    try:
        return read()
    except Exception:  # noqa: BLE001
        return None


def _turn(orientation: object) -> Image.Transpose | None:
    return _TO_UPRIGHT.get(orientation) if isinstance(orientation, int) else None


def _camera(tag: Callable[[int], object]) -> str | None:
    make, model, serial = (_text(tag(number)) for number in (Tags.Make, Tags.Model, Tags.BodySerialNumber))
    if model.lower().startswith(make.lower()):
        make = ""
    return " ".join(part for part in (make, model, serial) if part)[:MAX_CAMERA_LENGTH].strip() or None


def _text(value: object) -> str:
    """One line without control characters; empty for anything that is not text."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if not isinstance(value, str):
        return ""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())
