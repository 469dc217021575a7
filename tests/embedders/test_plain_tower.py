"""Words in numpy are those of the graph in ONNX Runtime: the built-in pair's, and those of CLIP."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from archive import parts
from archive.embedders.byte_pairs import is_plain
from archive.embedders.export import export_text_tower
from archive.embedders.folder import OpenClipFolder, file_digest
from archive.embedders.openclip import load_towers
from archive.embedders.plain_tower import PlainTextTower, Weights, of_folder
from archive.embedders.text_tower import OnnxTextTower, tower_folder
from archive.errors import WeightsMissing, WeightsRejected
from archive.pairs import registry
from archive.pairs.shipped import shipped_folder
from archive.runtimes.kept import INT8
from archive.settings import Settings
from archive.types import Pair
from archive.verified import Verified
from tests.embedders.small_clip import SMALL_CLIP, WEIGHTS, random_towers
from tests.embedders.strings import PAIRED

if TYPE_CHECKING:
    from pathlib import Path

POCKET = shipped_folder("pocket")
TEXTS = ["red mug", "my keys", "", "Ünïcode & <things>", "a very long text about many things " * 20, "猫"]

ASKS_AND_LISTS_IMPORTS = """
import sys
from pathlib import Path
from archive.embedders.plain_tower import PlainTextTower
PlainTextTower(Path(sys.argv[1])).embed_text(["my keys"])
print("onnxruntime" in sys.modules)
"""


def test_its_rows_are_those_of_the_graph() -> None:
    rows = PlainTextTower(POCKET).embed_text(TEXTS)
    np.testing.assert_allclose(rows, OnnxTextTower(POCKET).embed_text(TEXTS), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_its_space_is_the_pairs() -> None:
    assert PlainTextTower(POCKET).space == OnnxTextTower(POCKET).space
    assert PlainTextTower(POCKET).embed_text([]).shape == (0, PlainTextTower(POCKET).dim)


def test_it_needs_no_onnx_runtime() -> None:
    command = [sys.executable, "-c", ASKS_AND_LISTS_IMPORTS, str(POCKET)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("name", ["open_clip_model.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(POCKET, tmp_path / "pocket")
    content = bytearray((folder / name).read_bytes())
    content[-20] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(WeightsRejected, match=name):
        PlainTextTower(folder).embed_text(["my keys"])


def test_without_a_tower_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        PlainTextTower(tmp_path)


def plain(folder: Path, towers: Path, home: Path) -> PlainTextTower | None:
    """The tower of an open_clip folder in numpy."""
    pair = OpenClipFolder(folder)
    weights = Weights(folder, file_digest(folder / WEIGHTS))
    return of_folder(weights, tower_folder(towers, pair.space), pair.space, Verified(home))


def exported(folder: Path, towers: Path) -> OnnxTextTower:
    """The tower of an open_clip folder as it is exported."""
    pair = OpenClipFolder(folder)
    place = tower_folder(towers, pair.space)
    if not place.exists():
        export_text_tower(pair, load_towers(pair), place)
    return OnnxTextTower(place)


def test_clips_words_are_cut_into_the_same_tokens_by_the_table(folder: Path, towers: Path, tmp_path: Path) -> None:
    tower = plain(folder, towers, tmp_path)
    assert tower is not None
    by_table = [text for text in PAIRED if is_plain(text.lower())]
    assert len(by_table) > 50
    for text in by_table:
        np.testing.assert_array_equal(tower._tokens(text), exported(folder, towers).tokens([text])[0], text)


def test_clips_rows_are_those_of_its_graph(folder: Path, towers: Path, tmp_path: Path) -> None:
    tower = plain(folder, towers, tmp_path)
    assert tower is not None
    np.testing.assert_allclose(tower.embed_text(TEXTS), exported(folder, towers).embed_text(TEXTS), atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"quick_gelu": True}, id="openai"),
        pytest.param({"custom_text": True}, id="perception", marks=pytest.mark.slow),
    ],
)
def test_so_are_those_of_the_other_pairs_of_the_registry(tmp_path: Path, settings: dict[str, Any]) -> None:
    folder = random_towers(tmp_path / "pair", SMALL_CLIP | settings)
    graph = exported(folder, tmp_path / "towers")
    tower = plain(folder, tmp_path / "towers", tmp_path)
    assert tower is not None
    np.testing.assert_allclose(tower.embed_text(TEXTS), graph.embed_text(TEXTS), atol=1e-5)


def test_a_query_of_clips_words_needs_no_vocabulary_nor_any_runtime(folder: Path, towers: Path, tmp_path: Path) -> None:
    pair = OpenClipFolder(folder)
    asks = f"""
import sys
from pathlib import Path
from archive.embedders.plain_tower import Weights, of_folder
from archive.verified import Verified
weights, space = Weights(Path({str(folder)!r}), {file_digest(folder / WEIGHTS)!r}), {pair.space!r}
tower = of_folder(weights, Path({str(tower_folder(towers, pair.space))!r}), space, Verified(Path({str(tmp_path)!r})))
tower.embed_text(["my keys"])
print({{"onnxruntime", "tokenizers", "torch"}} & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-c", asks], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_other_weights_or_another_kind_of_tower_run_as_they_were_exported(
    folder: Path, towers: Path, tmp_path: Path
) -> None:
    pair = OpenClipFolder(folder)
    tower, digest = tower_folder(towers, pair.space), file_digest(folder / WEIGHTS)
    verified = Verified(tmp_path)
    assert of_folder(Weights(folder, digest), tower, f"{pair.space}/{INT8}", verified) is not None
    assert of_folder(Weights(folder, "0" * 64), tower, pair.space, verified) is None
    assert of_folder(Weights(tmp_path / "gone", digest), tower, pair.space, verified) is None
    mobile = shutil.copytree(folder, tmp_path / "mobile")
    config = mobile / "open_clip_config.json"
    config.write_text(config.read_text().replace('"heads": 4', '"heads": 4, "no_causal_mask": true'))
    space = OpenClipFolder(mobile).space
    assert of_folder(Weights(mobile, digest), tower, space, verified) is None


def test_weights_that_changed_since_are_refused(folder: Path, towers: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "pair")
    content = bytearray((copy / WEIGHTS).read_bytes())
    content[-20] ^= 1
    (copy / WEIGHTS).write_bytes(content)
    pair = OpenClipFolder(folder)
    weights = Weights(copy, file_digest(folder / WEIGHTS))
    tower = of_folder(weights, tower_folder(towers, pair.space), pair.space, Verified(tmp_path))
    assert tower is not None
    with pytest.raises(WeightsRejected, match=WEIGHTS):
        tower.embed_text(["my keys"])


def test_the_words_of_a_pulled_pair_are_computed_so_for_as_long_as_its_weights_are_there(
    folder: Path, towers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = (registry.Weights(WEIGHTS, "", file_digest(folder / WEIGHTS), None, "MIT"),)
    standard = registry.PAIRS["standard"]
    small = standard._replace(name="small", embedder=standard.embedder._replace(name="tower", files=files))
    monkeypatch.setattr(registry, "PAIRS", {"small": small})
    settings = Settings(tmp_path / "home", tmp_path / "weights")
    pulled = shutil.copytree(folder, settings.weights / "embedders" / "tower")
    shutil.copytree(towers, settings.towers)
    pair = Pair("small", "grid", OpenClipFolder(folder).space, 48, "small", "small")
    assert isinstance(parts.words(pair, settings), PlainTextTower)
    shutil.rmtree(pulled)
    tower = parts.words(pair, settings)
    assert isinstance(tower, OnnxTextTower)
    np.testing.assert_allclose(tower.embed_text(["my keys"]), exported(folder, towers).embed_text(["my keys"]))
