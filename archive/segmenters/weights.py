"""Files of weights: that they are there, which they are, and under which name ultralytics gets to see them."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from archive.errors import WeightsMissing

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT_DIGEST = 12
"""Hex digits of a sha256 that identify weights inside a name."""


def present(weights: Path) -> Path:
    """The same path, absolute, once it is known to be a file.

    Raises:
        WeightsMissing: there is no such file.
    """
    if not weights.is_file():
        raise WeightsMissing(f"no segmenter weights at {weights}; fetch them with `archive models pull`")
    return weights.absolute()


def short_digest(weights: Path) -> str:
    """The first hex digits of the file's sha256."""
    with weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:SHORT_DIGEST]


@contextmanager
def under_plain_name(weights: Path) -> Iterator[str]:
    """Another path to the same weights, `.../weights.pt`, for as long as the block lasts.

    ultralytics edits paths before it looks at them (it strips quotes, it renames `yolov5n.pt`), finds nothing where
    the edited path points, and downloads. This one it leaves as it is.
    """
    with TemporaryDirectory(prefix="archive-weights-") as folder:
        link = Path(folder, "weights.pt")
        link.symlink_to(weights)
        yield str(link)
