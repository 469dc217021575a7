"""Mine ranks first: two things of one class on one real desk, told apart by what was taught, with real weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.paths import CHECKOUT, shared
from tests.real_pair import real_embedder_folder

pytestmark = [pytest.mark.real_weights, pytest.mark.timeout(900)]

Edges = tuple[float, float, float, float]
PAIRS = [
    ("silver monitor", "black monitor"),
    ("black monitor", "silver monitor"),
    ("computer vision book", "thick blue book"),
]


def labels() -> dict[str, dict[str, Edges]]:
    """The boxes of the desk's sharp frames that show nearly all of a thing, by file and label."""
    notes = json.loads((shared("eval", "desk-sequence") / "annotations.json").read_text())
    sharp = {image["file"] for image in notes["images"] if image["sharpness"] > 120}
    found: dict[str, dict[str, Edges]] = {}
    for one in notes["boxes"]:
        if one["file"] in sharp and one["visible_fraction"] > 0.7:
            edges = (one["x"], one["y"], one["x"] + one["w"], one["y"] + one["h"])
            found.setdefault(one["file"], {})[one["label"]] = edges
    return found


def frames(label: str) -> list[str]:
    """Seven frames that show a thing, spread over the sequence."""
    having = sorted(name for name, shown in labels().items() if label in shown)
    return having[:: max(1, len(having) // 7)][:7]


def teachers(label: str) -> list[str]:
    """Three of them, which are taught from and not ingested."""
    return frames(label)[::3]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An archive of some frames of each thing, without those that are taught from."""
    environment = {
        **os.environ,
        "ARCHIVE_HOME": str(tmp_path_factory.mktemp("desk") / "home"),
        "ARCHIVE_SEGMENTER": str(shared("models", "yolov8n-seg.pt")),
        "ARCHIVE_EMBEDDER": str(real_embedder_folder()),
    }
    things = {thing for pair in PAIRS for thing in pair}
    shown = {name for thing in things for name in frames(thing)} - {
        name for thing in things for name in teachers(thing)
    }
    folder = shared("eval", "desk-sequence", "images")
    done = archive(environment, "ingest", *(folder / name for name in sorted(shown)))
    assert done.returncode == 0, done.stderr
    return environment


def archive(environment: dict[str, str], *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "archive", *map(str, words)]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


def overlap(box: dict[str, Any], edges: Edges | None) -> float:
    """Intersection over union."""
    if edges is None:
        return 0.0
    one = (box["left"], box["top"], box["right"], box["bottom"])
    across = min(one[2], edges[2]) - max(one[0], edges[0])
    down = min(one[3], edges[3]) - max(one[1], edges[1])
    if across <= 0 or down <= 0:
        return 0.0
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in (one, edges)]
    return float(across * down / (sum(areas) - across * down))


@pytest.mark.parametrize(("mine", "other"), PAIRS)
def test_mine_ranks_before_another_of_its_kind(environment: dict[str, str], mine: str, other: str) -> None:
    kind = f"my {mine.split()[-1]}"
    folder = shared("eval", "desk-sequence", "images")
    lessons = [
        f"{folder / name}@{','.join(str(round(edge)) for edge in labels()[name][mine])}" for name in teachers(mine)
    ]
    assert archive(environment, "teach", kind, *lessons).returncode == 0
    answer = json.loads(archive(environment, "query", kind, "--all", "--json", "--limit", 100).stdout)
    assert archive(environment, "teach", "remove", kind).returncode == 0
    assert answer["taught"] == [{"name": kind, "pictures": 3, "waiting": 0}]
    assert answer["verdict"] in {"seen", "maybe"}
    assert rank(answer, mine) < rank(answer, other)


def rank(answer: dict[str, Any], label: str) -> int:
    """The first rank whose best box is on that thing; one beyond the last where none is."""
    for hit in answer["hits"]:
        if overlap(hit["boxes"][0], labels()[hit["photo"]["name"]].get(label)) > 0.5:
            return int(hit["rank"])
    return len(answer["hits"]) + 1
