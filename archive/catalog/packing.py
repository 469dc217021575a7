"""A pack as bytes, and back. Little-endian; pure functions.

boxes        uint16 (n, 4): left, top, right, bottom
confidences  float16 (n,)
vectors      float16 (n, dim)
crc          CRC-32 over photo id, pair id (both int64) and the three blobs in this order
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import numpy as np

from archive.catalog.halves import as_floats
from archive.errors import CatalogDamaged
from archive.types import MAX_SEGMENTS, Pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from archive.types import Vectors

MAX_SIDE = 65_535
"""The longest side of a photo, in pixels, that a box can describe."""

UNIT_TOLERANCE = 1e-3


class PackedPack(NamedTuple):
    """A pack as the catalog stores it, in the order of its columns."""

    segments: int
    crc: int
    boxes: bytes
    confidences: bytes
    vectors: bytes


def encode(pack: Pack, pair_id: int) -> PackedPack:
    """A pack as bytes.

    Raises:
        ValueError: it breaks what a pack promises; that is a bug of whoever made it.
    """
    _refuse_malformed(pack)
    boxes = pack.boxes.astype("<u2").tobytes()
    confidences = pack.confidences.astype("<f2").tobytes()
    vectors = pack.vectors.astype("<f2").tobytes()
    return PackedPack(
        len(pack), _checksum(pack.photo_id, pair_id, boxes, confidences, vectors), boxes, confidences, vectors
    )


def require_whole(packed: PackedPack, photo_id: int, pair_id: int, dim: int) -> None:
    """Raise CatalogDamaged where checksum or lengths disagree with what was stored."""
    count, boxes, confidences, vectors = packed.segments, packed.boxes, packed.confidences, packed.vectors
    lengths = (len(boxes), len(confidences), len(vectors))
    if count < 1 or lengths != (count * 8, count * 2, count * dim * 2):
        raise CatalogDamaged(f"the segments of photo {photo_id} have the wrong length; run: archive check")
    if packed.crc != _checksum(photo_id, pair_id, boxes, confidences, vectors):
        raise CatalogDamaged(f"the segments of photo {photo_id} do not match their checksum; run: archive check")


def decode_whole(packed: Sequence[tuple[int, PackedPack]], dim: int) -> list[Pack]:
    """The packs of photos (by id) whose bytes are known to be whole, all at once.

    Their arrays are parts of three larger ones: one by one, what numpy costs for each call is most of the work.
    """
    boxes = np.frombuffer(b"".join(one.boxes for _, one in packed), "<u2").reshape(-1, 4).astype(np.int32)
    confidences = np.frombuffer(b"".join(one.confidences for _, one in packed), "<f2").astype(np.float32)
    halves = np.frombuffer(b"".join(one.vectors for _, one in packed), "<u2").reshape(-1, dim)
    vectors = _unit_rows(as_floats(halves))
    found, start = [], 0
    for photo_id, one in packed:
        end = start + one.segments
        found.append(Pack(photo_id, boxes[start:end], confidences[start:end], vectors[start:end]))
        start = end
    return found


def first_box(packed: PackedPack) -> tuple[int, ...]:
    """Left, top, right, bottom of the first segment."""
    return struct.unpack_from("<4H", packed.boxes)


def first_rows(beginnings: Iterable[bytes], dim: int) -> Vectors:
    """The unit rows (n, dim) that the beginnings of packs' vectors hold: those of the whole frames."""
    return _unit_rows(as_floats(np.frombuffer(b"".join(beginnings), "<u2").reshape(-1, dim)))


def _refuse_malformed(pack: Pack) -> None:
    count = len(pack)
    if not 1 <= count <= MAX_SEGMENTS:
        raise ValueError(f"a pack has 1 to {MAX_SEGMENTS} segments, not {count}")
    if pack.boxes.shape != (count, 4) or pack.confidences.shape != (count,) or len(pack.vectors) != count:
        raise ValueError("boxes, confidences and vectors of a pack must have one row for each segment")
    if pack.boxes.min() < 0 or pack.boxes.max() > MAX_SIDE:
        raise ValueError(f"a box reaches outside 0 to {MAX_SIDE}")
    if not (np.abs(_norms(pack.vectors) - 1) < UNIT_TOLERANCE).all():
        raise ValueError("the vectors of a pack must be unit rows")


def _checksum(photo_id: int, pair_id: int, *blobs: bytes) -> int:
    crc = crc32(struct.pack("<qq", photo_id, pair_id))
    for blob in blobs:
        crc = crc32(blob, crc)
    return crc


def _unit_rows(vectors: Vectors) -> Vectors:
    vectors /= _norms(vectors)[:, np.newaxis]
    return vectors


def _norms(vectors: Vectors) -> Vectors:
    lengths: Vectors = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return lengths
