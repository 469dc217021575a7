"""The seed notebook's method, photo by photo: `python -m benchmarks.baselines.seed SEGMENTS WEIGHTS PHOTO...`.

FastSAM-x by ultralytics with retina masks, the tight rectangle around each mask's outline, and each rectangle through
the stock preprocessing and the image tower of ViT-B-32, one at a time and with gradients on, as it is published at
https://github.com/xanderchinxyz/Semantic-Search-with-SAM (main.ipynb). It looks at 384 pixels there; `--size 1024` is
what finds things as small as the archive's pairs do. `--masked` blackens what lies outside of each mask first, on the
whole frame, as many who follow the notebook do.

The weights are random. Random scores mean nothing, so the SEGMENTS surest boxes are taken, whatever they score.
"""

from __future__ import annotations

import json
import resource
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import click
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive.types import Pixels

PUBLISHED_SIZE = 384
OVERLAP = 0.9
LEAST = 1e-9
"""Zero would stand for the library's own default."""


class Seed:
    """The notebook's two networks, loaded as it loads them; `segments` is how many boxes each photo has."""

    def __init__(self, weights: Path, segments: int, *, size: int, masked: bool) -> None:
        from benchmarks.baselines.weights import fastsam

        checkpoint = fastsam(weights, "x")
        import open_clip
        import torch
        from ultralytics import FastSAM

        torch.manual_seed(0)
        self._segmenter = FastSAM(str(checkpoint))
        self._tower, _, self._prepare = open_clip.create_model_and_transforms("ViT-B-32-quickgelu")
        self._tower.eval()
        self._settings = {"retina_masks": True, "imgsz": size, "conf": LEAST, "iou": OVERLAP, "max_det": segments}
        self._masked = masked

    def see(self, photo: Path) -> int:
        """Do everything that the notebook does before its query; returns how many crops were embedded."""
        from PIL import Image

        pixels = np.asarray(Image.open(photo).convert("RGB"))
        (found,) = self._segmenter(str(photo), device="cpu", verbose=False, **self._settings)
        rows = []
        for crop in self._crops(pixels, found):
            prepared = self._prepare(Image.fromarray(crop)).unsqueeze(0)
            rows.append(self._tower.encode_image(prepared).detach().numpy()[0])
        return len(rows)

    def _crops(self, pixels: Pixels, found: Any) -> Iterator[Pixels]:  # noqa: ANN401  (ultralytics has no types)
        """Random masks can be empty, or a speck: there the box stands in, so that each crop has a thing's size."""
        import cv2

        for row, box in enumerate(found.boxes.xyxy.numpy().round().astype(int)):
            outline = found.masks[row].xy[0]
            if len(outline):
                cv2.boundingRect(np.array(outline, np.int32))
            shown = pixels
            if self._masked:
                shown = pixels * found.masks.data[row].numpy().astype(np.uint8)[..., np.newaxis]
            left, top, right, bottom = box.clip(0, [*pixels.shape[1::-1]] * 2)
            yield shown[top : max(bottom, top + 1), left : max(right, left + 1)]


@click.command()
@click.argument("segments", type=int)
@click.argument("weights", type=click.Path(path_type=Path))
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--size", default=PUBLISHED_SIZE, show_default=True, help="The longer side of the detector's view.")
@click.option("--masked", is_flag=True, help="Blacken what lies outside of each mask, on the whole frame.")
def main(segments: int, weights: Path, photos: tuple[Path, ...], size: int, masked: bool) -> None:  # noqa: FBT001
    """Print as JSON what it takes, after a first photo that is not counted."""
    seed = Seed(weights, segments, size=size, masked=masked)
    seed.see(photos[0])
    began, busy = perf_counter(), process_time()
    crops = sum(seed.see(photo) for photo in photos)
    took = {"seconds": perf_counter() - began, "cpu_seconds": process_time() - busy}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    click.echo(json.dumps({"photos": len(photos), "crops": crops, **took, "peak_megabytes": memory}))


if __name__ == "__main__":
    main()
