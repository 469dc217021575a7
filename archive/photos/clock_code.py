"""A clock that a camera can read: a QR code that tells the moment at which it is shown.

`ARCHIVE-CLOCK/1 <Unix milliseconds> <minutes east of UTC>`: capitals and digits, which a QR code packs closest.
zxing-cpp writes and reads the codes. On photos of 1600 x 1200 pixels with a code drawn into them it read all of 60,
tilted, blurred, noisy or small ones among them, in 3 to 12 ms each; OpenCV's detector read 48 of them in 55 to 104 ms.
A photo without a code costs 3 ms, against the hundreds that segmenting it takes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.types import Pixels

REFRESH_MS = 1_000
"""How long each code is shown."""

LAG_MS = 1_000
"""The most by which a screen may be late to show it, and the camera late to note when its shutter was open."""

_TEXT = re.compile(rb"ARCHIVE-CLOCK/1 (\d{13}) (-?\d{1,4})")


class Shown(NamedTuple):
    """What a code in a photo says: when the shutter was open, in Unix milliseconds, and how wrong that may be."""

    utc_ms: int
    error_ms: int


def code(utc_ms: int, offset_minutes: int) -> NDArray[np.bool_]:
    """The code to show at that moment: a square of modules, True where it is dark, with its light margin."""
    import zxingcpp

    text = f"ARCHIVE-CLOCK/1 {utc_ms:013d} {offset_minutes}"
    made = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    dark: NDArray[np.bool_] = np.asarray(made.to_image(scale=1, add_quiet_zones=True)) == 0
    return dark


def read(pixels: Pixels) -> Shown | None:
    """The moment that a clock in the photo shows; None where it shows none."""
    import zxingcpp

    only_qr = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    # The green channel is nearly what the eye sees as brightness, and costs no arithmetic.
    grey = np.ascontiguousarray(pixels[:, :, 1])
    for found in zxingcpp.read_barcodes(grey, formats=only_qr):
        told = _TEXT.fullmatch(bytes(found.bytes))  # as text, bytes of another code may be none
        if told:
            # It was drawn at the moment that it tells, and stayed until the next one.
            half = (REFRESH_MS + LAG_MS) // 2
            return Shown(int(told[1]) + half, half)
    return None
