"""The text tower of the built-in pair in numpy alone: a query need not import ONNX Runtime, nor build a session.

open_clip's text transformer, as its weights and its config in the pair's folder say: causal, pre-norm, pooled at the
end token. Only the rows of the token table that a text needs are read; the file is mapped.
"""

from __future__ import annotations

import json
import mmap
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from archive.embedders.folder import CONFIG, WEIGHTS
from archive.embedders.rows import unit_rows
from archive.embedders.text_tower import REMEDY, VOCABULARY, read_description, tokens
from archive.errors import WeightsRejected
from archive.verified import has_digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from archive.types import Vectors
    from archive.verified import Verified

    Floats = NDArray[np.float32]

_EPSILON = 1e-5


class Loaded(NamedTuple):
    """What is read on first use: float16 tensors by name, mapped, and the vocabulary."""

    tensors: dict[str, NDArray[np.float16]]
    tokenizer: Any


class PlainTextTower:
    """A text tower; `folder` is that of the pair. Its files are verified on first use, unless they were before.

    Raises:
        WeightsMissing: there is no tower in the folder.
        WeightsRejected: it is damaged.
    """

    def __init__(self, folder: Path, verified: Verified | None = None) -> None:
        self._folder = folder
        self._verified = verified
        self._description = read_description(folder)
        self._singles: dict[str, Floats] = {}

    @property
    def space(self) -> str:
        """The space of its vectors."""
        return self._description.space

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._description.dim

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """One unit row for each text, in order; what is longer than the tower's context is cut, as open_clip does."""
        rows = [self._row(ids) for text in texts for ids in tokens([text], self._description, self._loaded.tokenizer)]
        return unit_rows(np.array(rows, np.float32).reshape(-1, self.dim), "a text")

    def _row(self, ids: NDArray[np.int64]) -> Floats:
        """The row of one text, from its token ids (length,)."""
        words = self._loaded.tensors["text.token_embedding.weight"][ids].astype(np.float32)
        state = words + self._tensor("positional_embedding")[: len(ids)]
        for layer in range(self._shape["layers"]):
            block = f"transformer.resblocks.{layer}"
            state = state + self._attention(block, self._norm(f"{block}.ln_1", state))
            hidden = self._linear(f"{block}.mlp.c_fc", self._norm(f"{block}.ln_2", state))
            state = state + self._linear(f"{block}.mlp.c_proj", _gelu(hidden))
        end = int(np.flatnonzero(ids == self._shape["eos_id"])[0])
        row: Floats = self._norm("ln_final", state)[end] @ self._tensor("text_projection")
        return row

    def _attention(self, block: str, state: Floats) -> Floats:
        length, width = state.shape
        heads = self._shape["heads"]
        mixed = state @ self._tensor(f"{block}.attn.in_proj_weight").T + self._tensor(f"{block}.attn.in_proj_bias")
        query, key, value = mixed.reshape(length, 3, heads, width // heads).transpose(1, 2, 0, 3)
        scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(width // heads))
        scores += np.triu(np.full((length, length), -np.inf, np.float32), 1)
        weights = np.exp(scores - scores.max(axis=2, keepdims=True))
        weights /= weights.sum(axis=2, keepdims=True)
        return self._linear(f"{block}.attn.out_proj", (weights @ value).transpose(1, 0, 2).reshape(length, width))

    def _linear(self, name: str, state: Floats) -> Floats:
        result: Floats = state @ self._tensor(f"{name}.weight").T + self._tensor(f"{name}.bias")
        return result

    def _norm(self, name: str, state: Floats) -> Floats:
        centred = state - state.mean(axis=1, keepdims=True)
        scale = np.sqrt((centred * centred).mean(axis=1, keepdims=True) + np.float32(_EPSILON))
        result: Floats = centred / scale * self._tensor(f"{name}.weight") + self._tensor(f"{name}.bias")
        return result

    def _tensor(self, name: str) -> Floats:
        if name not in self._singles:
            self._singles[name] = self._loaded.tensors[f"text.{name}"].astype(np.float32)
        return self._singles[name]

    @cached_property
    def _shape(self) -> dict[str, int]:
        """The tower's measures: layers, heads, eos_id."""
        settings: dict[str, int] = json.loads((self._folder / CONFIG).read_bytes())["model_cfg"]["text_cfg"]
        return settings

    @cached_property
    def _loaded(self) -> Loaded:
        from tokenizers import Tokenizer

        for name in (WEIGHTS[0], VOCABULARY):
            if not has_digest(self._folder / name, self._description.files[name], self._verified):
                raise WeightsRejected(f"{self._folder / name} is damaged; {REMEDY}")
        return Loaded(_tensors(self._folder / WEIGHTS[0]), Tokenizer.from_file(str(self._folder / VOCABULARY)))


def _tensors(path: Path) -> dict[str, NDArray[np.float16]]:
    """The float16 tensors of a safetensors file, without a copy: length of the header, header as JSON, the values."""
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    start = 8 + int.from_bytes(content[:8], "little")
    found = {}
    for name, told in json.loads(content[8:start]).items():
        if name.startswith("text."):
            first, end = told["data_offsets"]
            values = np.frombuffer(content, "<f2", (end - first) // 2, start + first)
            found[name] = values.reshape(told["shape"])
    return found


def _gelu(state: Floats) -> Floats:
    """Half of x * (1 + erf(x / sqrt 2)), with erf to 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26)."""
    size = np.abs(state) * np.float32(np.sqrt(0.5))
    step = 1 / (1 + np.float32(0.3275911) * size)
    series = np.zeros_like(step)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + np.float32(factor)) * step
    error = np.copysign(1 - series * np.exp(-size * size), state)
    result: Floats = state * (1 + error) / 2
    return result
