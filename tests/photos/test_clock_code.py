"""The clock that a camera can read: drawn, photographed from the side, and read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageFilter

from archive.photos import clock_code

if TYPE_CHECKING:
    from archive.types import Pixels

SHOWN_AT = 1_795_000_000_123


def photographed(utc_ms: int = SHOWN_AT, angle: float = 0, blur: float = 0, noise: float = 0, scale: int = 6) -> Pixels:
    """A screen with the clock in a darker room of 800 by 600 pixels."""
    dark = clock_code.code(utc_ms, -210)
    shown = Image.fromarray(np.kron(np.where(dark, 25, 230), np.ones((scale, scale))).astype(np.uint8))
    room = Image.new("L", (800, 600), 70)
    room.paste(shown.rotate(angle, expand=True, fillcolor=70), (240, 120))
    grey = np.asarray(room.filter(ImageFilter.GaussianBlur(blur)), dtype=np.float64)
    grey += np.random.default_rng(1).normal(0, noise, grey.shape)
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize(
    "photo",
    [{}, {"angle": 12}, {"angle": 90}, {"blur": 2}, {"noise": 25}, {"scale": 3}, {"angle": -8, "blur": 1, "noise": 10}],
    ids=str,
)
def test_the_clock_is_read_as_a_camera_sees_it(photo: dict[str, float]) -> None:
    shown = clock_code.read(photographed(**photo))  # type: ignore[arg-type]
    assert shown is not None
    assert shown.utc_ms - shown.error_ms <= SHOWN_AT
    assert shown.utc_ms + shown.error_ms >= SHOWN_AT + clock_code.REFRESH_MS


@pytest.mark.parametrize("mirror", [np.s_[::-1], np.s_[:, ::-1]], ids=["hmirror", "vflip"])
def test_a_mirrored_camera_reads_it_too(mirror: tuple[slice, ...]) -> None:
    assert clock_code.read(photographed()[mirror]) == clock_code.read(photographed())


def test_photos_without_a_clock_show_none() -> None:
    noise = np.random.default_rng(2).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    for pixels in (noise, np.zeros((1, 1, 3), np.uint8), np.zeros((2, 5000, 3), np.uint8)):
        assert clock_code.read(pixels) is None


@pytest.mark.parametrize(
    "content", ["https://example.org/1795000000123", b"\xff\xfe\x00\x80" * 9, "ARCHIVE-CLOCK/1 x 0"]
)
def test_the_code_of_something_else_is_no_clock(content: str | bytes) -> None:
    import zxingcpp

    made = zxingcpp.create_barcode(content, zxingcpp.BarcodeFormat.QRCode)
    grey = np.asarray(made.to_image(scale=5, add_quiet_zones=True))
    assert clock_code.read(np.repeat(grey[:, :, None], 3, axis=2)) is None


def test_the_code_is_as_small_as_a_code_of_this_length_can_be() -> None:
    code = clock_code.code(SHOWN_AT, 840)
    assert code.shape == (33, 33)
    assert not code[:4].any()
    assert not code[:, -4:].any()
