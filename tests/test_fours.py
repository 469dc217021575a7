from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from click.testing import CliRunner
from PIL import Image

from benchmarks import fours, labelled

if TYPE_CHECKING:
    from pathlib import Path

SIZES = ((640, 480), (480, 960), (320, 240), (640, 480), (640, 480))
THING = (20, 10, 60, 40)
"""Left, top, width and height of the one thing in each photo."""


def photos_with_a_thing_each(folder: Path) -> Path:
    (folder / "images").mkdir(parents=True)
    boxes, queries = [], []
    for number, size in enumerate(SIZES):
        photo = Image.new("RGB", size, (0, 0, 0))
        photo.paste((255, 255, 255), (THING[0], THING[1], THING[0] + THING[2], THING[1] + THING[3]))
        photo.save(folder / "images" / f"{number}.png")
        boxes.append({"file": f"{number}.png", "label": f"thing {number}", **dict(zip("xywh", THING, strict=True))})
        query = {"query": f"my thing {number}", "label": f"thing {number}", "relevant": [f"{number}.png"]}
        queries.append({**query, "absent": False})
    queries.append({"query": "a giraffe", "label": "giraffe", "relevant": [], "absent": True})
    (folder / "annotations.json").write_text(json.dumps({"boxes": boxes}))
    (folder / "queries.json").write_text(json.dumps(queries))
    return folder


def test_four_photos_become_one_and_things_stay_where_they_were(tmp_path: Path) -> None:
    into = tmp_path / "into"
    done = CliRunner().invoke(fours.main, [str(photos_with_a_thing_each(tmp_path / "set")), str(into)])
    assert done.exit_code == 0, done.output
    made = labelled.read(into)
    assert [photo.name for photo in made.photos] == ["000000.jpg"]
    assert [query.text for query in made.queries] == [*(f"my thing {number}" for number in range(4)), "a giraffe"]
    assert made.present().tolist() == [True] * 4 + [False]
    with Image.open(made.photos[0]) as large:
        assert large.size == (2 * fours.ACROSS, 2 * fours.DOWN)
        pixels = np.asarray(large.convert("L"))
    for number in range(4):
        (left, top, right, bottom) = made.truth(0, f"thing {number}")[0].round().astype(int)
        assert pixels[top + 2 : bottom - 2, left + 2 : right - 2].min() > 200
        assert pixels[top + 2 : bottom - 2, right + 4].max() < 60
    assert made.truth(0, "thing 1")[0, 2] - made.truth(0, "thing 1")[0, 0] == THING[2] / 2, "it was too tall"
