"""What a JPEG's markers say before any pixel is decoded, and how much of one that was cut off is there.

libjpeg fills what is missing with mid-grey and reports success, so a photo that lost its end to a power cut has to
be recognised here. A progressive JPEG draws the whole picture in its first scans, and later ones refine it: cut off in
one of those it lacks detail and no rows. Markers and their lengths: ITU-T T.81, annex B.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import numpy as np

from archive.errors import PhotoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import Image

START = b"\xff\xd8\xff"
END = b"\xff\xd9"

MAX_SCANS = 64
"""Encoders write about ten. Each costs a pass over the whole picture, and an empty one costs its author 150 bytes."""

MAX_SCANNED_PIXELS = 2_000_000_000
"""Scans times pixels: about ten seconds of decoding."""

MAX_PIXELS_PER_BYTE = 1_000
"""A picture of one colour reaches 500; more is a header that lies."""

WHOLE_LOSS = 0.05
"""The share of the rows that may be missing at the bottom of a photo that still counts as whole."""

MOST_LOSS = 0.9
"""The share above which too little is left to be a photo."""

_MAX_SEGMENTS = 10_000
_MAX_JUNK = 64 << 10
_SECTOR = 512
_HOLE = bytes(4096)
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_TEMPORARY, _START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0x01, 0xD8, 0xD9, 0xDA
# Tables, restart intervals, application data and comments may stand between two scans; anything else is damage.
_BETWEEN_SCANS = frozenset({0xC4, 0xCC, _START_OF_SCAN, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE})
# No 0xFF, so no marker; long enough to change the block at which the file was cut.
_FILLER = bytes(range(1, 0xFF)) * 16


class Structure(NamedTuple):
    """The picture's own part of the file: its bytes without the end marker, and whether that marker was there.

    One with a `hole` lost sectors to zeros. One that is `drawn` is progressive and has shown all rows coarsely in scans
    that came before the last; `refined` says whether its scans bring all there is to know.
    """

    body: bytes
    ends: bool
    scans: int
    hole: bool
    drawn: bool
    refined: bool


class _Found(NamedTuple):
    """Where the first scan begins and the picture ends, whether a marker says so, and the headers of frame and scans.

    A header stands without its length; that of a frame is empty in a file without one.
    """

    first_scan: int
    end: int
    ends: bool
    progressive: bool
    frame: bytes
    scans: list[bytes]


def structure(content: bytes) -> Structure:
    """Read the markers of the first picture in a JPEG file; whatever follows that picture is ignored.

    Raises:
        PhotoError: there is no picture in it, or it is made to be slow.
    """
    found = _markers(content)
    scans = len(found.scans)
    if not scans:
        raise PhotoError("is a JPEG without a picture: it is cut off in its header")
    if scans > MAX_SCANS:
        raise PhotoError(f"is a JPEG with more than {MAX_SCANS} scans, made to be slow")
    body = content[: found.end] if found.ends else _without_zero_tail(content[: found.end])
    drawn = found.progressive and scans > 1
    return Structure(
        body, found.ends, scans, _has_hole(body, found.first_scan), drawn, not found.progressive or _is_refined(found)
    )


def check_effort(image: Image.Image, content: bytes, scans: int) -> None:
    """Refuse a picture whose size and scans promise more work than its bytes can be worth.

    Raises:
        PhotoError: the header lies about the size, or decoding would take too long.
    """
    pixels = image.width * image.height
    if pixels > len(content) * MAX_PIXELS_PER_BYTE:
        raise PhotoError(f"claims {image.width} x {image.height} pixels but has only {len(content)} bytes")
    if pixels * scans > MAX_SCANNED_PIXELS:
        raise PhotoError(f"is a JPEG of {image.width} x {image.height} pixels in {scans} scans, made to be slow")


def may_be_unfinished(image: Image.Image) -> bool:
    """Whether the last row of a decoded JPEG is the grey that libjpeg writes where there is nothing."""
    last_row = image.crop((0, image.height - 1, image.width, image.height))
    return set(np.unique(np.asarray(last_row)).tolist()) <= {127, 128}  # 127: CMYK is stored inverted


def loss(structure: Structure, decoded: Callable[[bytes], Image.Image]) -> str | None:
    """What is missing of a JPEG that may be cut off, in words; None where at most the last few rows are.

    Raises:
        PhotoError: too much is missing.
    """
    lost = _lost_share(structure.body, decoded)
    if structure.drawn:
        if lost > WHOLE_LOSS:
            return f"fine detail is missing from the last {lost:.0%} of the picture"
        return None if structure.ends or structure.refined else "fine detail is missing from the picture"
    if lost > MOST_LOSS:
        raise PhotoError(f"is cut off: the last {lost:.0%} of the picture is missing")
    if lost > WHOLE_LOSS:
        return f"the last {lost:.0%} of the picture is missing"
    return None if structure.ends or structure.refined else "all but the coarsest of the picture is missing"


def _lost_share(body: bytes, decoded: Callable[[bytes], Image.Image]) -> float:
    """The share of the rows at the bottom that depend on what is missing.

    The picture is decoded with two different endings, one after the other, since a large one fills the memory that a
    photo may take: the first row that differs is the first of them.
    """
    body = body.rstrip(b"\xff")
    one, other = _checksums(decoded(body + END)), _checksums(decoded(body + _FILLER + END))
    first = next((row for row, (left, right) in enumerate(zip(one, other, strict=True)) if left != right), len(one))
    return 1 - first / len(one)


def _checksums(image: Image.Image) -> list[int]:
    """One for each row of a picture."""
    strips = (image.crop((0, row, image.width, row + 1)) for row in range(image.height))
    return [crc32(strip.tobytes()) for strip in strips]


def _is_refined(found: _Found) -> bool:
    """Whether the scans of a progressive JPEG bring every coefficient of every component to its last bit.

    A scan's header names its components, the first and last of their 64 coefficients, and the bit that it ends with.
    """
    components = found.frame[6 : 6 + 3 * found.frame[5] : 3] if len(found.frame) > 5 else b""
    done = {(component, coefficient) for header in found.scans for component, coefficient in _finished(header)}
    return all((component, coefficient) in done for component in components for coefficient in range(64))


def _finished(scan: bytes) -> Iterator[tuple[int, int]]:
    """The components and coefficients that a scan brings to their last bit."""
    count = scan[0] if scan else 0
    if len(scan) < 4 + 2 * count or scan[3 + 2 * count] & 0x0F:
        return
    first, last = scan[1 + 2 * count], min(scan[2 + 2 * count], 63)
    for component in scan[1 : 1 + 2 * count : 2]:
        yield from ((component, coefficient) for coefficient in range(first, last + 1))


def _markers(content: bytes) -> _Found:
    """What the markers say."""
    position, first_scan, progressive, frame = len(START) - 1, 0, False, b""
    scans: list[bytes] = []
    for _ in range(_MAX_SEGMENTS):
        marker = _MARKER.search(content, position)
        if marker is None:
            return _Found(first_scan, len(content), ends=False, progressive=progressive, frame=frame, scans=scans)
        kind = marker[1][0]
        if kind in {_END_OF_IMAGE, _START_OF_IMAGE} or (scans and kind not in _BETWEEN_SCANS):
            ends = kind == _END_OF_IMAGE
            return _Found(first_scan, marker.start(), ends=ends, progressive=progressive, frame=frame, scans=scans)
        if not scans and marker.start() - position > _MAX_JUNK:
            break
        position = marker.end()
        if kind == _TEMPORARY:  # it has no length
            continue
        length = int.from_bytes(content[position : position + 2], "big")
        if kind == _START_OF_SCAN:
            first_scan = first_scan or position
            scans.append(content[position + 2 : position + length])
        elif kind in _FRAMES:
            progressive, frame = kind in _PROGRESSIVE, content[position + 2 : position + length]
        position += length
    raise PhotoError("is not a JPEG that makes sense: its header is damaged")


def _without_zero_tail(content: bytes) -> bytes:
    """A file system that lost power keeps a file's length and gives zeros for what was not written."""
    stripped = content.rstrip(b"\0")
    return stripped if len(content) - len(stripped) >= _SECTOR else content


def _has_hole(body: bytes, start: int) -> bool:
    """Whether sectors of the scans were lost: a long run of zeros from one sector's edge to another's.

    A run of zeros alone is no fault: a large even area can be coded so.
    """
    at = body.find(_HOLE, start)
    if at < 0:
        return False
    near_edge = 4  # zeros of the picture itself may stand next to the hole
    runs = re.finditer(rb"\x00{%d,}" % len(_HOLE), body[at:])
    return any(-(at + run.start()) % _SECTOR < near_edge and (at + run.end()) % _SECTOR < near_edge for run in runs)
