from __future__ import annotations

import errno
import importlib.util
import json
import os
import re
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from archive.errors import PhotoError
from archive.photos import reading
from archive.photos.capture_time import ExifStamp
from archive.photos.reading import MAX_BYTES, decode, digest_of, read_file
from tests.paths import SHARED, shared
from tests.photos.pictures import encoded, quarters, scenery

# What turning the upright picture makes of it, so that the orientation of that number undoes it.
STORED = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p, -1),
}


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def tagged(**options: object) -> bytes:
    return encoded(scenery(64, 48), "JPEG", **options)


# Files


def test_a_file_is_read_whole_with_its_time(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"photo")
    os.utime(path, (1_700_000_000.25, 1_700_000_000.25))
    file = read_file(path)
    assert file.content == b"photo"
    assert file.modified == 1_700_000_000.25
    assert digest_of(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real.jpg").write_bytes(b"photo")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "real.jpg")
    with pytest.raises(PhotoError, match="symbolic link"):
        read_file(tmp_path / "link.jpg")


@pytest.mark.timeout(10)
def test_a_pipe_does_not_make_it_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(PhotoError, match="not a regular file"):
        read_file(tmp_path / "pipe.jpg")


@pytest.mark.parametrize(("size", "reason"), [(0, "is empty"), (MAX_BYTES + 1, "larger than 200 MB")])
def test_files_of_a_wrong_size_are_refused_before_they_are_read(tmp_path: Path, size: int, reason: str) -> None:
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(size)
    with pytest.raises(PhotoError, match=reason):
        read_file(tmp_path / "a.jpg")


def test_folders_and_missing_files_are_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="not a regular file"):
        read_file(tmp_path)
    with pytest.raises(PhotoError, match="no longer there"):
        read_file(tmp_path / "missing.jpg")
    with pytest.raises(PhotoError, match="cannot be read: Not a directory"):
        read_file(Path(__file__) / "a.jpg")


def test_a_file_that_grows_while_it_is_read_is_left_for_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"first part")
    check = reading._check_file

    def another_writer(status: os.stat_result) -> None:
        check(status)
        with path.open("ab") as file:
            file.write(b", second part")

    monkeypatch.setattr(reading, "_check_file", another_writer)
    with pytest.raises(PhotoError, match="still being written"):
        read_file(path)


@pytest.mark.parametrize("problem", [errno.EIO, errno.ENODEV, errno.ENXIO])
def test_a_failing_device_is_not_taken_for_a_bad_file(
    problem: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> int:
        raise OSError(problem, os.strerror(problem))

    monkeypatch.setattr(os, "open", gone)
    with pytest.raises(OSError, match=os.strerror(problem)):
        read_file(tmp_path / "a.jpg")


# Pixels


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "MPO"])
def test_every_orientation_comes_out_upright(kind: str, orientation: int) -> None:
    upright = quarters()
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    photo = decode(encoded(stored, kind, exif=oriented(orientation), **({"save_all": True} if kind == "MPO" else {})))
    assert photo.pixels.shape == upright.shape
    for row, column in [(16, 24), (16, 72), (48, 24), (48, 72)]:
        assert photo.pixels[row, column].astype(int) == pytest.approx(upright[row, column].astype(int), abs=12)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_leaves_the_photo_as_stored(orientation: int) -> None:
    content = encoded(Image.fromarray(quarters()), "PNG", exif=oriented(orientation))
    assert np.array_equal(decode(content).pixels, quarters())


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("JPEG", ".jpg"),
        ("PNG", ".png"),
        ("WEBP", ".webp"),
        ("AVIF", ".avif"),
        ("GIF", ".gif"),
        ("TIFF", ".tif"),
        ("BMP", ".bmp"),
    ],
)
def test_the_suffix_tells_the_real_format(kind: str, suffix: str) -> None:
    assert decode(encoded(scenery(64, 48), kind)).suffix == suffix


def test_several_pictures_in_one_jpeg_are_a_jpeg_of_the_first() -> None:
    second = Image.new("RGB", (64, 48), "black")
    photo = decode(encoded(scenery(64, 48), "MPO", save_all=True, append_images=[second]))
    assert photo.suffix == ".jpg"
    assert photo.pixels.mean() > 50


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_is_the_photo(kind: str) -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue", "green")]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert decode(content).pixels[15, 20].tolist() == pytest.approx([255, 0, 0], abs=3)


MODES = {
    "JPEG": ["1", "L", "RGB", "CMYK", "YCbCr"],
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "TIFF": ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr"],
}


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in MODES.items() for mode in modes])
def test_every_colour_mode_becomes_rgb(kind: str, mode: str) -> None:
    image = Image.linear_gradient("L")
    image = image.convert(mode) if mode == "I;16" else image.convert("RGB").convert(mode)
    pixels = decode(encoded(image, kind)).pixels
    assert pixels.shape == (256, 256, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable


def test_sixteen_bits_of_grey_keep_their_brightness() -> None:
    grey = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(1, 256).repeat(4, axis=0)
    pixels = decode(encoded(Image.fromarray(grey), "PNG")).pixels
    assert pixels[0, :, 0].tolist() == list(range(256))


@pytest.mark.parametrize("values", [[0.0, 0.5, 1.0], [-1e30, 0.0, 1e30], [7.0, 7.0, 7.0], [np.nan, 0.0, np.inf]])
def test_numbers_of_unknown_range_become_some_grey(values: list[float]) -> None:
    image = Image.fromarray(np.array([values], dtype=np.float32))
    assert decode(encoded(image, "TIFF")).pixels.shape == (1, 3, 3)


def test_what_is_transparent_becomes_white() -> None:
    hidden = np.zeros((4, 4, 4), dtype=np.uint8)
    hidden[0, 0] = (10, 20, 30, 255)
    pixels = decode(encoded(Image.fromarray(hidden), "PNG")).pixels
    assert pixels[0, 0].tolist() == [10, 20, 30]
    assert (pixels[1:] == 255).all()


def test_a_transparent_colour_of_a_palette_becomes_white() -> None:
    palette = Image.fromarray(quarters()).convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    transparent = palette.getpixel((0, 0))
    pixels = decode(encoded(palette, "PNG", transparency=transparent)).pixels
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[0, -1].tolist() == quarters()[0, -1].tolist()


# What a photo says about itself


def test_camera_and_times_are_read() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Canon\0", "Canon EOS 5D", "2024:02:01 08:00:00"
    exif.get_ifd(0x8769).update(
        {0x9003: "2024:01:31 14:02:11", 0x9291: "042", 0x9011: "+01:00", 0xA431: "  0123\n456 "}
    )
    photo = decode(tagged(exif=exif))
    assert photo.camera == "Canon EOS 5D 0123 456"
    assert photo.exif == (ExifStamp("2024:01:31 14:02:11", "042", "+01:00"), ExifStamp("2024:02:01 08:00:00"))


def test_a_camera_is_one_short_clean_line() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Evil\x1b[2J\nCorp", "M" * 500
    camera = decode(tagged(exif=exif)).camera
    assert camera is not None
    assert camera.startswith("Evil [2J Corp MMM")
    assert len(camera) == 100
    assert camera.isprintable()


@pytest.mark.parametrize("damage", [b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"])
def test_damaged_metadata_does_not_cost_the_photo(damage: bytes) -> None:
    photo = decode(tagged(exif=damage))
    assert photo.pixels.shape == (48, 64, 3)
    assert (photo.camera, photo.exif) == (None, ())


# Damage


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_that_lacks_only_its_end_marker_is_whole(mode: str, *, progressive: bool) -> None:
    content = encoded(scenery().convert(mode), "JPEG", progressive=progressive)
    assert content.endswith(b"\xff\xd9")
    assert np.array_equal(decode(content[:-2]).pixels, decode(content).pixels)
    assert np.array_equal(decode(content[:-1]).pixels, decode(content).pixels)


@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_jpeg_cut_in_its_last_bytes_is_taken(subsampling: int) -> None:
    content = encoded(scenery(), "JPEG", subsampling=subsampling)
    whole, cut = decode(content).pixels, decode(content[:-40]).pixels
    assert np.array_equal(whole[:450], cut[:450])


def test_a_jpeg_of_one_colour_without_its_end_marker_is_whole() -> None:
    for colour in ("black", "white", (128, 128, 128)):
        content = encoded(Image.new("RGB", (640, 480), colour), "JPEG")
        assert np.array_equal(decode(content[:-2]).pixels, decode(content).pixels)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("tail", [b"", bytes(20_000), b"\xff" * 20_000], ids=["cut", "zeros", "erased"])
def test_a_jpeg_that_lost_its_end_is_a_damaged_photo(share: float, tail: bytes) -> None:
    content = encoded(scenery(), "JPEG")
    photo = decode(content[: int(len(content) * share)] + tail)
    assert photo.damage is not None
    assert re.fullmatch(r"the last \d+% of the picture is missing", photo.damage)
    rows = int(480 * share * 0.7)
    assert np.array_equal(photo.pixels[:rows], decode(content).pixels[:rows])


@pytest.mark.parametrize("share", [0.01, 0.02])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("tail", [b"", bytes(20_000), b"\xff" * 20_000], ids=["cut", "zeros", "erased"])
def test_a_jpeg_of_which_almost_nothing_is_left_is_cut_off(share: float, tail: bytes, *, progressive: bool) -> None:
    content = encoded(scenery(), "JPEG", progressive=progressive)
    with pytest.raises(PhotoError, match=r"cut off|damaged"):
        decode(content[: int(len(content) * share)] + tail)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8, 0.9])
@pytest.mark.parametrize("tail", [b"", bytes(20_000)], ids=["cut", "zeros"])
def test_a_progressive_jpeg_that_lost_its_end_lacks_detail_and_no_rows(mode: str, share: float, tail: bytes) -> None:
    content = encoded(scenery().convert(mode), "JPEG", progressive=True)
    whole, photo = decode(content).pixels.astype(int), decode(content[: int(len(content) * share)] + tail)
    assert re.fullmatch(r"fine detail is missing from the last \d+% of the picture", photo.damage or "")
    assert np.abs(photo.pixels - whole).mean() < 20
    assert np.abs(photo.pixels - whole)[-48:].mean() < 25, "its last rows are there too"


def test_a_progressive_jpeg_that_is_cut_between_two_scans_lacks_detail() -> None:
    """Every scan that is there is whole, so only the scans' own headers tell that others are not."""
    content = encoded(scenery(), "JPEG", progressive=True)
    scans = [at.start() for at in re.finditer(rb"\xff\xda", content)]
    tables = [content.rfind(b"\xff\xc4", 0, scan) for scan in scans]
    assert decode(content[: tables[1]]).damage == "all but the coarsest of the picture is missing"
    for cut in tables[2:-1]:
        assert decode(content[:cut]).damage == "fine detail is missing from the picture"
    assert decode(content[:-2]).damage is None


def test_a_whole_jpeg_has_no_damage() -> None:
    content = encoded(scenery(), "JPEG")
    assert decode(content).damage is None
    assert decode(content[:-2]).damage is None


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_an_end_marker_does_not_hide_what_is_missing(share: float) -> None:
    content = encoded(scenery(), "JPEG")
    assert "missing" in (decode(content[: int(len(content) * share)] + b"\xff\xd9").damage or "")


def test_a_jpeg_that_runs_into_another_file_is_damaged() -> None:
    content = encoded(scenery(), "JPEG")
    assert "missing" in (decode(content[: len(content) // 2] + content).damage or "")


def test_a_jpeg_with_lost_sectors_has_a_hole() -> None:
    content = encoded(scenery(1280, 960), "JPEG", quality=95)
    assert len(content) > 40_000
    photo = decode(content[:16_384] + bytes(8192) + content[16_384 + 8192 :])
    assert photo.damage == "a part of the file is all zeros"
    assert photo.pixels.shape == (960, 1280, 3)


def test_an_even_picture_that_is_coded_in_zeros_has_no_hole() -> None:
    content = encoded(Image.new("RGB", (5000, 5000), "black"), "JPEG", optimize=True)
    assert bytes(4096) in content
    assert not decode(content).pixels.any()


def test_what_follows_a_jpeg_is_ignored() -> None:
    content = encoded(scenery(), "JPEG")
    for tail in (b"garbage" * 999, content, bytes(9999)):
        assert np.array_equal(decode(content + tail).pixels, decode(content).pixels)


def with_size(content: bytes, width: int, height: int) -> bytes:
    """The JPEG with another size in its header."""
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + content[at + 4 :]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("side", [65_500, 9_900])
def test_a_jpeg_that_lies_about_its_size_is_refused_quickly(side: int) -> None:
    content = with_size(tagged(), side, side)
    with pytest.raises(PhotoError, match="pixels"):
        decode(content)


@pytest.mark.parametrize(
    ("kind", "mode", "options"), [("WEBP", "RGB", {"lossless": True}), ("TIFF", "1", {"compression": "group4"})]
)
def test_a_hundred_million_pixels_in_a_few_thousand_bytes_are_refused_before_they_take_memory(
    kind: str, mode: str, options: dict[str, object]
) -> None:
    content = encoded(Image.new(mode, (9_999, 10_000)), kind, **options)
    with pytest.raises(PhotoError, match=rf"claims 9999 x 10000 pixels but has only {len(content)} bytes"):
        decode(content)


def test_a_header_that_lies_about_its_size_is_refused_before_it_takes_memory() -> None:
    content = bytearray(encoded(scenery(160, 120), "AVIF"))
    size = content.find(b"ispe") + 8
    content[size : size + 8] = (7_000).to_bytes(4, "big") + (8_000).to_bytes(4, "big")
    with pytest.raises(PhotoError, match="claims 7000 x 8000 pixels"):
        decode(bytes(content))
    content[size : size + 8] = (8_001).to_bytes(4, "big") + (8_000).to_bytes(4, "big")
    with pytest.raises(PhotoError, match="has 8001 x 8000 pixels, more than the archive takes"):
        decode(bytes(content))


def test_a_jpeg_that_claims_more_rows_than_it_has_is_damaged() -> None:
    photo = decode(with_size(encoded(scenery(), "JPEG"), 640, 960))
    assert photo.damage == "the last 50% of the picture is missing"


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    content = encoded(scenery(), "JPEG", progressive=True)
    scan = content[content.rindex(b"\xff\xda") : -2]
    with pytest.raises(PhotoError, match="scans"):
        decode(content[:-2] + scan * 70 + content[-2:])


@pytest.mark.timeout(20)
@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"\xff\x01", b"\xff\xe0\0\0", b"x"])
def test_a_header_followed_by_megabytes_of_nothing_is_refused_quickly(filling: bytes) -> None:
    with pytest.raises(PhotoError):
        decode(b"\xff\xd8\xff\xe0\0\x04ab" + filling * (50_000_000 // len(filling)))


@pytest.mark.parametrize("size", [(11_000, 11_000), (70_000, 10)])
def test_a_photo_that_is_too_large_is_refused_from_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(PhotoError, match="more than the archive takes"):
        decode(encoded(Image.new("1", size), "PNG"))


@pytest.mark.parametrize("content", [b"", b"\0", b"hello\n", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xff\xd8\xff", b"GIF89a"])
def test_what_is_no_photo_is_refused(content: bytes) -> None:
    with pytest.raises(PhotoError):
        decode(content)


def test_a_heic_photo_says_what_is_missing() -> None:
    if importlib.util.find_spec("pillow_heif"):
        pytest.skip("HEIC can be read here")
    with pytest.raises(PhotoError, match=r"archive\[heif\]"):
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"])
def test_half_a_file_of_another_format_is_refused_or_decoded_but_never_an_accident(kind: str) -> None:
    content = encoded(scenery(64, 48), kind)
    for end in range(0, len(content), max(1, len(content) // 40)):
        try:
            assert decode(content[:end]).pixels.shape == (48, 64, 3)
        except PhotoError as error:
            assert "\n" not in str(error)  # noqa: PT017 (either is right; the message must be one line)


SEEDS = [
    encoded(scenery(48, 32), kind, exif=oriented(6)) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "MPO")
] + [encoded(scenery(48, 32), kind) for kind in ("GIF", "BMP")]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SEEDS), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), max_size=6)
)
def test_no_damage_raises_anything_but_a_photo_error(seed: bytes, edits: list[tuple[float, bytes]]) -> None:
    content = bytearray(seed)
    for place, patch in edits:
        at = int(place * len(seed))
        content[at : at + len(patch)] = patch
    try:
        photo = decode(bytes(content))
    except PhotoError:
        return
    assert photo.pixels.ndim == 3
    assert photo.pixels.flags.c_contiguous


def animation_of_no_frames() -> bytes:
    """A PNG of which Pillow warns."""
    content = encoded(scenery(1280, 960), "PNG")
    header_end = 8 + 12 + 13
    chunk = b"acTL" + bytes(8)
    return (
        content[:header_end]
        + (8).to_bytes(4, "big")
        + chunk
        + zlib.crc32(chunk).to_bytes(4, "big")
        + content[header_end:]
    )


def test_warnings_stay_inside_whichever_threads_decode() -> None:
    content, before = animation_of_no_frames(), list(warnings.filters)
    with pytest.warns(UserWarning, match="Invalid APNG"):
        Image.open(BytesIO(content)).close()
    with ThreadPoolExecutor(4) as pool:
        shapes = {photo.pixels.shape for photo in pool.map(decode, [content] * 16)}
    assert shapes == {(960, 1280, 3)}
    assert list(warnings.filters) == before


# The collection of odd files


def odd_files() -> list[Any]:
    listing = SHARED / "odd-files" / "annotations.json"
    entries = json.loads(listing.read_text()) if listing.exists() else {"images": [{"file": "", "expect": "decode"}]}
    return [pytest.param(entry, id=f"{entry['expect']}-{entry['file'][:30]}") for entry in entries["images"]]


@pytest.mark.real_weights
@pytest.mark.parametrize("entry", odd_files())
def test_odd_files_are_read_as_a_good_importer_does(entry: dict[str, Any]) -> None:
    path = shared("odd-files", "images") / entry["file"]
    expected = entry["expect"]
    if expected == "decode-if-heif-support":
        expected = "decode" if importlib.util.find_spec("pillow_heif") else "reject"
    start = time.perf_counter()
    try:
        height, width = decode(read_file(path).content).pixels.shape[:2]
    except PhotoError:
        assert expected != "decode"
    else:
        assert expected != "reject"
        assert entry.get("display") in ([width, height], None)
    assert time.perf_counter() - start < 10
