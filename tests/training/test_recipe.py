"""The recipe of the built-in pair: its parts by themselves, and all of it once, in small."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from archive.embedders.joint_space import unit
from archive.training import joint, words
from archive.training.image import ridge
from archive.training.labels import Labels
from archive.training.segmenter import _in_window
from archive.training.synonyms import KINDS, SYNONYMS
from tests.paths import shared

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SMALL = ("--photos", "3", "--steps", "2")


def test_ridge_finds_the_line_that_the_points_lie_on() -> None:
    noise = np.random.default_rng(3)
    inputs = noise.standard_normal((500, 4)).astype(np.float32)
    truth = noise.standard_normal((4, 2)).astype(np.float32)
    matrix, constant = ridge(inputs, inputs @ truth + 2, 1e-3)
    np.testing.assert_allclose(matrix, truth, atol=1e-3)
    np.testing.assert_allclose(constant, [2, 2], atol=1e-3)


def one_hot(texts: Sequence[str]) -> NDArray[np.float32]:
    """A sentence encoder for which different texts have nothing in common."""
    rows = np.zeros((len(texts), 384), np.float32)
    names = list(
        dict.fromkeys([*SYNONYMS, *(name for several in SYNONYMS.values() for name in several.split("|")), *KINDS])
    )
    for row, text in enumerate(texts):
        rows[row, names.index(text) if text in names else 383] = 1
    return rows


def test_a_synonym_means_its_class_and_a_stranger_means_none() -> None:
    names = list(SYNONYMS)
    likeness = joint.class_likeness(one_hot(["mug", "a stranger"]), one_hot)
    assert likeness[0].argmax() == names.index("cup")
    assert likeness[0].max() == pytest.approx(1)
    assert not likeness[1].any()


def test_a_kind_means_each_of_its_members_a_little() -> None:
    likeness = joint.class_likeness(one_hot(["cutlery"]), one_hot)[0]
    members = [list(SYNONYMS).index(name) for name in ("fork", "knife", "spoon")]
    assert (likeness[members] > 0.3).all()
    assert np.delete(likeness, members).max() == 0


def test_the_targets_of_texts_are_unit_rows() -> None:
    likeness, meaning = np.eye(3, 80, dtype=np.float32), unit(np.ones((3, 163), np.float32))
    rows = joint.text_rows(likeness, ["red", None, "blue"], meaning)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_every_class_of_the_detector_has_a_name_and_every_kind_has_members() -> None:
    assert len(SYNONYMS) == 80
    assert all(member in SYNONYMS for members in KINDS.values() for member in members.split("|"))


def test_phrases_are_about_their_thing_and_name_a_colour_now_and_then() -> None:
    noise = np.random.default_rng(1)
    phrases = [words.phrase("mug", noise) for _ in range(200)]
    assert all("mug" in one.text for one in phrases)
    assert 20 < sum(one.colour is not None for one in phrases) < 80


def test_a_window_keeps_what_lies_in_it_and_cuts_the_rest() -> None:
    boxes = np.array([[0, 0, 0.2, 0.2], [0.4, 0.4, 0.6, 0.6], [0.9, 0.9, 1, 1]], np.float32)
    labels = Labels(
        boxes,
        np.ones((3, 80), np.float32),
        np.ones(3, np.float32),
        np.ones((3, 28, 28), bool),
        np.zeros(3, bool),
    )
    inside = _in_window(labels, (1000, 1000), (-450, -450), 512)
    np.testing.assert_allclose(inside.boxes, [[0, 0, 150, 150], [450, 450, 512, 512]], atol=1e-3)


def test_labels_come_back_as_they_were_saved(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    labels = Labels(
        noise.random((4, 4)).astype(np.float32),
        noise.integers(0, 2, (4, 80)).astype(np.float32),
        noise.random(4).astype(np.float32),
        noise.random((4, 28, 28)) > 0.5,
        np.array([True, False, False, True]),
    )
    labels.save(tmp_path / "labels.npz")
    for before, after in zip(labels, Labels.load(tmp_path / "labels.npz"), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.real_weights
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_whole_recipe_makes_a_pair_that_works(tmp_path: Path) -> None:
    shared("train")
    from archive.embedders.pooled import PooledEmbedder
    from archive.segmenters.one_look import OneLookNetwork, OneLookSegmenter
    from archive.training.__main__ import main
    from tests.contracts.segmenter import still_life

    made = tmp_path / "made"
    arguments = ["--out", str(tmp_path / "work"), *SMALL]
    done = CliRunner().invoke(main, [*arguments, "all", "--into", str(made)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    network = OneLookNetwork(made / "segmenter.onnx", size=320)
    embedder = PooledEmbedder(made, network.see)
    photo = still_life(240, 320)
    regions = OneLookSegmenter(network).segment(photo)
    rows = embedder.embed_regions(photo, [region.box for region in regions])
    assert rows.shape == (len(regions), 256)
    assert embedder.embed_text(["a cup"]).shape == (1, 256)
    assert json.loads((made / "tower.json").read_text())["space"] == embedder.space
    again = CliRunner().invoke(main, [*arguments, "segmenter"], catch_exceptions=False)
    assert again.exit_code == 0, "a recipe that is done has nothing left to do"


@pytest.mark.real_weights
def test_every_layer_that_ships_was_changed_by_the_training() -> None:
    import onnx
    from onnx import numpy_helper
    from safetensors.numpy import load_file

    from archive.pairs.shipped import shipped_folder
    from archive.training import teachers

    shared("models", "yolov8n-seg.pt")
    pocket = shipped_folder("pocket")
    graph = onnx.load(pocket / "segmenter.onnx").graph
    ours = {item.name.removesuffix(".half"): numpy_helper.to_array(item) for item in graph.initializer}
    teacher = dict(teachers.yolo(teachers.shared() / teachers.DETECTOR).named_parameters())
    # The last one only counts from 0 to 15, to turn distances into pixels.
    shared_layers = [name for name in teacher if f"network.{name}" in ours and ".dfl." not in name]
    assert len(shared_layers) > 50
    for name in shared_layers:
        assert (ours[f"network.{name}"] != teacher[name].detach().numpy().astype(np.float16)).any(), name
    towers = load_file(pocket / "open_clip_model.safetensors")
    for name, value in teachers.classifier().named_parameters():
        if not name.startswith("classifier."):
            assert (towers[f"visual.trunk.{name}"] != value.detach().numpy().astype(np.float16)).any(), name
