"""The real command line on real photos with real weights, as a person would use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.paths import CHECKOUT, shared
from tests.real_pair import real_embedder_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = [pytest.mark.real_weights, pytest.mark.timeout(900)]

HEAVY = {"torch", "torchvision", "open_clip", "ultralytics", "transformers", "sqlalchemy", "alembic"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An archive of its own, with real weights as its pair."""
    return {
        **os.environ,
        "ARCHIVE_HOME": str(tmp_path_factory.mktemp("real") / "home"),
        "ARCHIVE_SEGMENTER": str(shared("models", "yolov8n-seg.pt")),
        "ARCHIVE_EMBEDDER": str(real_embedder_folder()),
    }


def archive(environment: Mapping[str, str], *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "archive", *map(str, words)]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


def everyday(count: int, label: str, absent: str) -> list[Path]:
    """Everyday photos, half of them with the one thing, none with the other."""
    folder = shared("eval", "everyday")
    boxes = json.loads((folder / "annotations.json").read_text())["boxes"]
    labels: dict[str, set[str]] = {}
    for box in boxes:
        labels.setdefault(box["file"], set()).add(box["label"])
    without = [name for name, found in sorted(labels.items()) if label not in found and absent not in found]
    having = [name for name, found in sorted(labels.items()) if label in found]
    return [folder / "images" / name for name in (*having[: count // 2], *without[: count - count // 2])]


@pytest.fixture(scope="module")
def filled(environment: dict[str, str]) -> dict[str, str]:
    """Twelve everyday photos, six of them with a laptop, ingested by the real command."""
    photos = everyday(12, "laptop", "airplane")
    done = archive(environment, "ingest", *photos)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("12 new"), done.stdout
    return environment


def test_a_laptop_is_found_where_it_is(filled: dict[str, str]) -> None:
    answer = ask(filled, "laptop", "--limit", 12, "--all")
    truth = {path.name for path in everyday(12, "laptop", "airplane")[:6]}
    first_three = [hit["photo"]["name"] for hit in answer["hits"][:3]]
    assert truth >= set(first_three)


def test_every_box_lies_inside_its_photo(filled: dict[str, str]) -> None:
    for hit in ask(filled, "cup", "--all", "--limit", 12)["hits"]:
        for box in hit["boxes"]:
            assert 0 <= box["left"] < box["right"] <= hit["photo"]["width"]
            assert 0 <= box["top"] < box["bottom"] <= hit["photo"]["height"]


def test_a_query_with_a_real_text_tower_loads_neither_torch_nor_open_clip(filled: dict[str, str]) -> None:
    code = (
        "import sys\nfrom archive.cli import run\nrun(['query', 'a clock nobody asked for', '--json'])\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, env=filled, capture_output=True, text=True, check=True
    )
    assert "onnxruntime" in done.stderr.split()
    assert HEAVY & set(done.stderr.split()) == set()


def test_a_second_ingest_of_the_same_photos_does_nothing(filled: dict[str, str]) -> None:
    done = archive(filled, "ingest", *everyday(12, "laptop", "airplane"))
    assert done.stdout.startswith("0 new, 12 known")


def test_the_archive_is_whole(filled: dict[str, str]) -> None:
    done = archive(filled, "check", "--data")
    assert done.returncode == 0, done.stdout


def test_weights_that_changed_are_noticed(filled: dict[str, str], tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    other.write_bytes(Path(filled["ARCHIVE_SEGMENTER"]).read_bytes() + b"\0")
    done = archive({**filled, "ARCHIVE_SEGMENTER": str(other)}, "ingest", *everyday(2, "laptop", "airplane"))
    assert done.returncode == 2
    assert "archive models use" in done.stderr


def ask(environment: Mapping[str, str], *words: object) -> dict[str, Any]:
    done = archive(environment, "query", *words, "--json")
    assert done.returncode in {0, 1}, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
