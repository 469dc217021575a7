from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from archive.catalog.halves import as_floats
from archive.catalog.packing import MAX_SIDE, PackedPack, decode_whole, encode, first_box, require_whole
from archive.errors import CatalogDamaged
from archive.types import MAX_SEGMENTS, Pack
from tests.catalog.samples import DIM, pack


@st.composite
def packs(draw: st.DrawFn) -> Pack:
    count = draw(st.integers(1, 40))
    dim = draw(st.integers(1, 64))
    vectors = draw(arrays.arrays(np.float32, (count, dim), elements=st.floats(-1, 1, width=32)))
    vectors[:, 0] += np.where(np.linalg.norm(vectors, axis=1) < 0.1, np.float32(1), np.float32(0))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Pack(
        photo_id=draw(st.integers(1, 2**53)),
        boxes=draw(arrays.arrays(np.int32, (count, 4), elements=st.integers(0, MAX_SIDE))),
        confidences=draw(arrays.arrays(np.float32, count, elements=st.floats(0, 1, width=32))),
        vectors=vectors,
    )


def decode(packed: PackedPack, photo_id: int, pair_id: int, dim: int) -> Pack:
    """The pack that the bytes hold, if they are whole."""
    require_whole(packed, photo_id, pair_id, dim)
    (unpacked,) = decode_whole([(photo_id, packed)], dim)
    return unpacked


@settings(deadline=None)
@given(packs(), st.integers(1, 2**31))
def test_what_is_packed_comes_back(original: Pack, pair_id: int) -> None:
    dim = original.vectors.shape[1]
    returned = decode(encode(original, pair_id), original.photo_id, pair_id, dim)
    assert returned.photo_id == original.photo_id
    assert np.array_equal(returned.boxes, original.boxes)
    assert first_box(encode(original, pair_id)) == tuple(original.boxes[0].tolist())
    assert np.allclose(returned.confidences, original.confidences, atol=5e-4)
    assert np.allclose(returned.vectors, original.vectors, atol=1e-3)
    assert np.allclose(np.linalg.norm(returned.vectors, axis=1), 1, atol=1e-6)


@settings(deadline=None)
@given(packs(), st.integers(1, 2**31), st.data())
def test_any_flipped_bit_is_found(original: Pack, pair_id: int, choice: st.DataObject) -> None:
    packed = encode(original, pair_id)
    column = choice.draw(st.sampled_from(["boxes", "confidences", "vectors"]))
    blob = bytearray(getattr(packed, column))
    bit = choice.draw(st.integers(0, len(blob) * 8 - 1))
    blob[bit // 8] ^= 1 << bit % 8
    if column == "boxes":
        damaged = packed._replace(boxes=bytes(blob))
    elif column == "confidences":
        damaged = packed._replace(confidences=bytes(blob))
    else:
        damaged = packed._replace(vectors=bytes(blob))
    with pytest.raises(CatalogDamaged, match="checksum"):
        decode(damaged, original.photo_id, pair_id, original.vectors.shape[1])


def test_arrays_come_back_writable_contiguous_and_of_the_promised_types() -> None:
    returned = decode(encode(pack(photo_id=1), 1), 1, 1, DIM)
    dtypes = [array.dtype.name for array in (returned.boxes, returned.confidences, returned.vectors)]
    assert dtypes == ["int32", "float32", "float32"]
    assert returned.vectors.flags.c_contiguous
    assert returned.vectors.flags.writeable


@pytest.mark.parametrize(("photo_id", "pair_id"), [(2, 1), (1, 2)])
def test_a_pack_belongs_to_its_photo_and_its_pair(photo_id: int, pair_id: int) -> None:
    packed = encode(pack(photo_id=1), 1)
    with pytest.raises(CatalogDamaged, match="checksum"):
        decode(packed, photo_id, pair_id, DIM)


def test_a_shortened_pack_is_found() -> None:
    packed = encode(pack(photo_id=1), 1)
    with pytest.raises(CatalogDamaged, match="length"):
        decode(packed._replace(vectors=packed.vectors[:-2]), 1, 1, DIM)
    with pytest.raises(CatalogDamaged, match="length"):
        decode(packed, 1, 1, DIM + 1)


def test_the_largest_pack_is_accepted_and_one_more_segment_is_not() -> None:
    assert encode(pack(segments=MAX_SEGMENTS), 1).segments == MAX_SEGMENTS
    with pytest.raises(ValueError, match="1 to 1024"):
        encode(pack(segments=MAX_SEGMENTS + 1), 1)


def test_a_pack_without_segments_is_refused() -> None:
    good = pack()
    empty = Pack(1, good.boxes[:0], good.confidences[:0], good.vectors[:0])
    with pytest.raises(ValueError, match="not 0"):
        encode(empty, 1)


def test_rows_that_are_not_unit_are_refused() -> None:
    good = pack()
    for factor in (0.99, 1.01, 0.0, np.nan):
        with pytest.raises(ValueError, match="unit rows"):
            encode(replace(good, vectors=good.vectors * np.float32(factor)), 1)


@pytest.mark.parametrize("edge", [-1, MAX_SIDE + 1])
def test_a_box_outside_what_two_bytes_hold_is_refused(edge: int) -> None:
    good = pack()
    boxes = good.boxes.copy()
    boxes[1, 2] = edge
    with pytest.raises(ValueError, match="outside"):
        encode(replace(good, boxes=boxes), 1)


def test_arrays_of_different_lengths_are_refused() -> None:
    good = pack()
    with pytest.raises(ValueError, match="one row for each"):
        encode(replace(good, confidences=good.confidences[:-1]), 1)


def test_every_finite_half_is_the_number_that_numpy_makes_of_it() -> None:
    every = np.arange(1 << 16, dtype=np.uint16)
    every = every[np.isfinite(every.view(np.float16))]
    found = as_floats(every.reshape(2, -1)).ravel()
    np.testing.assert_array_equal(found, every.view(np.float16).astype(np.float32))
    np.testing.assert_array_equal(np.signbit(found), np.signbit(every.view(np.float16)))
