"""What every embedder promises of its rows: float32, finite, of unit length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archive.errors import ArchiveError

if TYPE_CHECKING:
    from archive.types import Vectors


def unit_rows(rows: Vectors, what: str) -> Vectors:
    """The rows divided by their lengths.

    Raises:
        ArchiveError: a row is not finite or has no direction; storing it would hide the thing for ever.
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths)) or np.any(lengths == 0):
        raise ArchiveError(f"the embedder gave {what} no direction; run `archive models list` to choose another pair")
    unit: Vectors = np.ascontiguousarray(rows / lengths, dtype=np.float32)
    return unit
