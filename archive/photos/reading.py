"""From a file to upright pixels, with every way in which that can fail turned into one kind of error."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from archive.errors import PhotoError
from archive.photos import jpeg
from archive.photos.colour import to_rgb
from archive.photos.exif import metadata
from archive.photos.names import printable
from archive.photos.quiet import no_warnings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archive.photos.capture_time import ExifStamp
    from archive.types import Pixels

MAX_BYTES = 200_000_000
"""A larger file is no photo of a camera that a person wears."""

PLAIN_SCANS = 12
"""Scans of the usual progressive JPEG."""

MAX_PIXELS = 100_000_000
MAX_SIDE = 65_535

MAX_PIXELS_OF_FORMAT = {"AVIF": 64_000_000, "HEIF": 64_000_000}
"""Their decoders hold the picture three times over."""

MAX_HOLLOW_PIXELS = 20_000_000
MAX_PIXELS_PER_BYTE = 1_000
"""A picture with more pixels than both allow is a header that lies, or of one colour: no photo. For JPEGs see there."""

_ROWS_AT_ONCE = 512

GONE = frozenset({errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESTALE})
"""Errors of a device rather than of a file: a card that was pulled out, or one that is dying."""

SUFFIX_OF_FORMAT = {
    "JPEG": ".jpg",
    "MPO": ".jpg",  # a JPEG with more pictures behind it; the first is the photo
    "PNG": ".png",
    "WEBP": ".webp",
    "AVIF": ".avif",
    "GIF": ".gif",
    "TIFF": ".tif",
    "BMP": ".bmp",
    "HEIF": ".heic",
}
"""The formats that are read, and the ending that each gets in the archive."""

_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file as it was read in one go; `modified` is its time of change, in epoch seconds."""

    content: bytes
    modified: float


@dataclass(frozen=True, slots=True, eq=False)
class DecodedPhoto:
    """An upright picture; `suffix` tells its real format, and `exif` its own times, most trusted first.

    `damage` says in words what of it was lost before it came here; None where it is whole.
    """

    pixels: Pixels
    suffix: str
    camera: str | None
    exif: tuple[ExifStamp, ...]
    damage: str | None = None


def read_file(path: Path) -> FileContent:
    """Read a file that may be a photo, without waiting for a pipe or following a link.

    Raises:
        PhotoError: it is no regular file, empty, too large, unreadable, or still being written.
        OSError: the device failed (`errno` in `GONE`); the caller finds out whether the whole card is gone.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            before = os.fstat(descriptor)
            _check_file(before)
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(before.st_size + 1)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError as problem:
        if problem.errno in GONE:
            raise
        raise PhotoError(_file_reason(problem)) from problem
    if len(content) != before.st_size or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise PhotoError("is still being written; the next run takes it")
    return FileContent(content, after.st_mtime)


def digest_of(content: bytes) -> str:
    """The sha256 of a file's bytes, in hex: a photo's identity."""
    return hashlib.sha256(content).hexdigest()


def is_plain(content: bytes) -> bool:
    """Whether a file looks like what a camera writes: a JPEG whose markers make sense, whole, of a usual size."""
    if not content.startswith(jpeg.START):
        return False
    try:
        structure = jpeg.structure(content)
    except PhotoError:
        return False
    return structure.ends and not structure.hole and structure.scans <= PLAIN_SCANS


def decode(content: bytes) -> DecodedPhoto:
    """Decode a photo of any supported format, the first frame of several, turned upright.

    A JPEG that lost its end, or sectors in the middle, is a photo with `damage`: what is left may show the thing.

    Raises:
        PhotoError: it is not a photo, too little of it is left, or it is too large to decode safely.
    """
    with _photo_errors(content):
        return _decoded(content)


def reduced(content: bytes, side: int) -> Image.Image:
    """An upright RGB picture of a photo that was taken in before, for showing it `side` pixels wide or high.

    It may be larger than that, but a JPEG is decoded at a fraction of its size, which is several times faster. What
    `decode` looks for in damaged files is not looked for again.

    Raises:
        PhotoError: it is not a photo.
    """
    with _photo_errors(content):
        image = _opened(_mended(content) if content.startswith(jpeg.START) else content)
        image.draft("RGB", (side, side))
        image.load()
        return _upright(image, metadata(image).turn)


@contextmanager
def _photo_errors(content: bytes) -> Iterator[None]:
    """The per-file boundary: whatever decoding raises is one kind of error.

    On hostile bytes Pillow raises OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error,
    ZeroDivisionError, OverflowError, EOFError, MemoryError and its own bomb error.
    """
    with no_warnings():
        try:
            yield
        except PhotoError:
            raise
        except Exception as problem:
            raise PhotoError(_reason(content, problem)) from problem


def _decoded(content: bytes) -> DecodedPhoto:
    image, damage = _loaded_jpeg(content) if content.startswith(jpeg.START) else (_loaded(content), None)
    about, suffix = metadata(image), SUFFIX_OF_FORMAT[str(image.format)]
    image = _upright(image, about.turn)  # which lets go of the one that lies on its side
    return DecodedPhoto(_pixels(image), suffix, about.camera, about.stamps, damage)


def _pixels(image: Image.Image) -> Pixels:
    """The pixels of an RGB picture. A part at a time: all at once Pillow makes two copies of them on the way."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _ROWS_AT_ONCE):
        bottom = min(top + _ROWS_AT_ONCE, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels


def _upright(image: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    rgb = to_rgb(image)
    return rgb if turn is None else rgb.transpose(turn)


def _mended(content: bytes) -> bytes:
    """A JPEG with its end marker, which libjpeg insists on."""
    structure = jpeg.structure(content)
    return content if structure.ends else structure.body + jpeg.END


def _loaded_jpeg(content: bytes) -> tuple[Image.Image, str | None]:
    """A JPEG and what of it is lost. One that lacks only its end marker, as a camera's that lost power, is whole."""
    structure = jpeg.structure(content)
    image = _opened(content if structure.ends else structure.body + jpeg.END)
    jpeg.check_effort(image, content, structure.scans)
    image.load()
    if structure.hole:
        return image, "a part of the file is all zeros"
    if structure.ends and not jpeg.may_be_unfinished(image):
        return image, None
    del image  # others of its size are coming
    return _loaded(_mended(content)), jpeg.loss(structure, _loaded)


def _loaded(content: bytes) -> Image.Image:
    image = _opened(content)
    if image.width * image.height > max(len(content) * MAX_PIXELS_PER_BYTE, MAX_HOLLOW_PIXELS):
        raise PhotoError(f"claims {image.width} x {image.height} pixels but has only {len(content)} bytes")
    image.load()
    return image


def _opened(content: bytes) -> Image.Image:
    """The header alone, with the size checked: nothing is decoded yet."""
    image = Image.open(BytesIO(content), formats=_formats())
    most = MAX_PIXELS_OF_FORMAT.get(str(image.format), MAX_PIXELS)
    if max(image.size) > MAX_SIDE or image.width * image.height > most:
        raise PhotoError(f"has {image.width} x {image.height} pixels, more than the archive takes")
    return image


@cache
def _formats() -> list[str]:
    """What Pillow may try; never its default, which would start Ghostscript on an EPS named .jpg."""
    # MPO is not asked for: Pillow has no opener of that name, its JPEG opener recognises it.
    formats = [name for name in SUFFIX_OF_FORMAT if name not in {"MPO", "HEIF"}]
    try:
        import pillow_heif
    except ImportError:
        return formats
    pillow_heif.register_heif_opener(thumbnails=False)
    return [*formats, "HEIF"]


def _check_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise PhotoError("is not a regular file")
    if status.st_size == 0:
        raise PhotoError("is empty")
    if status.st_size > MAX_BYTES:
        raise PhotoError(f"is larger than {MAX_BYTES // 1_000_000} MB")


def _file_reason(problem: OSError) -> str:
    if problem.errno == errno.ELOOP:
        return "is a symbolic link"
    if problem.errno == errno.ENOENT:
        return "is no longer there"
    return f"cannot be read: {problem.strerror or type(problem).__name__}"


def _reason(content: bytes, problem: Exception) -> str:
    if content[4:8] == b"ftyp" and content[8:12] in _HEIC_BRANDS and "HEIF" not in _formats():
        return "is a HEIC photo; `pip install 'archive[heif]'` adds what reads it"
    if isinstance(problem, UnidentifiedImageError):
        return "is not a photo of a known format"
    if isinstance(problem, Image.DecompressionBombError):
        return "has more pixels than the archive takes"
    if isinstance(problem, MemoryError):
        return "needs more memory than there is"
    detail = printable(" ".join(str(problem).split()))[:100]
    return f"is damaged: {detail or type(problem).__name__}"
