"""Where tests find real weights and photos that are not part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("ARCHIVE_SHARED", CHECKOUT.parent / "shared"))


def shared(*parts: str) -> Path:
    """A file or folder of the shared material; skips the test, with the reason, where it is missing."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {'/'.join(parts)} of the shared material, which is not at {SHARED}")
    return path
