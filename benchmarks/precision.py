"""`python -m benchmarks.precision SET_DIR WEIGHTS [EMBEDDER]`: what eight bits cost, on labelled photos.

Of a detector, with its real weights, it tells the recall of boxes: one counts as found where a region of the cleaned-up
photo overlaps it by half (IoU). Of an embedder, a folder that open_clip opens or else the tests' own, it tells how near
the vectors of the same crops are to those of the network in float, and what becomes of the photos that words find.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

import click
import numpy as np

from archive.cleanup import CleanUp, clean
from archive.embedders.openclip import OpenClipEmbedder
from archive.embedders.pooling import overlaps
from archive.observation import Observer
from archive.photos.reading import decode
from archive.ranking import FRAME_SHARE
from archive.segmenters.yolo import UltralyticsSegmenter
from archive.types import Pack
from benchmarks import figures, labelled
from benchmarks.quality import scratch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archive.protocols import Embedder, Segmenter, TextEmbedder
    from archive.runtimes.kept import Precision
    from archive.types import Pixels
    from benchmarks.labelled import LabelledSet

PRECISIONS: tuple[Precision, ...] = ("exact", "int8")
FOUND_FROM = 0.5
SMALL = 32 * 32
"""Pixels below which COCO calls a thing small."""

PLACES = 10
"""Photos of an answer that are looked at."""


@dataclass(slots=True)
class Seen:
    """Photos through one embedder: their packs, and the seconds of a CPU that it took for them."""

    packs: list[Pack]
    seconds: float = 0.0


def found(segmenter: UltralyticsSegmenter, pixels: Pixels, truth: np.ndarray) -> np.ndarray:
    """Which of the boxes (n, 4) a region covers."""
    regions = clean(segmenter.segment(pixels), pixels.shape[1], pixels.shape[0], CleanUp())
    boxes = np.array([region.box for region in regions], np.float32)
    return np.array([overlaps(box, boxes).max() >= FOUND_FROM for box in truth], bool)


def detected(segmenter: UltralyticsSegmenter, chosen: LabelledSet) -> dict[str, float]:
    """The recall of a detector's boxes, and its seconds of a CPU for each photo."""
    segmenter.segment(np.zeros((segmenter.size, segmenter.size, 3), np.uint8))
    hits, areas, seconds = [], [], 0.0
    for photo in chosen.photos:
        truth = np.array([edges for _, edges in chosen.boxes.get(photo.name, [])], np.float32).reshape(-1, 4)
        pixels = decode(photo.read_bytes()).pixels
        began = process_time()
        hits.append(found(segmenter, pixels, truth))
        seconds += process_time() - began
        areas.append((truth[:, 2:] - truth[:, :2]).prod(axis=1))
    hit, area = np.concatenate(hits), np.concatenate(areas)
    return {
        "recall": float(hit.mean()),
        "recall_small": float(hit[area < SMALL].mean()),
        "seconds_per_photo": seconds / len(chosen.photos),
    }


def embedded(segmenter: Segmenter, embedders: Sequence[Embedder], chosen: LabelledSet) -> list[Seen]:
    """The photos of a set through each embedder, all of them with the boxes of one segmenter."""
    seen = [Seen([]) for _ in embedders]
    for number, photo in enumerate(chosen.photos, 1):
        pixels = decode(photo.read_bytes()).pixels
        regions = clean(segmenter.segment(pixels), pixels.shape[1], pixels.shape[0], CleanUp())
        boxes = np.array([region.box for region in regions], np.int32)
        for one, embedder in zip(seen, embedders, strict=True):
            began = process_time()
            rows = Observer(segmenter, embedder).embed(pixels, [region.box for region in regions])
            one.seconds += process_time() - began
            one.packs.append(Pack(number, boxes, np.ones(len(boxes), np.float32), rows))
    return seen


def ranked(seen: Seen, embedder: TextEmbedder, chosen: LabelledSet) -> dict[str, float]:
    """What the ranking of photos is worth."""
    queries = embedder.embed_text([query.text for query in chosen.queries])
    standing = figures.standing(seen.packs, queries, FRAME_SHARE)
    recalls = [
        figures.recall_at(query.relevant[np.argsort(-standing.fused[:, column], kind="stable")], PLACES)
        for column, query in enumerate(chosen.queries)
        if query.relevant.any()
    ]
    return {
        f"recall_at_{PLACES}": float(np.mean(recalls)),
        "mean_precision": figures.quality(standing, seen.packs, chosen).mean_precision,
        "seconds_per_photo": seen.seconds / len(chosen.photos),
    }


def likeness(exact: Seen, int8: Seen) -> dict[str, float]:
    """Cosines of the same crops' vectors."""
    pairs = zip(exact.packs, int8.packs, strict=True)
    cosines = np.concatenate([(one.vectors * other.vectors).sum(axis=1) for one, other in pairs])
    return {"crops": len(cosines), "mean": float(cosines.mean()), "least": float(cosines.min())}


def embedder_told(
    folder: Path, segmenter: UltralyticsSegmenter, cache: Path, chosen: LabelledSet
) -> dict[str, dict[str, float]]:
    """All that there is to tell of an embedder's two precisions."""
    embedders = [
        OpenClipEmbedder(folder, cache / "towers", graphs=cache / "graphs", precision=precision)
        for precision in PRECISIONS
    ]
    for embedder in embedders:
        embedder.embed_images([np.zeros((8, 8, 3), np.uint8)])  # the graphs are written now
    seen = embedded(segmenter, embedders, chosen)
    told: dict[str, dict[str, float]] = {"cosine": likeness(*seen)}
    for precision, one, embedder in zip(PRECISIONS, seen, embedders, strict=True):
        told[precision] = ranked(one, embedder, chosen)
    return told


@click.command()
@click.argument("folder", metavar="SET_DIR", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.argument("weights", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("embedder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--size", default=640, show_default=True, help="The longer side of the detector's view.")
@click.option("--every", default=4, show_default=True, help="Look at every so-manieth photo only.")
def main(folder: Path, weights: Path, embedder: Path | None, size: int, every: int) -> None:
    """Print as JSON what a YOLO checkpoint and an embedder are worth at both precisions, and their CPU seconds."""
    chosen, cache = labelled.read(folder, every), scratch(None)
    detectors = {
        precision: UltralyticsSegmenter(weights, size=size, graphs=cache / "graphs", precision=precision)
        for precision in PRECISIONS
    }
    told = {precision: detected(detector, chosen) for precision, detector in detectors.items()}
    own = embedder or _tests_own()
    click.echo(
        json.dumps({"detector": told, "embedder": embedder_told(own, detectors["exact"], cache, chosen)}, indent=1)
    )


def _tests_own() -> Path:
    from tests.real_pair import real_embedder_folder

    return real_embedder_folder()


if __name__ == "__main__":
    main()
