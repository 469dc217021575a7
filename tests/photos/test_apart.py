"""Decoding apart: the same photo, and whatever a file does to its worker, the next one is decoded."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from archive.errors import PhotoError
from archive.photos import apart
from archive.photos.apart import ApartDecoder
from archive.photos.reading import decode, is_plain
from tests.photos.pictures import encoded, scenery


def test_a_whole_jpeg_is_plain_and_everything_else_is_not() -> None:
    content = encoded(scenery(), "JPEG")
    assert is_plain(content)
    assert is_plain(encoded(scenery(), "JPEG", progressive=True))
    for odd in (content[:-2], content[: len(content) // 2], encoded(scenery(), "PNG"), b"\xff\xd8\xff", b""):
        assert not is_plain(odd)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_a_photo_decoded_apart_is_the_same_photo(kind: str) -> None:
    content = encoded(scenery(), kind)
    with ApartDecoder() as decoder:
        ours, theirs = decode(content), decoder.decode(content)
    assert np.array_equal(ours.pixels, theirs.pixels)
    assert theirs.pixels.flags["C_CONTIGUOUS"]
    assert (ours.suffix, ours.camera, ours.exif, ours.damage) == (
        theirs.suffix, theirs.camera, theirs.exif, theirs.damage,
    )  # fmt: skip


def test_what_is_no_photo_is_refused_with_the_same_reason_and_the_worker_goes_on() -> None:
    with ApartDecoder() as decoder:
        for content in (b"no photo", encoded(scenery(), "PNG")[:900]):
            with pytest.raises(PhotoError) as ours:
                decode(content)
            with pytest.raises(PhotoError) as theirs:
                decoder.decode(content)
            assert str(ours.value) == str(theirs.value)
        first = decoder._worker
        assert decoder.decode(encoded(scenery(), "PNG")).pixels.shape == (480, 640, 3)
        assert decoder._worker is first


def test_a_damaged_jpeg_says_what_is_lost() -> None:
    content = encoded(scenery(), "JPEG")
    with ApartDecoder() as decoder:
        assert "missing" in (decoder.decode(content[: len(content) // 2]).damage or "")


def test_a_file_that_takes_too_long_or_ends_its_worker_is_refused_and_the_next_one_is_decoded() -> None:
    content = encoded(scenery(), "PNG")
    with ApartDecoder() as decoder:
        decoder.decode(content)
        assert decoder._worker is not None
        decoder._worker.kill()
        with pytest.raises(PhotoError, match="breaks its decoder"):
            decoder.decode(content)
        assert decoder.decode(content).pixels.shape == (480, 640, 3)
    with ApartDecoder(seconds=0.0) as hasty, pytest.raises(PhotoError, match="time"):
        hasty.decode(content)


def test_a_worker_gets_no_more_memory_than_a_photo_takes() -> None:
    greedy = f"from archive.photos import apart; apart._bound(); bytearray({apart.MOST_MEMORY})"
    done = subprocess.run([sys.executable, "-c", greedy], capture_output=True, text=True, check=False)
    assert "MemoryError" in done.stderr
