"""FAISS's flat index: `python -m benchmarks.baselines.flat FOLDER`. Every float32 vector is read and compared.

A fresh process reads the index and answers one question by a vector; the text tower is not in it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import process_time

import click
import numpy as np

INDEX = "flat.faiss"
DIM = 512
SHOWN = 10
QUESTIONS = 20


def prepare(folder: Path, segments: int) -> None:
    """Write an index of so many unit vectors."""
    import faiss

    folder.mkdir(parents=True, exist_ok=True)
    random, index = np.random.default_rng(1), faiss.IndexFlatIP(DIM)
    for _ in range(0, segments, 10_000):
        rows = random.normal(size=(10_000, DIM)).astype(np.float32)
        index.add(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    faiss.write_index(index, str(folder / INDEX))


def ask(folder: Path) -> float:
    """Milliseconds of one processor that a question takes once the index is in memory."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.read_index(str(folder / INDEX))
    vector = np.full((1, DIM), DIM**-0.5, np.float32)
    spent = []
    for _ in range(QUESTIONS):
        began = process_time()
        index.search(vector, SHOWN)
        spent.append(1000 * (process_time() - began))
    return min(spent)


if __name__ == "__main__":
    click.echo(ask(Path(sys.argv[1])))
