"""Exports the text half of an open_clip model, so that a query needs neither torch nor open_clip."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archive.disk import sync
from archive.embedders.byte_pairs import TABLE
from archive.embedders.folder import file_digest
from archive.embedders.quiet import quiet
from archive.embedders.text_tower import DESCRIPTION, GRAPH, VOCABULARY, Description
from archive.embedders.vocabulary import vocabulary_of
from archive.errors import WeightsRejected

if TYPE_CHECKING:
    import torch

    from archive.embedders.folder import OpenClipFolder

MASK = "attn_mask"
PLACED = ("positional_embedding", MASK)


def export_text_tower(
    folder: OpenClipFolder,
    towers: Any,  # noqa: ANN401
    target: Path,
    *,
    space: str | None = None,
) -> None:
    """Write the tower into `target`, whole or not at all; a damaged one that stood there is replaced.

    `space` is the name of its vectors where that is not the folder's own.

    Raises:
        WeightsRejected: torch cannot turn this tower into a graph, or its vocabulary is not supported.
    """
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as scratch:
        built = Path(scratch) / "tower"
        built.mkdir(mode=0o700)
        vocabulary = vocabulary_of(folder)
        padding = vocabulary.tokenizer.padding
        free_length = _padding_changes_nothing(towers, padding["direction"])
        if free_length:
            vocabulary.tokenizer.enable_padding(**padding | {"length": None})  # to the longest of a batch
        vocabulary.tokenizer.save(str(built / VOCABULARY))
        _export_graph(towers, padding["length"], built / GRAPH, free_length=free_length)
        if vocabulary.pairs is not None:
            np.save(built / TABLE, vocabulary.pairs)
        files = {path.name: file_digest(path) for path in sorted(built.iterdir())}
        description = Description(space or folder.space, folder.dim, vocabulary.cleaning, vocabulary.zeroed, files)
        (built / DESCRIPTION).write_text(description.dumps(), encoding="utf-8")
        for place in (*built.iterdir(), built):
            sync(place)
        _put(built, target)


def _put(built: Path, target: Path) -> None:
    """Let a tower stand in its place. There is no moment without one: over an older tower, file goes over file.

    The description, which has the digests of the others, goes last: what a kill leaves half replaced is no worse than
    the damaged tower that stood there.
    """
    if target.is_dir():
        for name in sorted({path.name for path in built.iterdir()} - {DESCRIPTION}):
            (built / name).replace(target / name)
        (built / DESCRIPTION).replace(target / DESCRIPTION)
        sync(target)
    else:
        built.rename(target)
    sync(target.parent)


def _export_graph(towers: Any, context: int, path: Path, *, free_length: bool) -> None:  # noqa: ANN401
    """One graph from tokens to unit rows; the number of texts is free, and with `free_length` their length too."""
    import torch

    side, length, free = _text_side(towers), context, {0: torch.export.Dim("texts")}
    if free_length:
        side, length = _short_text_side(side), max(2, context // 2)
        free[1] = torch.export.Dim("length", max=context)
    try:
        with quiet(), torch.inference_mode():
            torch.onnx.export(
                side.eval(),
                (torch.ones(2, length, dtype=torch.int64),),
                str(path),
                input_names=["tokens"],
                output_names=["rows"],
                dynamic_shapes={"tokens": free},
                dynamo=True,
                external_data=True,
                verbose=False,
            )
    except RuntimeError as error:  # every error of the exporter is one
        raise WeightsRejected("torch cannot export this text tower; choose another embedder") from error


def _text_side(towers: Any) -> torch.nn.Module:  # noqa: ANN401
    """open_clip's own `encode_text`, as a network of its own."""
    import torch

    class TextSide(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.towers = towers

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            rows: torch.Tensor = self.towers.encode_text(tokens, normalize=True)
            return rows

    return TextSide()


def _short_text_side(whole: torch.nn.Module) -> torch.nn.Module:
    """The same, with what belongs to each place in a text cut to the places that are there."""
    import torch

    class ShortTextSide(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole = whole
            weights = dict((*whole.named_parameters(), *whole.named_buffers()))
            self.placed = {name: value for name, value in weights.items() if name.endswith(PLACED)}

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            length = tokens.shape[1]
            cut = {
                name: value[:length, :length] if name.endswith(MASK) else value[:length]
                for name, value in self.placed.items()
            }
            rows: torch.Tensor = torch.func.functional_call(self.whole, cut, (tokens,))
            return rows

    return ShortTextSide()


def _padding_changes_nothing(towers: Any, direction: str) -> bool:  # noqa: ANN401
    """Whether a text's vector is the same with and without padding, so that a query need not pay for it.

    It is where each token sees those before it only and the row is read where the text ends (CLIP), and where the
    encoder masks its padding (transformers). MobileCLIP's and SigLIP's towers look at their padding.
    """
    text = getattr(towers, "text", towers)
    if hasattr(text, "pooler"):
        return direction == "right"
    pooling = getattr(towers, "text_pool_type", None) or getattr(text, "pool_type", None)
    causal = getattr(text, "attn_mask", None) is not None and getattr(text, "cls_emb", None) is None
    return causal and pooling in ("argmax", "eos")
