"""The built-in pair's words in numpy are those of its graph in ONNX Runtime."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive.embedders.plain_tower import PlainTextTower
from archive.embedders.text_tower import OnnxTextTower
from archive.errors import WeightsMissing, WeightsRejected
from archive.pairs.shelf import shipped_folder

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
