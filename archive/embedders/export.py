"""Exports the text half of an open_clip model, so that a query needs neither torch nor open_clip."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archive.embedders.folder import file_digest
from archive.embedders.quiet import quiet
from archive.embedders.text_tower import DESCRIPTION, FILES, GRAPH, VOCABULARY, Description
from archive.embedders.vocabulary import vocabulary_of
from archive.errors import WeightsRejected

if TYPE_CHECKING:
    from archive.embedders.folder import OpenClipFolder


def export_text_tower(folder: OpenClipFolder, towers: Any, target: Path) -> None:  # noqa: ANN401
    """Write the tower into `target`, whole or not at all; what stood there before is replaced.

    Raises:
        WeightsRejected: torch cannot turn this tower into a graph, or its vocabulary is not supported.
    """
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as scratch:
        built = Path(scratch) / "tower"
        built.mkdir(mode=0o700)
        vocabulary = vocabulary_of(folder)
        vocabulary.tokenizer.save(str(built / VOCABULARY))
        _export_graph(towers, vocabulary.tokenizer.padding["length"], built / GRAPH)
        files = {name: file_digest(built / name) for name in FILES}
        description = Description(folder.space, folder.dim, vocabulary.cleaning, vocabulary.zeroed, files)
        (built / DESCRIPTION).write_text(description.dumps(), encoding="utf-8")
        for place in (*built.iterdir(), built):
            _fsync(place)
        if target.exists():
            shutil.rmtree(target)
        built.rename(target)
    _fsync(target.parent)


def _export_graph(towers: Any, context: int, path: Path) -> None:  # noqa: ANN401
    """One graph from tokens to unit rows; only the number of texts is free."""
    import torch

    class TextSide(torch.nn.Module):
        """open_clip's own `encode_text`, as the graph's whole."""

        def __init__(self) -> None:
            super().__init__()
            self.towers = towers

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            rows: torch.Tensor = self.towers.encode_text(tokens, normalize=True)
            return rows

    example = torch.ones(2, context, dtype=torch.int64)
    try:
        with quiet(), torch.inference_mode():
            torch.onnx.export(
                TextSide().eval(),
                (example,),
                str(path),
                input_names=["tokens"],
                output_names=["rows"],
                dynamic_shapes={"tokens": {0: torch.export.Dim("texts")}},
                dynamo=True,
                external_data=True,
                verbose=False,
            )
    except RuntimeError as error:  # every error of the exporter is one
        raise WeightsRejected("torch cannot export this text tower; choose another embedder") from error


def _fsync(path: Path) -> None:
    """Force a file or folder onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
