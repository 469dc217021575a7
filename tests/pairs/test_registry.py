from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from archive.errors import UsageError
from archive.pairs import checking, registry
from archive.pairs.registry import PAIRS, PairSpec, Weights

EACH_PAIR = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
FILES = [weights for pair in PAIRS.values() for weights in pair.files]
EACH_FILE = pytest.mark.parametrize("weights", FILES, ids=[weights.url for weights in FILES])


PULLED = [pair for pair in PAIRS.values() if not pair.shipped]
EACH_PULLED_PAIR = pytest.mark.parametrize("pair", PULLED, ids=[pair.name for pair in PULLED])


def test_the_recommended_comes_first_and_what_is_always_there_is_preferred_last() -> None:
    assert list(PAIRS) == ["standard", "large", "seed", "pocket", "pocket-close"]
    assert registry.PREFERRED[0] == "standard"
    assert PAIRS[registry.PREFERRED[-1]].shipped


def test_a_shipped_pair_has_nothing_to_fetch() -> None:
    shipped = [pair for pair in PAIRS.values() if pair.shipped]
    assert [pair.name for pair in shipped] == ["pocket", "pocket-close"]
    assert all(pair.files == () for pair in shipped)


@EACH_FILE
def test_a_file_comes_over_https_from_a_fixed_revision(weights: Weights) -> None:
    address = urlsplit(weights.url)
    assert address.scheme == "https"
    assert address.query == ""
    assert re.search(r"/resolve/[0-9a-f]{40}/|/releases/download/v[0-9.]+/", address.path)


@EACH_FILE
def test_a_file_has_a_licence_and_a_whole_digest_or_none(weights: Weights) -> None:
    assert weights.licence
    assert weights.sha256 is None or re.fullmatch("[0-9a-f]{64}", weights.sha256)
    assert weights.size is None or weights.size > 0


@EACH_FILE
def test_a_file_stays_in_its_folder(weights: Weights) -> None:
    assert checking.place(weights, Path("folder")).parent == Path("folder")


@EACH_PAIR
def test_the_files_of_a_pair_have_different_names(pair: PairSpec) -> None:
    assert len({weights.file for weights in pair.files}) == len(pair.files)


def test_a_name_stands_for_one_file_only() -> None:
    segmenters = {pair.segmenter.weights for pair in PAIRS.values() if pair.segmenter.weights}
    embedders = {pair.embedder for pair in PAIRS.values()}
    assert len({weights.file for weights in segmenters}) == len(segmenters)
    assert len({embedder.name for embedder in embedders}) == len(embedders)


@EACH_PULLED_PAIR
def test_an_embedder_is_safetensors_that_cannot_run_code(pair: PairSpec) -> None:
    assert all(weights.file.endswith((".safetensors", ".json", ".txt")) for weights in pair.embedder.files)
    assert any(weights.file == "open_clip_model.safetensors" for weights in pair.embedder.files)


@EACH_PULLED_PAIR
def test_an_architecture_is_one_of_open_clip_with_its_own_vocabulary(pair: PairSpec) -> None:
    package = find_spec("open_clip")
    assert package is not None
    assert package.origin is not None
    config = Path(package.origin).parent / "model_configs" / f"{pair.embedder.architecture}.json"
    assert "hf_tokenizer_name" not in json.loads(config.read_text())["text_cfg"]


def test_the_seed_is_the_published_notebook() -> None:
    seed = PAIRS["seed"]
    assert (seed.segmenter.size, seed.segmenter.confidence, seed.segmenter.overlap) == (384, 0.3, 0.9)
    assert seed.crop_context == 0


def test_an_unknown_pair_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="standard, large, seed, pocket, pocket-close"):
        registry.find("huge")
