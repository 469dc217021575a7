"""What wearing costs, in a table for README: `python -m benchmarks.costs [bench.json]`.

Reads what `make bench` wrote. What was not measured there is taken from the constants below; both are printed under the
table, so that anyone can put in his own. Sizes grow with photos, a warm answer by the codes that it looks through: of
what is everywhere it looks at no more than some thousand photos.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

PHOTOS_A_DAY = 5_000
"""One every ten seconds for fourteen hours."""
SEGMENTS = 20
ORIGINAL_BYTES = 353_000
"""A JPEG of 1600 x 1200 pixels at quality 80."""
INGEST_PER_S = 1.1
"""Photos a second with the built-in pair, where no benchmark says it: 222 photos on two cores that eight shared."""
CODES_MS = 5.7
"""To look through the codes of a million segments more, of one processor; a search of ten shards takes 57."""
SPANS = {"a day": 1, "a year": 365, "five years": 5 * 365}


def table(found: dict[str, Any]) -> list[str]:
    """The table and its constants, as lines of Markdown."""
    sizes = {int(segments): figures for segments, figures in found["benchmarks.answers"]["by_segments"].items()}
    largest = max(sizes)
    at = sizes[largest]
    per_s = found.get("benchmarks.ingest", {}).get("photos_per_s", INGEST_PER_S)
    stored = at["catalog_bytes_per_segment"] + at["index_bytes_per_segment"]
    lines = [
        "| | photos | segments | originals | catalog and index | of that, mapped | ingest | a warm answer |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for span, days in SPANS.items():
        photos = PHOTOS_A_DAY * days
        segments = photos * SEGMENTS
        near = max((size for size in sizes if size <= segments), default=largest)
        answer = sizes[near]["warm_cpu_ms"] + CODES_MS * (segments - near) / 1e6
        cells = (
            f"{photos:,}",
            f"{segments:,}",
            _bytes(photos * ORIGINAL_BYTES),
            _bytes(segments * stored),
            _bytes(segments * at["index_bytes_per_segment"]),
            f"{photos / per_s / 3600 / days:.1f} h a day",
            f"{answer:.0f} ms",
        )
        lines.append(f"| {span} | {' | '.join(cells)} |")
    taken = f"{PHOTOS_A_DAY:,} photos a day, {SEGMENTS} segments each, {ORIGINAL_BYTES / 1e3:.0f} kB a photo"
    sized = f"{at['catalog_bytes_per_segment']:.0f} bytes a segment in the catalog and "
    sized += f"{at['index_bytes_per_segment']:.0f} in the index"
    spent = f"{at['warm_cpu_ms']:.0f} ms of one processor for a warm answer, {at['server_mb']} MB for the server itself"
    lines.append("")
    lines.append(
        f"Taken for it: {taken}, {per_s:.2g} photos a second. Measured at {largest:,} segments: {sized}; {spent}."
    )
    lines.append(f"A million segments more are {CODES_MS:g} ms more for a warm answer.")
    return lines


def _bytes(count: float) -> str:
    return f"{count / 1e12:.1f} TB" if count >= 1e12 else f"{count / 1e9:.1f} GB"


def main() -> None:
    """Print the table."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("bench.json")
    if not path.exists():
        raise SystemExit(f"there is no {path}; run: make bench")
    for line in table(json.loads(path.read_bytes())):
        click.echo(line)


if __name__ == "__main__":
    main()
