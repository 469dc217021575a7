"""The pair that comes with the archive: what lies in the wheel, and who uses it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from archive import parts
from archive.embedders.text_tower import OnnxTextTower
from archive.pairs import registry, shelf
from archive.pairs.shipped import shipped_folder
from archive.settings import PairChoice, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands

POCKET = shipped_folder("pocket")
MOST_BYTES = 20_000_000
MOST_TEXT_BYTES = 7_000_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "home", tmp_path / "weights")


def test_it_weighs_less_than_20_megabytes_and_holds_no_pickle() -> None:
    files = [path for path in POCKET.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
    assert {path.suffix for path in files} <= {".onnx", ".safetensors", ".json", ".md"}


def test_its_text_side_weighs_less_than_7_megabytes() -> None:
    from safetensors import safe_open

    with safe_open(POCKET / "open_clip_model.safetensors", "numpy") as weights:
        words = sum(weights.get_tensor(name).nbytes for name in weights.keys() if name.startswith("text."))  # noqa: SIM118
    assert words + (POCKET / "text.onnx").stat().st_size <= MOST_TEXT_BYTES


def test_its_text_side_is_what_its_description_says() -> None:
    OnnxTextTower(POCKET).verify()


def test_its_space_changes_with_any_of_its_files() -> None:
    described = json.loads((POCKET / "tower.json").read_text())
    parts = (
        "segmenter.onnx",
        "open_clip_model.safetensors",
        "image.onnx",
        "text.onnx",
        "tokenizer.json",
        "regions.safetensors",
    )
    digests = {name: hashlib.sha256((POCKET / name).read_bytes()).hexdigest() for name in parts}
    whole = hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
    assert described["space"] == f"pocket@{whole[:12]}"


def test_its_card_says_what_it_knows_and_what_it_does_not() -> None:
    card = (POCKET / "MODEL_CARD.md").read_text()
    for word in ("Licence", "does not know", "mAP", "left-out", "recall", "COCO"):
        assert word in card


def test_the_best_pair_is_the_built_in_one_until_another_is_on_disk(settings: Settings) -> None:
    assert shelf.best(settings.weights) == "pocket"
    standard = registry.find("standard")
    folder = settings.weights / "embedders" / standard.embedder.name
    for weights, place in [
        (standard.segmenter.weights, settings.weights / "segmenters"),
        (standard.embedder.files[0], folder),
    ]:
        assert weights is not None
        assert weights.size is not None
        place.mkdir(parents=True)
        with (place / weights.file).open("wb") as file:
            file.truncate(weights.size)
    assert shelf.best(settings.weights) == "pocket"
    (folder / "open_clip_config.json").write_text("{}")
    assert shelf.best(settings.weights) == "standard"


def test_a_first_ingest_is_told_what_a_larger_pair_would_bring_and_others_are_not(settings: Settings) -> None:
    told = parts.advice(settings, PairChoice())
    assert told is not None
    assert "archive models pull standard" in told
    assert "MB" in told
    assert "AGPL-3.0" in told
    assert parts.advice(settings, PairChoice(segmenter="grid")) is None
    settings.home.mkdir()
    settings.catalog.touch()
    assert parts.advice(settings, PairChoice()) is None


def test_auto_chooses_it_and_says_so(archive: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARCHIVE_SEGMENTER")
    monkeypatch.delenv("ARCHIVE_EMBEDDER")
    done = archive("models", "use", "auto")
    assert done.code == 0
    assert "chosen: pocket" in done.out


def test_the_list_shows_it_on_disk(archive: Commands) -> None:
    listed = {pair["name"]: pair for pair in archive("models", "list", "--json").object["pairs"]}
    assert listed["pocket"]["state"] == "on disk"
    assert all(len(file["sha256"]) == 64 for file in listed["pocket"]["files"])
