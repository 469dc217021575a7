from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from archive.photos.drawing import BEST, OTHER, annotated, save_jpeg
from archive.types import Box
from tests.photos.pictures import quarters, scenery

if TYPE_CHECKING:
    from pathlib import Path


def count(image: Image.Image, colour: tuple[int, int, int]) -> int:
    return int((np.asarray(image) == colour).all(axis=2).sum())


def test_the_first_box_is_drawn_strongest() -> None:
    pixels = np.zeros((480, 640, 3), dtype=np.uint8)
    image = annotated(pixels, [(Box(20, 20, 220, 220), ""), (Box(300, 20, 500, 220), "")])
    assert count(image, BEST) > 1.5 * count(image, OTHER) > 0


def test_the_first_box_lies_on_top() -> None:
    pixels = np.zeros((480, 640, 3), dtype=np.uint8)
    box = Box(20, 20, 220, 220)
    alone, covered = annotated(pixels, [(box, "")]), annotated(pixels, [(box, ""), (box, "")])
    assert count(alone, BEST) == count(covered, BEST)


def test_no_line_strikes_out_a_label() -> None:
    pixels = np.zeros((480, 640, 3), dtype=np.uint8)
    low = (Box(100, 200, 300, 400), "0.28")
    alone = np.asarray(annotated(pixels, [(Box(500, 0, 501, 1), ""), low]))
    crossed = np.asarray(annotated(pixels, [(Box(20, 20, 110, 300), ""), low]))
    assert np.array_equal(alone[185:198, 102:120], crossed[185:198, 102:120])


def test_drawing_leaves_the_photo_alone() -> None:
    pixels = quarters()
    annotated(pixels, [(Box(4, 4, 60, 60), "keys")])
    assert np.array_equal(pixels, quarters())


def test_only_the_boxes_and_labels_are_touched() -> None:
    pixels = np.full((400, 400, 3), 7, dtype=np.uint8)
    drawn = np.asarray(annotated(pixels, [(Box(100, 100, 200, 200), "keys")]))
    assert (drawn[250:] == 7).all()
    assert (drawn[120:180, 120:180] == 7).all()


@pytest.mark.parametrize("box", [Box(0, 0, 30, 20), Box(600, 440, 640, 480), Box(0, 0, 640, 480)])
def test_a_label_at_the_edge_is_wholly_in_the_photo(box: Box) -> None:
    pixels = np.zeros((480, 640, 3), dtype=np.uint8)
    middle = annotated(pixels, [(Box(300, 200, 340, 240), "a label")])
    plain = annotated(pixels, [(Box(300, 200, 340, 240), "")])
    plate = count(middle, BEST) - count(plain, BEST)
    at_edge = np.asarray(annotated(pixels, [(box, "a label")]))
    without = np.asarray(annotated(pixels, [(box, "")]))
    changed = (at_edge != without).any(axis=2)
    assert changed.sum() > plate * 0.7
    rows, columns = np.nonzero(changed)
    assert columns.max() - columns.min() > 30
    assert rows.max() < 480


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (20_000, 1)])
def test_the_smallest_photos_can_be_annotated(size: tuple[int, int]) -> None:
    pixels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    assert annotated(pixels, [(Box(0, 0, *size), "key")]).size == size


def test_a_saved_picture_carries_nothing_but_pixels(tmp_path: Path) -> None:
    image = scenery(64, 48)
    image.info.update(comment=b"home", icc_profile=b"profile", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0", xmp=b"<x/>")
    save_jpeg(image, tmp_path / "answer.jpg")
    with Image.open(tmp_path / "answer.jpg") as saved:
        assert saved.size == (64, 48)
        assert set(saved.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert [path.name for path in tmp_path.iterdir()] == ["answer.jpg"]


def test_a_failed_save_leaves_the_old_picture(tmp_path: Path) -> None:
    path = tmp_path / "answer.jpg"
    path.write_bytes(b"old")
    too_wide = Image.new("RGB", (65_501, 1))
    with pytest.raises(OSError, match=r"writing image file|encoder error"):
        save_jpeg(too_wide, path)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["answer.jpg"]
