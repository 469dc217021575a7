"""How many threads may compute, and how many photos are observed, at once."""

from __future__ import annotations

import os

MOST_WORKERS = 8
"""Photos observed side by side at the most: each has a network and its pixels in memory."""


def processors() -> int:
    """CPUs that this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def workers() -> int:
    """Photos that this process may observe side by side."""
    return min(processors(), MOST_WORKERS)
