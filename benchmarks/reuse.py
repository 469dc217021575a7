"""`python -m benchmarks.reuse FOLDER`: how much of a real sequence an ingest reuses, and how far off that is.

The photos are taken in the order of their names. A reused vector is compared with the one that its box would get in its
own photo: their cosine is what reuse costs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np

from archive.photos.reading import decode
from archive.reuse import Reuse
from archive.types import Box
from benchmarks import spaces
from benchmarks.quality import scratch

if TYPE_CHECKING:
    from archive.types import Pixels
    from benchmarks.spaces import Space


class Seen(NamedTuple):
    """A photo as an ingest hands it over."""

    pixels: Pixels


def rates(space: Space, photos: list[Path]) -> dict[str, float]:
    """The shares of photos and vectors that were reused, and the cosines of all vectors with fresh ones."""
    reuse = Reuse()
    shown = (Seen(decode(photo.read_bytes()).pixels) for photo in photos)
    cosines = []
    for seen, pack in space.observer.observe_all(shown, 1, reuse):
        fresh = space.observer.embed(seen.pixels, [Box(*map(int, box)) for box in pack.boxes])
        cosines.append((fresh * pack.vectors).sum(axis=1))
    every = np.concatenate(cosines)
    return {
        "photos": len(photos),
        "repeated": reuse.photos / len(photos),
        "vectors_reused": reuse.rate,
        "mean_cosine": float(every.mean()),
        "least_cosine": float(every.min()),
    }


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--photos", "most", default=60, show_default=True, help="The first so many photos.")
def main(folder: Path, most: int) -> None:
    """Print as JSON the rates of each space whose weights are on disk."""
    photos = sorted(folder.iterdir())[:most]
    found = {space.name: rates(space, photos) for space in spaces.available(scratch(None) / "towers")}
    click.echo(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
