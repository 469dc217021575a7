"""A question in rclip's way: `python -m benchmarks.baselines.rclip_way FOLDER TEXT`.

As rclip 3 does it, without rclip's own imports, so a little faster than it is: a fresh process runs the text tower of
ViT-B-32 in ONNX Runtime, float32 and at all 77 tokens, with the vocabulary unpacked from its gz file; it reads the
vector of each whole photo from a row of SQLite, compares all of them with numpy, and sorts the scores in Python.

The weights are random, of the published architecture and size: time does not depend on their values.
"""

from __future__ import annotations

import gzip
import sqlite3
import sys
from contextlib import closing
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ARCHITECTURE = "ViT-B-32"
TOWER = "text.onnx"
PHOTOS = "photos.sqlite"
TOKENS = 77
MERGES = 49152 - 256 - 2
DIM = 512
SHOWN = 10


def prepare(folder: Path, photos: int) -> None:
    """Write what the process reads: the text tower, and a database of so many photos with a unit vector each."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / TOWER).exists():
        _export(folder / TOWER)
    rows = np.random.default_rng(1).normal(size=(photos, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    (folder / PHOTOS).unlink(missing_ok=True)
    with closing(sqlite3.connect(folder / PHOTOS)) as connection, connection:
        connection.execute(
            "CREATE TABLE images (id INTEGER PRIMARY KEY, deleted BOOLEAN, filepath TEXT UNIQUE, vector BLOB)"
        )
        named = ((f"/photos/{number}.jpg", row.tobytes()) for number, row in enumerate(rows))
        connection.executemany("INSERT INTO images (filepath, vector) VALUES (?, ?)", named)


def _export(path: Path) -> None:
    import open_clip
    import torch

    class Text(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.towers = open_clip.create_model(ARCHITECTURE).eval()

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            rows: torch.Tensor = self.towers.encode_text(tokens, normalize=True)
            return rows

    example = open_clip.get_tokenizer(ARCHITECTURE)(["a photo"])
    torch.onnx.export(Text(), (example,), path, input_names=["tokens"], output_names=["rows"], dynamo=False)


def ask(folder: Path, text: str) -> list[str]:
    """The photos that look most like the text."""
    import onnxruntime

    tokens = encode(text)
    session = onnxruntime.InferenceSession(folder / TOWER, providers=["CPUExecutionProvider"])
    (words,) = session.run(None, {"tokens": tokens})
    with closing(sqlite3.connect(folder / PHOTOS)) as connection:
        rows = connection.execute("SELECT filepath, vector FROM images WHERE deleted IS NULL").fetchall()
    vectors = np.stack([np.frombuffer(vector, np.float32) for _, vector in rows])
    scores = sorted(zip(vectors @ words[0], range(len(rows)), strict=True), key=lambda one: one[0], reverse=True)
    return [rows[row][0] for _, row in scores[:SHOWN]]


def encode(text: str) -> NDArray[np.int64]:
    """The tokens (1, 77) of a text, by CLIP's byte-pair encoding, whose whole vocabulary is unpacked for it."""
    import ftfy

    regex = import_module("regex")  # it has no types

    spec = find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise click.ClickException("open_clip is not installed, and its vocabulary is needed")
    content = gzip.decompress((Path(spec.origin).parent / "bpe_simple_vocab_16e6.txt.gz").read_bytes()).decode()
    merges = [tuple(line.split()) for line in content.split("\n")[1 : MERGES + 1]]
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    letters = [chr(code) for code in (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))]
    letters += [chr(0x100 + place) for place in range(256 - len(letters))]
    names = [*letters, *(letter + "</w>" for letter in letters), *map("".join, merges)]
    numbers = {name: number for number, name in enumerate(names)}
    found = [len(names)]
    for word in regex.findall(r"\p{L}+|\p{N}|[^\s\p{L}\p{N}]+", ftfy.fix_text(text).lower()):
        found += [numbers[piece] for piece in _merged([*word[:-1], f"{word[-1]}</w>"], ranks)]
    tokens = np.zeros((1, TOKENS), np.int64)
    row = [*found, len(names) + 1][:TOKENS]
    tokens[0, : len(row)] = row
    return tokens


def _merged(pieces: list[str], ranks: dict[tuple[str, ...], int]) -> list[str]:
    """The pieces of a word, its best pair joined as long as there is one; ASCII letters stand for themselves."""
    while True:
        pairs = [(ranks[pair], place) for place, pair in enumerate(pairwise(pieces)) if pair in ranks]
        if not pairs:
            return pieces
        _, place = min(pairs)
        pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]


if __name__ == "__main__":
    click.echo(ask(Path(sys.argv[1]), sys.argv[2]))
