"""Architectures of full size with random weights. Their towers alone: their vocabularies are on a hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive.embedders.export import _export_graph, _padding_changes_nothing

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "free_length"), [("ViT-B-32", True), ("MobileCLIP2-S0", False), ("ViT-B-16-SigLIP2", False)]
)
def test_the_graph_gives_the_rows_that_open_clip_gives(tmp_path: Path, name: str, free_length: bool) -> None:
    import onnxruntime
    import open_clip
    import torch

    settings = open_clip.get_model_config(name)
    custom = settings.pop("custom_text", False)
    torch.manual_seed(20261123)
    towers = (open_clip.CustomTextCLIP if custom else open_clip.CLIP)(**settings).eval()
    length, words = settings["text_cfg"]["context_length"], settings["text_cfg"]["vocab_size"]
    tokens = np.random.default_rng(1).integers(1, words - 1, (3, length))
    tokens[:, 9] = words - 1  # the highest id ends a text
    tokens[:, 10:] = 0
    assert _padding_changes_nothing(towers, "right") is free_length
    _export_graph(towers, length, tmp_path / "text.onnx", free_length=free_length)
    session = onnxruntime.InferenceSession(tmp_path / "text.onnx", providers=["CPUExecutionProvider"])
    for count in (1, 3):
        (rows,) = session.run(None, {"tokens": tokens[:count, : 10 if free_length else length]})
        with torch.inference_mode():
            expected = towers.encode_text(torch.from_numpy(tokens[:count]), normalize=True).numpy()
        np.testing.assert_allclose(rows, expected, atol=1e-5)
