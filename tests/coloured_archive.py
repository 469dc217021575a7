"""The real command line over the world of coloured squares: `python -m tests.coloured_archive ingest ...`.

Only the two parts that would need weights are fakes; catalog, originals, shards and commands are the product's.
"""

from __future__ import annotations

import os

from archive import parts, settings
from archive.cli import main
from tests.fakes import ColourEmbedder, ColourSegmenter, TurnedEmbedder

SEAL_AT_VARIABLE = "COLOURED_SEAL_AT"


def install() -> None:
    """Make `--segmenter colours --embedder colours` the parts of a first ingest; `turned` is another embedder."""
    parts.SEGMENTERS["colours"] = ColourSegmenter
    parts.EMBEDDERS["colours"] = ColourEmbedder
    parts.EMBEDDERS["turned"] = TurnedEmbedder
    os.environ.setdefault("ARCHIVE_SEGMENTER", "colours")
    os.environ.setdefault("ARCHIVE_EMBEDDER", "colours")
    if seal_at := os.environ.get(SEAL_AT_VARIABLE):
        settings.SEAL_AT = int(seal_at)


if __name__ == "__main__":
    install()
    main()
