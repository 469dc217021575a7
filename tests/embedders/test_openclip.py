from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from archive.embedders.export import export_text_tower
from archive.embedders.folder import OpenClipFolder
from archive.embedders.openclip import OpenClipEmbedder, load_towers
from archive.embedders.text_tower import OnnxTextTower, tower_folder
from archive.errors import ArchiveError, WeightsMissing, WeightsRejected
from tests.contracts.embedder import EmbedderContract, coloured_crops
from tests.embedders.small_clip import SMALL_CLIP, WEIGHTS, random_towers, small_clip, write_config
from tests.embedders.strings import TEXTS

if TYPE_CHECKING:
    from pathlib import Path

    from archive.types import Vectors

PARITY = 1e-5
"""Rounding of one runtime against the other; the promise is 1e-3."""


@pytest.fixture(scope="module")
def embedder(folder: Path, towers: Path) -> OpenClipEmbedder:
    return OpenClipEmbedder(folder, towers)


class TestContract(EmbedderContract):
    @pytest.fixture
    def embedder(self, embedder: OpenClipEmbedder) -> OpenClipEmbedder:
        return embedder


def open_clip_text(folder: Path, texts: tuple[str, ...]) -> Vectors:
    """What open_clip itself makes of the texts, with its own loader and tokenizer."""
    import open_clip
    import torch

    towers, _ = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    with torch.inference_mode():
        rows: Vectors = towers.eval().encode_text(open_clip.get_tokenizer(f"local-dir:{folder}")(texts), True).numpy()
    return rows


def test_words_get_the_vectors_that_open_clip_gives_them(folder: Path, embedder: OpenClipEmbedder) -> None:
    np.testing.assert_allclose(embedder.embed_text(TEXTS), open_clip_text(folder, TEXTS), atol=PARITY)


def test_a_query_does_not_pay_for_padding(embedder: OpenClipEmbedder) -> None:
    assert embedder._text_tower.tokens(["my keys"]).shape == (1, 4)


def test_crops_get_the_vectors_that_open_clip_gives_them(folder: Path, embedder: OpenClipEmbedder) -> None:
    import open_clip
    import torch

    crops = coloured_crops(20, 32, 100)
    towers, prepare = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    inputs = torch.stack([prepare(Image.fromarray(crop)) for crop in crops])
    with torch.inference_mode():
        expected = towers.eval().encode_image(inputs, normalize=True).numpy()
    np.testing.assert_allclose(embedder.embed_images(crops), expected, atol=PARITY)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param({}, id="custom", marks=pytest.mark.slow),
        pytest.param({"no_causal_mask": True}, id="mobileclip"),
        pytest.param(
            {"no_causal_mask": True, "pool_type": "last", "proj_bias": True}, id="siglip", marks=pytest.mark.slow
        ),
        pytest.param({"embed_cls": True}, id="coca", marks=pytest.mark.slow),
        pytest.param({"pool_type": "eos", "eos_id": 49407}, id="eos", marks=pytest.mark.slow),
    ],
)
def test_other_kinds_of_text_towers_export_as_well(tmp_path: Path, text: dict[str, Any]) -> None:
    path = random_towers(
        tmp_path / "pair", SMALL_CLIP | {"text_cfg": SMALL_CLIP["text_cfg"] | text, "custom_text": True}
    )
    embedder = OpenClipEmbedder(path, tmp_path / "towers")
    np.testing.assert_allclose(embedder.embed_text(TEXTS), open_clip_text(path, TEXTS), atol=PARITY)


def test_the_space_is_that_of_the_content_and_not_of_the_place(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    assert OpenClipFolder(copy).space == OpenClipFolder(folder).space
    assert OpenClipFolder(folder).space.startswith("clip-64-16-32@")


def test_other_weights_or_preprocessing_are_another_space(folder: Path, tmp_path: Path) -> None:
    weights, config = (shutil.copytree(folder, tmp_path / name) for name in ("weights", "config"))
    with (weights / WEIGHTS).open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\x01")
    described = json.loads((config / "open_clip_config.json").read_text())
    described["preprocess_cfg"]["mean"] = [0.4, 0.4, 0.4]
    (config / "open_clip_config.json").write_text(json.dumps(described))
    assert len({OpenClipFolder(path).space for path in (folder, weights, config)}) == 3


def test_the_text_tower_is_exported_once(folder: Path, towers: Path) -> None:
    (written,) = towers.iterdir()
    before = (written / "text.onnx").stat()
    assert OpenClipEmbedder(folder, towers).export_text() == written
    assert (written / "text.onnx").stat() == before
    assert list(towers.iterdir()) == [written]


def test_a_damaged_text_tower_is_exported_again(folder: Path, towers: Path, tmp_path: Path) -> None:
    (damaged,) = shutil.copytree(towers, tmp_path / "towers").iterdir()
    (damaged / "text.onnx").write_bytes(b"")
    assert OpenClipEmbedder(folder, damaged.parent).export_text() == damaged
    OnnxTextTower(damaged).verify()
    assert list(damaged.parent.iterdir()) == [damaged]


def test_while_a_tower_is_replaced_one_always_stands_in_its_place(
    folder: Path, towers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (damaged,) = shutil.copytree(towers, tmp_path / "towers").iterdir()
    (damaged / "tokenizer.json").write_bytes(b"")
    stood = []

    def watched(new: Path, place: Path) -> None:
        stood.append({path.name for path in damaged.iterdir()})
        new.rename(place)

    monkeypatch.setattr("pathlib.Path.replace", watched)
    OpenClipEmbedder(folder, damaged.parent).export_text()
    assert stood == [{path.name for path in damaged.iterdir()}] * 5
    OnnxTextTower(damaged).verify()


def test_an_export_that_fails_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsRejected, match="cannot export"):
        export_text_tower(OpenClipFolder(folder), object(), tmp_path / "towers" / "one")
    assert list((tmp_path / "towers").iterdir()) == []


def test_a_crop_that_is_not_square_is_a_mistake_of_the_caller(embedder: OpenClipEmbedder) -> None:
    with pytest.raises(ValueError, match="square"):
        embedder.embed_images([np.zeros((10, 12, 3), np.uint8)])


def test_a_tower_that_would_cut_a_square_is_refused(tmp_path: Path) -> None:
    wide = SMALL_CLIP | {"vision_cfg": SMALL_CLIP["vision_cfg"] | {"image_size": [32, 64]}}
    embedder = OpenClipEmbedder(random_towers(tmp_path / "pair", wide), tmp_path)
    with pytest.raises(WeightsRejected, match="cut"):
        embedder.embed_images(coloured_crops(16))


def test_a_row_without_direction_is_an_error_and_never_a_zero(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = small_clip(tmp_path / "pair")
    weights = load_file(path / WEIGHTS)
    save_file(weights | {"visual.proj": weights["visual.proj"] * np.float32("nan")}, path / WEIGHTS)
    with pytest.raises(ArchiveError, match="no direction"):
        OpenClipEmbedder(path, tmp_path).embed_images(coloured_crops(16))


@pytest.mark.parametrize("name", ["open_clip_pytorch_model.bin", "open_clip_model.pt"])
def test_a_pickle_is_refused_with_the_way_to_convert_it(tmp_path: Path, name: str) -> None:
    write_config(tmp_path, SMALL_CLIP)
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(WeightsRejected, match=r"safetensors\.torch\.save_file"):
        OpenClipEmbedder(tmp_path, tmp_path)


def test_a_pickle_beside_the_weights_is_left_alone(folder: Path, tmp_path: Path) -> None:
    path = shutil.copytree(folder, tmp_path / "pair")
    (path / WEIGHTS).rename(path / "model.safetensors")
    (path / "open_clip_pytorch_model.bin").write_bytes(b"not even a pickle")
    assert len(OpenClipEmbedder(path, tmp_path).embed_images(coloured_crops(16))) == 1


def test_weights_of_another_architecture_are_refused(folder: Path, tmp_path: Path) -> None:
    path = shutil.copytree(folder, tmp_path / "pair")
    write_config(path, SMALL_CLIP | {"embed_dim": 32})
    with pytest.raises(WeightsRejected, match="cannot load"):
        OpenClipEmbedder(path, tmp_path).embed_images(coloured_crops(16))


def test_an_empty_folder_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="open_clip_config"):
        OpenClipEmbedder(tmp_path, tmp_path)
    write_config(tmp_path, SMALL_CLIP)
    with pytest.raises(WeightsMissing, match="open_clip_model"):
        OpenClipEmbedder(tmp_path, tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_damaged_config_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "open_clip_config.json").write_text(content)
    with pytest.raises(WeightsRejected, match="fetch the folder again"):
        OpenClipFolder(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"vision_cfg": {"timm_model_name": "hf-hub:timm/anything"}},
        {"vision_cfg": {"timm_model_name": "local-dir:nowhere"}},
        {"text_cfg": {"hf_model_name": "roberta-base"}},
        {"text_cfg": {"hf_model_name": "own-code"}},
    ],
)
def test_a_tower_on_a_hub_or_with_code_of_its_own_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    write_config(tmp_path, SMALL_CLIP | changes)
    (tmp_path / WEIGHTS).touch()
    (tmp_path / "own-code").mkdir()
    (tmp_path / "own-code" / "config.json").write_text('{"auto_map": {"AutoModel": "evil.Model"}}')
    with pytest.raises(WeightsRejected, match=r"config\.json|put its config beside it"):
        load_towers(OpenClipFolder(tmp_path))


OFFLINE = """
import sys, warnings
from pathlib import Path
import numpy as np
from archive.embedders.openclip import OpenClipEmbedder

embedder = OpenClipEmbedder(Path(sys.argv[1]), Path(sys.argv[2]))
rows = embedder.embed_images([np.zeros((32, 32, 3), np.uint8)])
print(rows.shape, embedder.embed_text(["my keys"]).shape)
"""


@pytest.mark.parametrize("exported", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_it_needs_no_network_and_says_nothing(folder: Path, towers: Path, tmp_path: Path, exported: bool) -> None:
    alone = ["unshare", "-rn"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system does not let a test cut itself off from the network")
    done = subprocess.run(
        [*alone, sys.executable, "-c", OFFLINE, str(folder), str(towers if exported else tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "(1, 48) (1, 48)\n"
    assert done.stderr == ""


def test_two_spaces_have_two_folders(tmp_path: Path) -> None:
    assert tower_folder(tmp_path, "a@b/c") == tmp_path / "a_b_c"
