"""A question as the seed notebook asks it: `python -m benchmarks.baselines.seed_query FOLDER TEXT`.

A fresh process imports torch and open_clip, builds both towers of ViT-B-32 and loads their weights, embeds the text at
its full 77 tokens, reads the segments' vectors, and compares them one by one in a Python loop.

The weights are random, of the published architecture and size: time does not depend on their values.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np

ARCHITECTURE = "ViT-B-32"
WEIGHTS = "vit-b-32.pt"
DIM = 512
SHOWN = 10


def prepare(folder: Path, segments: int) -> None:
    """Write what the process reads: the weights of both towers, and so many unit vectors."""
    import open_clip
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / WEIGHTS).exists():
        torch.save(open_clip.create_model(ARCHITECTURE).state_dict(), folder / WEIGHTS)
    rows = np.random.default_rng(1).normal(size=(segments, DIM)).astype(np.float32)
    np.save(folder / "vectors.npy", rows / np.linalg.norm(rows, axis=1, keepdims=True))


def ask(folder: Path, text: str) -> list[int]:
    """The segments that look most like the text."""
    import open_clip
    import torch

    towers = open_clip.create_model(ARCHITECTURE)
    towers.load_state_dict(torch.load(folder / WEIGHTS, weights_only=True))
    towers.eval()
    with torch.no_grad():
        words = towers.encode_text(open_clip.get_tokenizer(ARCHITECTURE)([text]))[0]
        vectors = torch.from_numpy(np.load(folder / "vectors.npy"))
        scores = [(torch.cosine_similarity(words, vector, dim=0).item(), row) for row, vector in enumerate(vectors)]
    return [row for _, row in sorted(scores, reverse=True)[:SHOWN]]


if __name__ == "__main__":
    click.echo(ask(Path(sys.argv[1]), sys.argv[2]))
