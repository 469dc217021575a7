from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive.embedders.text_tower import FILES, OnnxTextTower
from archive.errors import WeightsMissing, WeightsRejected

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("torch", "torchvision", "open_clip", "transformers", "timm", "ftfy", "PIL")


@pytest.fixture
def exported(towers: Path) -> Path:
    (folder,) = towers.iterdir()
    return folder


@pytest.fixture
def tower(exported: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(exported, tmp_path / "tower")


def test_it_knows_its_space_without_reading_its_weights(tower: Path) -> None:
    (tower / "text.onnx").unlink()
    described = json.loads((tower / "tower.json").read_text())
    assert OnnxTextTower(tower).space == described["space"]
    assert OnnxTextTower(tower).dim == 48


def test_many_texts_get_the_rows_of_each_alone(exported: Path) -> None:
    texts = [f"thing number {number}" for number in range(70)]
    tower = OnnxTextTower(exported)
    rows = tower.embed_text(texts)
    assert rows.shape == (70, 48)
    np.testing.assert_allclose(rows[69:], tower.embed_text(texts[69:]), atol=1e-5)


def test_a_text_is_cut_where_the_context_ends(exported: Path) -> None:
    tower = OnnxTextTower(exported)
    words = " ".join(f"w{number}" for number in range(100))
    np.testing.assert_array_equal(tower.embed_text([words]), tower.embed_text([words + " and more"]))


def test_a_missing_tower_names_the_command_that_exports_it(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="archive models use"):
        OnnxTextTower(tmp_path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["flipped", "gone"])
def test_a_damaged_file_is_never_loaded(tower: Path, name: str, damage: str) -> None:
    if damage == "gone":
        (tower / name).unlink()
    else:
        content = bytearray((tower / name).read_bytes())
        content[len(content) // 2] ^= 1
        (tower / name).write_bytes(content)
    with pytest.raises(WeightsRejected, match="archive models use"):
        OnnxTextTower(tower).embed_text(["my keys"])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"space": 1}', "null"])
def test_a_damaged_description_is_refused(tower: Path, content: str) -> None:
    (tower / "tower.json").write_text(content)
    with pytest.raises(WeightsRejected, match="archive models use"):
        OnnxTextTower(tower)


def test_a_tower_of_a_newer_version_is_refused(tower: Path) -> None:
    described = json.loads((tower / "tower.json").read_text())
    (tower / "tower.json").write_text(json.dumps(described | {"format": 2}))
    with pytest.raises(WeightsRejected, match="another version"):
        OnnxTextTower(tower)


def test_words_need_neither_torch_nor_open_clip(exported: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from archive.embedders.text_tower import OnnxTextTower; "
        "print(OnnxTextTower(Path(sys.argv[1])).embed_text(['my keys']).shape); "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(exported)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "(1, 48)\n[]\n"
    assert done.stderr == ""
