"""A small open_clip folder with random weights: everything that ViT-B-32 has, in a second and a few megabytes."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

VISION = {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16}
TEXT = {"context_length": 24, "vocab_size": 49408, "width": 64, "heads": 4, "layers": 2}
SMALL_CLIP: dict[str, Any] = {"embed_dim": 48, "vision_cfg": VISION, "text_cfg": TEXT}


def small_clip(folder: Path, **text: object) -> Path:
    """Write the folder; `text` changes settings of its text tower."""
    settings = copy.deepcopy(SMALL_CLIP)
    settings["text_cfg"] |= text
    return random_towers(folder, settings)


def random_towers(folder: Path, architecture: dict[str, Any]) -> Path:
    """Write an open_clip folder of this architecture, with weights from a fixed seed."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    write_config(folder, architecture)
    settings = copy.deepcopy(architecture)
    custom = settings.pop("custom_text", False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20261123)
        towers = (open_clip.CustomTextCLIP if custom else open_clip.CLIP)(**settings)
    save_file({name: value.contiguous() for name, value in towers.state_dict().items()}, folder / WEIGHTS)
    return folder


def write_config(folder: Path, architecture: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": architecture, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))


WEIGHTS = "open_clip_model.safetensors"
