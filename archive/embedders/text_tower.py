"""Turns words into vectors without torch: an exported text tower, run by ONNX Runtime.

A tower is a folder that `archive.embedders.export` writes:

    tower.json       what it is, how texts are cleaned, and the sha256 of the other files
    text.onnx        tokens int64 (n, length) -> unit rows float32 (n, dim)
    text.onnx.data   the graph's weights, apart from it so that they are mapped into memory instead of copied;
                     a graph may take them from another file beside it instead
    tokenizer.json   the vocabulary in the format of Hugging Face's `tokenizers`, with truncation and padding
    pairs.npy        where that is CLIP's, the same as a table; see `archive.embedders.byte_pairs`
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from archive.embedders.cleaning import clean
from archive.embedders.rows import unit_rows
from archive.errors import WeightsMissing, WeightsRejected
from archive.runtimes.processors import processors
from archive.verified import has_digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from archive.types import Ids, Vectors
    from archive.verified import Verified

FORMAT = 1
DESCRIPTION = "tower.json"
GRAPH = "text.onnx"
GRAPH_WEIGHTS = "text.onnx.data"
VOCABULARY = "tokenizer.json"
FILES = (GRAPH, GRAPH_WEIGHTS, VOCABULARY)
BATCH = 64
REMEDY = "run `archive models use` with its pair, which exports it again"


class Description(NamedTuple):
    """What `tower.json` holds. `zeroed` is a token that becomes 0 before the graph sees it, where a config asks so."""

    space: str
    dim: int
    cleaning: str
    zeroed: int | None
    files: dict[str, str]
    format: int = FORMAT

    def dumps(self) -> str:
        """Its JSON."""
        return json.dumps(self._asdict(), indent=1, sort_keys=True) + "\n"


class Loaded(NamedTuple):
    """The parts that are read on first use."""

    session: Any
    tokenizer: Any


def tower_folder(towers: Path, space: str) -> Path:
    """The folder of a space's text tower, among all of them."""
    return towers / re.sub(r"[^A-Za-z0-9.-]+", "_", space)


class OnnxTextTower:
    """An exported text tower. Its files are verified, unless they were before, and read on first use.

    Raises:
        WeightsMissing: there is no tower in the folder.
        WeightsRejected: it was damaged or written by a newer version.
    """

    def __init__(self, folder: Path, verified: Verified | None = None) -> None:
        self._folder = folder
        self._verified = verified
        self._description = read_description(folder)

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
        batches = [self._embed_batch(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        return unit_rows(np.concatenate([np.empty((0, self.dim), np.float32), *batches]), "a text")

    def tokens(self, texts: Sequence[str]) -> Ids:
        """The token ids that the graph sees, int64 (n, length)."""
        return tokens(texts, self._description, self._loaded.tokenizer)

    def verify(self) -> None:
        """Compare its files with their checksums, but those that were verified before.

        Raises:
            WeightsRejected: one is missing or differs.
        """
        for name, expected in self._description.files.items():
            path = self._folder / name
            try:
                whole = has_digest(path, expected, self._verified)
            except OSError as error:
                raise WeightsRejected(f"{path} cannot be read; {REMEDY}") from error
            if not whole:
                raise WeightsRejected(f"{path} is damaged; {REMEDY}")

    def _embed_batch(self, texts: Sequence[str]) -> Vectors:
        (rows,) = self._loaded.session.run(None, {"tokens": self.tokens(texts)})
        vectors: Vectors = rows
        return vectors

    @cached_property
    def _loaded(self) -> Loaded:
        import onnxruntime
        from tokenizers import Tokenizer

        self.verify()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = processors()
        options.log_severity_level = 3
        graph = str(self._folder / GRAPH)
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        return Loaded(session, Tokenizer.from_file(str(self._folder / VOCABULARY)))


def tokens(texts: Sequence[str], description: Description, tokenizer: Any) -> Ids:  # noqa: ANN401
    """The token ids of texts, int64 (n, length), as a tower of that description wants them."""
    encodings = tokenizer.encode_batch([clean(text, description.cleaning) for text in texts])
    ids = np.array([encoding.ids for encoding in encodings], np.int64)
    if description.zeroed is not None:
        ids[ids == description.zeroed] = 0
    return ids


def read_description(folder: Path) -> Description:
    """What the tower in a folder is.

    Raises:
        WeightsMissing: there is none.
        WeightsRejected: its description is damaged, or of another version.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise WeightsMissing(f"there is no text tower in {folder}; {REMEDY}")
    try:
        description = Description(**json.loads(path.read_bytes()))
        complete = {GRAPH, VOCABULARY} <= description.files.keys()
    except (TypeError, ValueError, AttributeError) as error:
        raise WeightsRejected(f"{path} is damaged; {REMEDY}") from error
    if description.format != FORMAT or not complete:
        raise WeightsRejected(f"{path} was written by another version; {REMEDY}")
    return description
