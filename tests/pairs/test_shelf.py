from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from archive.errors import DownloadFailed, UsageError, WeightsMissing, WeightsRejected
from archive.pairs import registry, shelf
from archive.pairs.registry import PAIRS, SegmenterSpec, Weights
from archive.pairs.shelf import State
from tests.pairs.source import Source, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archive.pairs.download import Progress


@pytest.fixture
def segmenter() -> Iterator[Source]:
    with serving(b"s" * 5000, "FastSAM-t.pt") as source:
        yield source


@pytest.fixture(autouse=True)
def tiny(source: Source, segmenter: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry of one pair, whose files this machine serves, and one without a segmenter's weights."""
    embedder = PAIRS["standard"].embedder._replace(
        name="tower",
        files=(Weights("open_clip_model.safetensors", source.url, source.sha256, 100_000, "MIT"),),
    )
    weights = Weights("FastSAM-t.pt", segmenter.url, segmenter.sha256, 5000, "AGPL-3.0")
    pair = PAIRS["standard"]._replace(
        name="tiny",
        segmenter=SegmenterSpec("FastSAM-t", "yolo", weights, size=640, confidence=0.25, overlap=0.7),
        embedder=embedder,
    )
    gridded = pair._replace(name="gridded", segmenter=SegmenterSpec("grid", "grid", None, 0, 0.0, 1.0))
    monkeypatch.setattr(registry, "PAIRS", {"tiny": pair, "gridded": gridded})


def test_a_pulled_pair_can_be_loaded(tmp_path: Path) -> None:
    shelf.pull("tiny", tmp_path)
    segmenter, embedder = shelf.paths("tiny", tmp_path)
    assert segmenter == tmp_path / "segmenters" / "FastSAM-t.pt"
    assert embedder == tmp_path / "embedders" / "tower"
    assert (embedder / "open_clip_model.safetensors").stat().st_size == 100_000


def test_the_config_is_what_open_clip_reads(tmp_path: Path) -> None:
    shelf.pull("tiny", tmp_path)
    config = json.loads((tmp_path / "embedders" / "tower" / "open_clip_config.json").read_text())
    assert config["model_cfg"]["vision_cfg"]["image_size"] == 256
    assert config["preprocess_cfg"]["mean"] == [0.48145466, 0.4578275, 0.40821073]
    assert config["preprocess_cfg"]["resize_mode"] == "shortest"


def test_a_pair_without_a_segmenters_weights_has_no_path_for_them(tmp_path: Path) -> None:
    shelf.pull("gridded", tmp_path)
    assert shelf.paths("gridded", tmp_path) == (None, tmp_path / "embedders" / "tower")


def test_each_file_has_a_progress_of_its_own(tmp_path: Path) -> None:
    seen: dict[str, int] = {}

    def progress(weights: Weights) -> Progress:
        return lambda here, _total: seen.update({weights.file: here})

    shelf.pull("tiny", tmp_path, progress=progress)
    assert seen == {"FastSAM-t.pt": 5000, "open_clip_model.safetensors": 100_000}


def test_pairs_share_their_parts(tmp_path: Path, source: Source) -> None:
    shelf.pull("tiny", tmp_path)
    shelf.pull("gridded", tmp_path)
    assert len(source.asked) == 1


def test_the_list_says_what_is_on_disk(tmp_path: Path, source: Source) -> None:
    assert [row.state for row in shelf.listing(tmp_path)] == [State.MISSING, State.MISSING]
    source.cut_after = 50_000
    with pytest.raises(DownloadFailed):
        shelf.pull("tiny", tmp_path)
    assert [row.state for row in shelf.listing(tmp_path)] == [State.PARTIAL, State.PARTIAL]
    source.cut_after = None
    shelf.pull("tiny", tmp_path)
    assert [row.state for row in shelf.listing(tmp_path)] == [State.ON_DISK, State.ON_DISK]


def test_the_list_says_what_a_pair_is(tmp_path: Path, source: Source) -> None:
    row, _ = shelf.listing(tmp_path)
    assert (row.name, row.segmenter, row.embedder) == ("tiny", "FastSAM-t", "tower")
    assert row.licences == ("AGPL-3.0", "MIT")
    assert row.size == 105_000
    assert row.pinned
    assert [file.sha256 for file in row.files][1] == source.sha256
    assert source.asked == []


def test_a_pair_of_unknown_size_and_digest_says_so(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = registry.PAIRS["tiny"]
    files = (pair.embedder.files[0]._replace(sha256=None, size=None),)
    pair = pair._replace(embedder=pair.embedder._replace(files=files))
    monkeypatch.setattr(registry, "PAIRS", {"tiny": pair})
    (row,) = shelf.listing(tmp_path)
    assert (row.size, row.pinned) == (None, False)
    with pytest.raises(WeightsRejected, match="`archive models pull tiny --trust-on-first-use`"):
        shelf.pull("tiny", tmp_path)
    assert source.asked == []
    shelf.pull("tiny", tmp_path, trust_on_first_use=True)
    assert shelf.listing(tmp_path)[0].size == 105_000
    shelf.paths("tiny", tmp_path)


def test_a_missing_pair_names_the_command_that_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="`archive models pull tiny`"):
        shelf.paths("tiny", tmp_path)


def test_a_missing_config_names_the_command_that_writes_it(tmp_path: Path) -> None:
    shelf.pull("tiny", tmp_path)
    config = tmp_path / "embedders" / "tower" / "open_clip_config.json"
    config.unlink()
    assert shelf.listing(tmp_path)[0].state == State.PARTIAL
    with pytest.raises(WeightsMissing, match="`archive models pull tiny`"):
        shelf.paths("tiny", tmp_path)
    shelf.pull("tiny", tmp_path)
    assert config.is_file()


def test_a_damaged_part_is_refused(tmp_path: Path) -> None:
    shelf.pull("tiny", tmp_path)
    (tmp_path / "segmenters" / "FastSAM-t.pt").write_bytes(b"x" * 5000)
    with pytest.raises(WeightsRejected, match=r"FastSAM-t\.pt"):
        shelf.paths("tiny", tmp_path)


@pytest.mark.parametrize("ask", [shelf.pull, shelf.paths])
def test_an_unknown_pair_names_the_known_ones(tmp_path: Path, ask: object) -> None:
    assert callable(ask)
    with pytest.raises(UsageError, match="tiny, gridded"):
        ask("huge", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_open_clip_builds_a_tower_of_the_size_of_its_weights(tmp_path: Path, name: str) -> None:
    import open_clip
    import torch

    embedder = PAIRS[name].embedder
    (tmp_path / "open_clip_config.json").write_text(json.dumps(shelf._config(embedder)))
    with torch.device("meta"):  # shapes without the gigabytes
        tower, _, preprocess = open_clip.create_model_and_transforms(
            f"local-dir:{tmp_path}", load_weights=False, device="meta"
        )
    tensors = sum(4 * tensor.numel() for tensor in tower.state_dict().values())
    size = embedder.files[0].size
    assert size is None or 0 < size - tensors < 100_000  # the header of a safetensors file
    assert tuple(preprocess.transforms[-1].mean) == embedder.preprocessing.mean


def test_where_the_words_of_a_pair_come_from_is_known_without_reading_them(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shelf.text_weights("tiny", tmp_path) == (tmp_path / "embedders" / "tower", source.sha256)
    assert shelf.text_weights("/my/own/folder", tmp_path) is None
    unpinned = registry.PAIRS["tiny"].embedder.files[0]._replace(sha256=None)
    pair = registry.PAIRS["tiny"]._replace(embedder=registry.PAIRS["tiny"].embedder._replace(files=(unpinned,)))
    monkeypatch.setattr(registry, "PAIRS", {"tiny": pair})
    assert shelf.text_weights("tiny", tmp_path) is None
