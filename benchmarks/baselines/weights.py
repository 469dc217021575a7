"""Networks at their full size with random weights, for clocks only: how long a network takes hangs on no weight."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = 20261125
PREPROCESSING = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


def fastsam(folder: Path, scale: Literal["s", "x"]) -> Path:
    """A checkpoint of FastSAM's architecture: YOLOv8-seg of one class, of that scale."""
    return _written(folder / f"FastSAM-{scale}.pt", lambda path: _write_fastsam(path, scale))


def towers(folder: Path, architecture: str) -> Path:
    """A folder of open_clip's own format with both towers of an architecture that it ships."""
    place = folder / architecture
    place.mkdir(parents=True, exist_ok=True)
    package = find_spec("open_clip")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("open_clip")
    described = json.loads((Path(package.origin).parent / "model_configs" / f"{architecture}.json").read_text())
    config = {"model_cfg": described, "preprocess_cfg": PREPROCESSING}
    (place / "open_clip_config.json").write_text(json.dumps(config))
    _written(place / "open_clip_model.safetensors", lambda path: _write_towers(path, architecture))
    return place


def _written(path: Path, write: Callable[[Path], None]) -> Path:
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_name(f"half-{path.name}")
        write(half)
        half.replace(path)
    return path


def _write_fastsam(path: Path, scale: str) -> None:
    from archive.segmenters.taming import ultralytics

    library = ultralytics()
    import torch
    from ultralytics.cfg import DEFAULT_CFG_DICT
    from ultralytics.nn.tasks import SegmentationModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        shell = library.YOLO(f"yolov8{scale}-seg.yaml", task="segment")
        shell.model = SegmentationModel(dict(shell.model.yaml, scale=scale), nc=1, verbose=False)
        for layer in shell.model.modules():
            if isinstance(layer, torch.nn.Conv2d) and layer.weight.requires_grad:
                torch.nn.init.kaiming_normal_(layer.weight)  # the usual start lets hardly anything of a photo through
        shell.model.args = {**DEFAULT_CFG_DICT, "task": "segment"}
        shell.model.task = "segment"
        shell.save(path)


def _write_towers(path: Path, architecture: str) -> None:
    import open_clip
    import torch
    from safetensors.torch import save_file

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = open_clip.create_model(architecture, load_weights=False)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
