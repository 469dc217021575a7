"""Checkpoints with random weights, in the formats of the real ones, and one that is out for harm."""

from __future__ import annotations

import os
from pathlib import Path

from archive.segmenters.taming import ultralytics


def random_yolo(path: Path, task: str = "segment") -> Path:
    """YOLOv8n for a task, untrained."""
    import torch

    suffix = {"segment": "-seg", "classify": "-cls", "detect": ""}[task]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ultralytics().YOLO(f"yolov8n{suffix}.yaml", task=task).save(path)
    return path


def random_sam(folder: Path, kind: str) -> Path:
    """A SAM network, untrained but sure of its masks, in the file that its name belongs to."""
    import torch

    ultralytics()
    from ultralytics.models.sam.build import sam_model_map

    with torch.random.fork_rng():
        torch.manual_seed(0)
        tensors = sam_model_map[kind]().state_dict()
    for name, tensor in tensors.items():
        if "iou_prediction_head.layers.2.bias" in name:
            tensor.fill_(0.9)
        if "output_hypernetworks_mlps" in name and "layers.2" in name:
            tensor.mul_(100)  # masks with both an inside and an outside
    path = folder / kind
    torch.save({"model": tensors} if "sam2" in kind else tensors, path)
    return path


class Harm:
    """Runs a shell command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


class QuietHarm:
    """Makes a file when it is unpickled, by a call that no audit hook takes for a way out."""

    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.touched,)


def harmful(path: Path, touched: Path) -> Path:
    """A checkpoint that leaves a file behind when it is unpickled, in two ways."""
    import torch

    torch.save({"epoch": QuietHarm(touched), "model": Harm(f"touch '{touched}'")}, path)
    return path
