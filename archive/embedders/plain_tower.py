"""A text tower in numpy alone: a query need not import ONNX Runtime, nor build a session.

open_clip's text transformer, as its weights and its config in a folder say: causal, pre-norm, pooled at the end token.
Only the rows of the token table that a text needs are read; the file is mapped. The built-in pair has such a tower, and
so have the pairs of the registry.
"""

from __future__ import annotations

import json
import mmap
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from archive.embedders import byte_pairs, word_pieces
from archive.embedders.byte_pairs import END, TABLE, BytePairs
from archive.embedders.cleaning import clean
from archive.embedders.folder import CONFIG, WEIGHTS
from archive.embedders.rows import unit_rows
from archive.embedders.text_tower import REMEDY, VOCABULARY, read_description, tokens
from archive.errors import WeightsMissing, WeightsRejected
from archive.verified import has_digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from archive.types import Vectors
    from archive.verified import Verified

    Floats = NDArray[np.float32]
    Stored = dict[str, NDArray[Any]]

_EPSILON = 1e-5


_UNDERSTOOD = frozenset(
    ("context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "eos_id", "pad_id", "pool_type")
)
"""Settings of a registry's text tower under which the arithmetic below is what open_clip computes."""


class Weights(NamedTuple):
    """Where a tower's weights and its config are, and the sha256 of the weights."""

    folder: Path
    sha256: str


class PlainTextTower:
    """A text tower; `folder` holds its description and vocabulary, and the weights unless those are elsewhere.

    Its files are verified on first use, unless they were before.

    Raises:
        WeightsMissing: there is no tower in the folder.
        WeightsRejected: it is damaged.
    """

    def __init__(self, folder: Path, verified: Verified | None = None, weights: Weights | None = None) -> None:
        self._folder = folder
        self._verified = verified
        self._description = read_description(folder)
        self._weights = weights or Weights(folder, self._description.files[WEIGHTS[0]])
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
        rows = [self._row(self._tokens(text)) for text in texts]
        return unit_rows(np.array(rows, np.float32).reshape(-1, self.dim), "a text")

    def _tokens(self, text: str) -> NDArray[np.int64]:
        """The token ids (length,) of a text: without the tokenizers library where that will do, much sooner."""
        cleaned = clean(text, self._description.cleaning)
        if self._pairs is not None and byte_pairs.is_plain(cleaned):
            return np.array(self._pairs.encode(cleaned), np.int64)
        if self._pieces is not None and word_pieces.is_plain(cleaned):
            return np.array(self._pieces.encode(cleaned), np.int64)
        ids: NDArray[np.int64] = tokens([text], self._description, self._tokenizer)[0]
        return ids

    def _row(self, ids: NDArray[np.int64]) -> Floats:
        """The row of one text, from its token ids (length,)."""
        words = self._tensors["token_embedding.weight"][ids].astype(np.float32)
        state = words + self._tensor("positional_embedding")[: len(ids)]
        for layer in range(self._shape.get("layers", 12)):
            block = f"transformer.resblocks.{layer}"
            state = state + self._attention(block, self._norm(f"{block}.ln_1", state))
            hidden = self._linear(f"{block}.mlp.c_fc", self._norm(f"{block}.ln_2", state))
            state = state + self._linear(f"{block}.mlp.c_proj", self._gelu(hidden))
        end = int(np.flatnonzero(ids == self._shape.get("eos_id", END))[0])
        row: Floats = self._norm("ln_final", state)[end] @ self._tensor("text_projection")
        return row

    def _attention(self, block: str, state: Floats) -> Floats:
        length, width = state.shape
        heads = self._shape.get("heads", 8)
        mixed = self._product(f"{block}.attn.in_proj_weight", state) + self._tensor(f"{block}.attn.in_proj_bias")
        query, key, value = mixed.reshape(length, 3, heads, width // heads).transpose(1, 2, 0, 3)
        scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(width // heads))
        scores += np.triu(np.full((length, length), -np.inf, np.float32), 1)
        weights = np.exp(scores - scores.max(axis=2, keepdims=True))
        weights /= weights.sum(axis=2, keepdims=True)
        return self._linear(f"{block}.attn.out_proj", (weights @ value).transpose(1, 0, 2).reshape(length, width))

    def _linear(self, name: str, state: Floats) -> Floats:
        result: Floats = self._product(f"{name}.weight", state) + self._tensor(f"{name}.bias")
        return result

    def _product(self, name: str, state: Floats) -> Floats:
        """Rows times a stored matrix. Of a few words the matrix is nearly all there is to read: it stands in front."""
        product: Floats = (self._tensor(name) @ state.T).T
        return product

    def _norm(self, name: str, state: Floats) -> Floats:
        centred = state - state.mean(axis=1, keepdims=True)
        scale = np.sqrt((centred * centred).mean(axis=1, keepdims=True) + np.float32(_EPSILON))
        result: Floats = centred / scale * self._tensor(f"{name}.weight") + self._tensor(f"{name}.bias")
        return result

    def _tensor(self, name: str) -> Floats:
        """A tensor as float32; one that is stored so is not copied."""
        if name not in self._singles:
            self._singles[name] = self._tensors[name].astype(np.float32, copy=False)
        return self._singles[name]

    def _gelu(self, state: Floats) -> Floats:
        """What stands between the two halves of a block: OpenAI's towers were trained with the quick GELU."""
        quick: Floats = state / (1 + np.exp(np.float32(-1.702) * state))
        return quick if self._config.get("quick_gelu") else _gelu(state)

    @cached_property
    def _config(self) -> dict[str, Any]:
        settings: dict[str, Any] = json.loads((self._weights.folder / CONFIG).read_bytes())["model_cfg"]
        return settings

    @property
    def _shape(self) -> dict[str, int]:
        """The tower's measures, where they are not open_clip's own: layers, heads, eos_id, context_length."""
        shape: dict[str, int] = self._config["text_cfg"]
        return shape

    @cached_property
    def _tensors(self) -> Stored:
        """What is mapped of the weights, by name."""
        path = self._weights.folder / WEIGHTS[0]
        self._verify(path, self._weights.sha256)
        return text_tensors(path)

    @cached_property
    def _pairs(self) -> BytePairs | None:
        """The table of byte pairs, where the vocabulary is CLIP's."""
        if TABLE not in self._description.files:
            return None
        self._verify(self._folder / TABLE, self._description.files[TABLE])
        return BytePairs(self._folder / TABLE, self._shape.get("context_length", 77))

    @cached_property
    def _pieces(self) -> word_pieces.WordPieces | None:
        """The vocabulary's word pieces, where it is one of those."""
        if self._pairs is not None:
            return None
        with suppress(ValueError, KeyError, TypeError):
            return word_pieces.WordPieces(self._vocabulary.read_bytes())
        return None

    @cached_property
    def _tokenizer(self) -> Any:  # noqa: ANN401
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(self._vocabulary))

    @cached_property
    def _vocabulary(self) -> Path:
        """Its file, verified."""
        path = self._folder / VOCABULARY
        self._verify(path, self._description.files[VOCABULARY])
        return path

    def _verify(self, path: Path, sha256: str) -> None:
        if not has_digest(path, sha256, self._verified):
            raise WeightsRejected(f"{path} is damaged; {REMEDY}")


def of_folder(weights: Weights, tower: Path, space: str, verified: Verified) -> PlainTextTower | None:
    """The tower of an open_clip folder, exported to `tower`; None where it must be run as it was exported.

    So it must where the weights are no longer there, or others, or their tower is of another kind.
    """
    from archive.embedders.folder import OpenClipFolder
    from archive.runtimes.kept import INT8

    try:
        folder = OpenClipFolder(weights.folder)
    except (WeightsMissing, WeightsRejected):
        return None
    is_the_same = space.removesuffix(f"/{INT8}") == folder.space_of(weights.sha256)
    if folder.weights.name != WEIGHTS[0] or not is_the_same:
        return None
    settings = folder.config["model_cfg"]["text_cfg"]
    if settings.keys() - _UNDERSTOOD or settings.get("pool_type", "argmax") not in {"argmax", "eos"}:
        return None
    return PlainTextTower(tower, verified, weights)


def text_tensors(path: Path) -> Stored:
    """The text tower's tensors of a safetensors file by name, without a copy.

    The file: length of the header, header as JSON, the values. A tower that stands by itself has `text.` before each
    name, one within CLIP has nothing.

    Raises:
        WeightsRejected: they are neither float16 nor float32.
    """
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    start = 8 + int.from_bytes(content[:8], "little")
    told = json.loads(content[8:start])
    before = "text." if any(name.startswith("text.") for name in told) else ""
    found: Stored = {}
    for name, tensor in told.items():
        if not name.startswith(before or _OWN):
            continue
        if tensor["dtype"] not in _KINDS:
            raise WeightsRejected(f"{path} holds numbers of the kind {tensor['dtype']}; {REMEDY}")
        first, end = tensor["data_offsets"]
        kind = np.dtype(_KINDS[tensor["dtype"]])
        values = np.frombuffer(content, kind, (end - first) // kind.itemsize, start + first)
        found[name.removeprefix(before)] = values.reshape(tensor["shape"])
    return found


_OWN = ("token_embedding", "positional_embedding", "transformer.", "ln_final", "text_projection")
_KINDS = {"F16": "<f2", "F32": "<f4"}


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
