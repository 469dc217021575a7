"""`python -m benchmarks.precision SET_DIR`: what eight bits cost a detector, on labelled photos with real weights.

A box counts as found where a region of the cleaned-up photo overlaps it by half (IoU).
"""

from __future__ import annotations

import json
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

import click
import numpy as np

from archive.cleanup import CleanUp, clean
from archive.embedders.pooling import overlaps
from archive.photos.reading import decode
from archive.segmenters.yolo import UltralyticsSegmenter
from benchmarks import labelled
from benchmarks.quality import scratch

if TYPE_CHECKING:
    from archive.runtimes.kept import Precision
    from archive.types import Pixels

FOUND_FROM = 0.5
SMALL = 32 * 32
"""Pixels below which COCO calls a thing small."""


def found(segmenter: UltralyticsSegmenter, pixels: Pixels, truth: np.ndarray) -> np.ndarray:
    """Which of the boxes (n, 4) a region covers."""
    regions = clean(segmenter.segment(pixels), pixels.shape[1], pixels.shape[0], CleanUp())
    boxes = np.array([region.box for region in regions], np.float32)
    return np.array([overlaps(box, boxes).max() >= FOUND_FROM for box in truth], bool)


@click.command()
@click.argument("folder", metavar="SET_DIR", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.argument("weights", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--size", default=640, show_default=True, help="The longer side of the detector's view.")
@click.option("--every", default=4, show_default=True, help="Look at every so-manieth photo only.")
def main(folder: Path, weights: Path, size: int, every: int) -> None:
    """Print as JSON the recall of a YOLO checkpoint's boxes at both precisions, and its CPU seconds for each photo."""
    chosen = labelled.read(folder, every)
    told = {}
    precisions: tuple[Precision, ...] = ("exact", "int8")
    for precision in precisions:
        cache = scratch(None) / "graphs"
        segmenter = UltralyticsSegmenter(weights, size=size, graphs=cache, precision=precision)
        segmenter.segment(np.zeros((size, size, 3), np.uint8))
        hits, areas, seconds = [], [], 0.0
        for photo in chosen.photos:
            truth = np.array([edges for _, edges in chosen.boxes.get(photo.name, [])], np.float32).reshape(-1, 4)
            pixels = decode(photo.read_bytes()).pixels
            began = process_time()
            hits.append(found(segmenter, pixels, truth))
            seconds += process_time() - began
            areas.append((truth[:, 2:] - truth[:, :2]).prod(axis=1))
        hit, area = np.concatenate(hits), np.concatenate(areas)
        told[precision] = {
            "recall": float(hit.mean()),
            "recall_small": float(hit[area < SMALL].mean()),
            "seconds_per_photo": seconds / len(chosen.photos),
        }
    click.echo(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
