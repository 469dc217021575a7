"""`python -m benchmarks.fours SET_DIR INTO`: a labelled set of photos nearly as large as a camera takes them.

The photos that are labelled have some 640 pixels, in which what is small is hardly there at all. A camera takes 1,600,
and what lies on a table across the room is small in another way: sharp, but gone once the photo is made smaller. So
four photos are put together into one of twice the sides; things keep their pixels and are half as large in it. The new
set goes where one goes: into the scorer, `benchmarks.quality` and `benchmarks.calibration`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np
from PIL import Image

from archive.embedders.pooled import NEUTRAL
from benchmarks import labelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.labelled import Floats, LabelledSet

TOGETHER = 4
ACROSS, DOWN = 640, 480
"""Pixels of a quarter; a photo that does not fit is made smaller, and what is left over is grey."""


class Placed(NamedTuple):
    """A photo in a larger one: its pixels are multiplied by `scale`, then moved by `left` and `top`."""

    scale: float
    left: int
    top: int

    def edges(self, before: Floats) -> Floats:
        """Where edges (4,) of the photo lie in the larger one."""
        moved: Floats = before * np.float32(self.scale) + np.array([self.left, self.top] * 2, np.float32)
        return moved


@click.command(epilog="\b\nExample:\n  python -m benchmarks.fours ../shared/eval/everyday /tmp/fours")
@click.argument("folder", metavar="SET_DIR", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.argument("into", metavar="INTO", type=click.Path(path_type=Path, file_okay=False))
def main(folder: Path, into: Path) -> None:
    """Put the photos of a labelled set together by fours; a last few that are fewer are left out."""
    chosen = labelled.read(folder)
    (into / "images").mkdir(parents=True)
    starts = range(0, len(chosen.photos) - TOGETHER + 1, TOGETHER)
    groups = [range(start, start + TOGETHER) for start in starts]
    boxes = []
    for number, group in enumerate(groups):
        large, places = together([chosen.photos[photo] for photo in group])
        large.save(into / "images" / file_name(number), quality=95)
        boxes += [box for photo, at in zip(group, places, strict=True) for box in _boxes(chosen, photo, at, number)]
    (into / "annotations.json").write_text(json.dumps({"boxes": boxes}))
    (into / "queries.json").write_text(json.dumps(_queries(chosen, groups)))
    click.echo(f"{len(groups)} photos with {len(boxes)} labelled things are in {into}")


def file_name(number: int) -> str:
    """What a photo of the new set is called."""
    return f"{number:06}.jpg"


def together(photos: Sequence[Path]) -> tuple[Image.Image, list[Placed]]:
    """Four photos as one, and where each of them lies in it."""
    large = Image.new("RGB", (2 * ACROSS, 2 * DOWN), NEUTRAL)
    places = []
    for quarter, path in enumerate(photos):
        with Image.open(path) as opened:
            photo = opened.convert("RGB")
        scale = min(ACROSS / photo.width, DOWN / photo.height, 1.0)
        at = Placed(scale, quarter % 2 * ACROSS, quarter // 2 * DOWN)
        large.paste(photo.resize((round(photo.width * scale), round(photo.height * scale))), (at.left, at.top))
        places.append(at)
    return large, places


def _boxes(chosen: LabelledSet, photo: int, at: Placed, number: int) -> list[dict[str, object]]:
    found = []
    for label, before in chosen.boxes.get(chosen.photos[photo].name, []):
        left, top, right, bottom = at.edges(before).tolist()
        box = {"x": left, "y": top, "w": right - left, "h": bottom - top}
        found.append({"file": file_name(number), "label": label, **box})
    return found


def _queries(chosen: LabelledSet, groups: Sequence[Sequence[int]]) -> list[dict[str, object]]:
    """The queries of which as much is there as before: what only the photos show that are left out is not asked for."""
    asked: list[dict[str, object]] = []
    for query in chosen.queries:
        relevant = [file_name(number) for number, group in enumerate(groups) if query.relevant[list(group)].any()]
        if relevant or not query.relevant.any():
            asked.append({"query": query.text, "label": query.label, "relevant": relevant, "absent": not relevant})
    return asked


if __name__ == "__main__":
    main()
