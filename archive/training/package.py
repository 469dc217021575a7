"""Puts the trained parts into the folder that ships: one file of weights for both towers, graphs that read from it."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from archive.embedders.joint_space import DIM
from archive.embedders.pooled import IMAGE_GRAPH, REGIONS, SIDE
from archive.embedders.text_tower import DESCRIPTION, GRAPH, VOCABULARY, Description
from archive.training.image import PREPROCESS_CFG, TRUNK, VISION_CFG
from archive.training.teachers import export_detector, export_graph
from archive.training.text import TEXT_CFG

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

SEGMENTER = "segmenter.onnx"
CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"
SCALE_NAME = "logit_scale"


def package(
    segmenter: torch.nn.Module,
    image: torch.nn.Module,
    text: torch.nn.Module,
    head: dict[str, Floats],
    vocabulary: Path,
    folder: Path,
) -> None:
    """Write everything that ships into `folder`; `vocabulary` is where the tokenizer's two files are."""
    from safetensors.numpy import save_file

    (folder / "image").mkdir(parents=True, exist_ok=True)
    _write_segmenter(segmenter, folder / SEGMENTER)
    _write_towers(image, text, folder / WEIGHTS)
    config = {
        "model_cfg": {"embed_dim": DIM, "vision_cfg": VISION_CFG, "text_cfg": TEXT_CFG, "custom_text": True},
        "preprocess_cfg": PREPROCESS_CFG,
    }
    _write_json(folder / CONFIG, config)
    _write_json(folder / "image" / "config.json", TRUNK)
    for name in (VOCABULARY, "tokenizer_config.json"):
        shutil.copyfile(vocabulary / name, folder / name)
    _write_graph(
        _unit_rows(image), _example_crops(), folder / IMAGE_GRAPH, {"crops": {0: "n"}, "rows": {0: "n"}}, "visual."
    )
    axes = {"tokens": {0: "n", 1: "length"}, "rows": {0: "n"}}
    _write_graph(_reading(text), _example_tokens(), folder / GRAPH, axes, "text.")
    save_file({name: value.astype(np.float16) for name, value in head.items()}, folder / REGIONS)
    parts = (SEGMENTER, WEIGHTS, IMAGE_GRAPH, GRAPH, VOCABULARY, REGIONS)
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in parts}
    space = f"pocket@{hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()[:12]}"
    needed = {name: digests[name] for name in (GRAPH, WEIGHTS, VOCABULARY)}
    (folder / DESCRIPTION).write_text(Description(space, DIM, "whitespace", None, needed).dumps(), encoding="utf-8")


def _write_segmenter(network: torch.nn.Module, path: Path) -> None:
    """A graph with half-precision weights, described as ultralytics describes its own exports."""
    import onnx

    export_detector(network, path)
    graph = onnx.load(path)
    _halve(graph)
    names: Any = network.names
    described = {
        "description": "archive pocket segmenter", "author": "archive", "license": "AGPL-3.0-or-later",
        "task": "segment", "stride": "32", "batch": "1", "imgsz": "[640, 640]", "names": repr(dict(names)),
        "args": "{'dynamic': True}", "channels": "3", "end2end": "False",
    }  # fmt: skip
    onnx.helper.set_model_props(graph, described)
    onnx.save(graph, path)


def _write_towers(image: torch.nn.Module, text: torch.nn.Module, path: Path) -> None:
    from safetensors.numpy import save_file

    weights = {
        **{f"visual.{name}": value for name, value in image.state_dict().items()},
        **{f"text.{name}": value for name, value in text.state_dict().items() if not name.endswith("attn_mask")},
    }
    halves = {
        name: value.numpy().astype(np.float16 if value.is_floating_point() else value.numpy().dtype)
        for name, value in weights.items()
    }
    save_file({SCALE_NAME: np.array(np.log(100.0), np.float16), **halves}, path)


def _unit_rows(tower: torch.nn.Module) -> torch.nn.Module:
    import torch

    class UnitRows(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = tower

        def forward(self, crops: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.normalize(self.visual(crops), dim=1)

    return UnitRows().eval()


def _reading(tower: Any) -> torch.nn.Module:  # noqa: ANN401
    """open_clip's forward pass of a text tower, for texts of any length."""
    import torch

    class Reading(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.text = tower

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            text: Any = self.text
            length = tokens.shape[1]
            value = text.token_embedding(tokens) + text.positional_embedding[:length]
            # Of the mask that open_clip adds, only the places that are there: each token sees those before it.
            mask = text.attn_mask[:length, :length]
            for block in text.transformer.resblocks:
                value = value + _attention(block.attn, block.ln_1(value), mask)
                value = value + block.mlp(block.ln_2(value))
            value = text.ln_final(value)
            ends = (tokens == TEXT_CFG["eos_id"]).to(value.dtype)[:, :, None]
            return torch.nn.functional.normalize((value * ends).sum(1) @ text.text_projection, dim=1)

    return Reading().eval()


def _attention(attention: Any, value: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Torch's multi-head attention written out, which leaves the length of a text free in the graph."""
    import torch

    heads, width = attention.num_heads, attention.head_dim
    projected = torch.nn.functional.linear(value, attention.in_proj_weight, attention.in_proj_bias)
    parts = [
        part.reshape(part.shape[0], part.shape[1], heads, width).transpose(1, 2) for part in projected.chunk(3, -1)
    ]
    query, key, content = parts
    weights = (query @ key.transpose(2, 3) / width**0.5 + mask).softmax(-1)
    mixed: torch.Tensor = attention.out_proj((weights @ content).transpose(1, 2).flatten(2))
    return mixed


def _example_crops() -> torch.Tensor:
    import torch

    return torch.rand(2, 3, SIDE, SIDE)


def _example_tokens() -> torch.Tensor:
    import torch

    return torch.tensor([[2, 9, 10, 11, 3], [2, 7, 3, 0, 0], [2, 3, 0, 0, 0]])


def _write_graph(
    module: torch.nn.Module, example: torch.Tensor, path: Path, axes: dict[str, dict[int, str]], prefix: str
) -> None:
    """A graph whose weights stay in the towers' own file: every one is found there again by its name."""
    import onnx

    export_graph(module, example, path, axes, keeps_weights=True)
    graph = onnx.load(path)
    _refer(graph, path.parent / WEIGHTS, prefix)
    onnx.save(graph, path)


def _halve(graph: Any) -> None:  # noqa: ANN401
    """Store weights in half precision; the runtime widens them once, when it loads the graph."""
    import onnx

    for weight in list(graph.graph.initializer):
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < 16:
            continue
        stored = f"{weight.name}.half"
        graph.graph.initializer.remove(weight)
        graph.graph.initializer.append(onnx.numpy_helper.from_array(values.astype(np.float16), stored))
        _widen(graph, stored, weight.name)


def _refer(graph: Any, weights: Path, prefix: str) -> None:  # noqa: ANN401
    """Point each weight of the graph to its place in a safetensors file; a vocabulary's rows are widened when read."""
    import onnx

    places, start = _places(weights)
    for weight in list(graph.graph.initializer):
        if weight.name not in places or not weight.name.startswith(prefix):
            continue
        begin, end = places[weight.name]
        reference = onnx.TensorProto(name=f"{weight.name}.half", data_type=onnx.TensorProto.FLOAT16, dims=weight.dims)
        reference.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", weights.name), ("offset", start + begin), ("length", end - begin)):
            reference.external_data.add(key=key, value=str(value))
        graph.graph.initializer.remove(weight)
        graph.graph.initializer.append(reference)
        looked_up = [node for node in graph.graph.node if node.op_type == "Gather" and node.input[0] == weight.name]
        if looked_up:
            for node in looked_up:
                node.input[0] = reference.name
                rows, node.output[0] = node.output[0], f"{node.output[0]}.half"
                _widen(graph, node.output[0], rows, after=node)
        else:
            _widen(graph, reference.name, weight.name)


def _widen(graph: Any, source: str, target: str, after: Any = None) -> None:  # noqa: ANN401
    import onnx

    cast = onnx.helper.make_node("Cast", [source], [target], to=onnx.TensorProto.FLOAT)
    place = 0 if after is None else list(graph.graph.node).index(after) + 1
    graph.graph.node.insert(place, cast)


def _places(weights: Path) -> tuple[dict[str, tuple[int, int]], int]:
    """Where each tensor of a safetensors file begins and ends after the header, and where the header ends."""
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    return {name: tuple(entry["data_offsets"]) for name, entry in header.items() if name != "__metadata__"}, 8 + length


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
