"""What the C library does with memory that a question no longer needs."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""As <malloc.h> of the GNU C library numbers them."""

KEPT_BYTES = 64 << 20
"""Free memory at the end of a heap, up to which it is not given back to the system."""

FROM_HEAP_BYTES = 32 << 20
"""Up to this size, which is the library's own limit, memory comes from a heap and not from the system."""


def keep_freed() -> bool:
    """Let freed memory wait for the next question; whether the C library can be told so.

    A question needs some tens of megabytes for milliseconds. Given back and asked for again, every page of it is
    cleared anew by the system, which is a quarter of an answer's time.
    """
    tell = getattr(ctypes.CDLL(None), "mallopt", None)  # not every C library has it
    return tell is not None and bool(tell(_TRIM_THRESHOLD, KEPT_BYTES) and tell(_MMAP_THRESHOLD, FROM_HEAP_BYTES))
