"""Is a frame whole, and has the exposure settled? Both are judged without decoding anything."""

FIRST_FRAMES = 3
"""Frames that are always thrown away: exposure and white balance start from nothing after power-on."""

STALE_FRAMES = 2
"""Frames thrown away where the camera stays open: its two buffers hold what was seen an interval ago."""


def whole(frame):
    """Whether a frame begins and ends as a JPEG does.

    The camera's memoryview holds signed bytes, so a slice is compared as bytes and never item by item.
    """
    if frame is None or len(frame) < 256:
        return False
    return bytes(frame[:3]) == b"\xff\xd8\xff" and bytes(frame[-32:]).rfind(b"\xff\xd9") >= 0


def settle(camera, hal, first, limit_ms):
    """Throw frames away until two in a row have nearly the same size; gives (frame, frames thrown away).

    A JPEG's size follows the exposure, and is the only sign of it that costs nothing. The frame is None where the
    camera gave none.
    """
    began = hal.ticks()
    previous = 0
    thrown = 0
    while True:
        frame = camera.shot()
        if frame is None:
            return None, thrown
        size = len(frame)
        if thrown >= first:
            close = abs(size - previous) * 20 < size
            if close or limit_ms == 0 or hal.ticks_since(began) >= limit_ms:
                return frame, thrown
        previous = size
        thrown += 1
        hal.feed()
