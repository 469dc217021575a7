"""Smaller pictures of photos that the archive has taken in: upright, and with nothing but their pixels."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from archive.photos.reading import reduced

QUALITY = 85


def scaled(content: bytes, side: int) -> bytes:
    """A JPEG of the photo, at most `side` pixels each way, never larger than the photo itself.

    It is encoded anew, so neither the place nor the camera that the original may name goes with it.

    Raises:
        PhotoError: the bytes are no photo.
    """
    image = reduced(content, side)
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    image.info.clear()
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
