"""A newcomer's first minutes: the built-in pair over photographs that come inside an installed package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = ("torch", "ultralytics", "open_clip", "torchvision")
PHOTOGRAPHS = ("chelsea.png", "coffee.png", "motorcycle_left.png", "brick.png", "grass.png", "coins.png")
TELL = f"""
import sys
from archive import cli
code = cli.run(sys.argv[1:])
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the photographs, made without a word about models."""
    gallery = Path(pytest.importorskip("skimage").__file__).parent / "data"
    place = tmp_path_factory.mktemp("newcomer")
    done = run(place / "home", "ingest", *(str(gallery / name) for name in PHOTOGRAPHS), "--json")
    assert json.loads(done.stdout)["new"] == len(PHOTOGRAPHS), done.stderr
    assert done.stderr.endswith("[]\n"), "an ingest with the built-in pair needs no torch"
    return place / "home"


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ARCHIVE_")}
    environment = {**kept, "ARCHIVE_HOME": str(home), "ARCHIVE_WEIGHTS": str(home.parent / "weights")}
    command = [sys.executable, "-c", TELL, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def ask(home: Path, *words: str) -> dict[str, Any]:
    done = run(home, "query", *words, "--json")
    assert done.stderr.endswith("[]\n"), "a query needs no torch"
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("a cat", "chelsea.png"),
        ("where is my kitten", "chelsea.png"),
        ("coffee mug", "coffee.png"),
        ("motorbike", "motorcycle_left.png"),
    ],
)
def test_what_is_there_is_found_and_boxed(home: Path, words: str, name: str) -> None:
    answer = ask(home, words)
    assert answer["verdict"] in {"seen", "maybe"}
    assert answer["hits"][0]["photo"]["name"] == name
    assert answer["hits"][0]["boxes"]
    assert answer["searched"]["pair"] == "pocket"


@pytest.mark.parametrize("words", ["giraffe", "my umbrella", "pizza", "zxqv blorp", "aeroplane"])
def test_what_is_not_there_is_not_seen(home: Path, words: str) -> None:
    assert ask(home, words)["verdict"] == "not_seen"


def test_status_names_the_pair(home: Path) -> None:
    assert "pocket" in run(home, "status").stdout
