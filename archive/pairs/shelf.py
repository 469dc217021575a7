"""The shelf: which weights are on disk, fetching those of a pair, and where a pair's parts are loaded from.

<weights>/segmenters/FastSAM-s.pt                                shared by the pairs that use it
<weights>/embedders/<name>/open_clip_config.json                 written here from open_clip's own architecture
<weights>/embedders/<name>/open_clip_model.safetensors           a folder that open_clip opens as `local-dir:`
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from archive.errors import UsageError, WeightsMissing
from archive.pairs import checking, registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from archive.pairs.download import Progress
    from archive.pairs.registry import EmbedderSpec, PairSpec, Weights

CONFIG = "open_clip_config.json"


class State(StrEnum):
    """How much of something is on disk, going by names and sizes; the bytes are checked when they are used."""

    ON_DISK = "on disk"
    PARTIAL = "partial"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file of a pair, as `models list` shows it; `path` is where it is or would be."""

    file: str
    path: Path
    licence: str
    sha256: str | None
    size: int | None
    state: State


@dataclass(frozen=True, slots=True)
class PairRow:
    """One pair, as `models list` shows it.

    `size` is the sum of its files in bytes, None while one of them is neither known nor on disk. A pair is `pinned`
    where published sources name the sha256 of each file.
    """

    name: str
    segmenter: str
    embedder: str
    purpose: str
    licences: tuple[str, ...]
    size: int | None
    pinned: bool
    state: State
    files: tuple[FileRow, ...]


def listing(folder: Path) -> list[PairRow]:
    """Every pair of the registry, the default first. Hashes nothing and opens no connection."""
    return [_row(pair, folder) for pair in registry.PAIRS.values()]


def pull(
    name: str,
    folder: Path,
    *,
    trust_on_first_use: bool = False,
    progress: Callable[[Weights], Progress] | None = None,
) -> None:
    """Fetch what is missing of a pair; `progress` is asked for one callback for each file.

    Raises:
        UsageError: there is no such pair.
        WeightsRejected, DownloadFailed, ArchiveBusy: see `archive.pairs.download.fetch`.
    """
    from archive.pairs.download import fetch  # brings http and ssl, which nothing but a pull needs

    pair = registry.find(name)
    for weights, place in _places(pair, folder):
        fetch(
            weights,
            place,
            trust_on_first_use=trust_on_first_use,
            progress=progress(weights) if progress else None,
            pair=name,
        )
    checking.replace_json(_embedder_folder(pair, folder) / CONFIG, _config(pair.embedder))


def paths(name: str, folder: Path) -> tuple[Path | None, Path]:
    """The segmenter's weights, if it has any, and the embedder's folder, each file of them verified.

    Raises:
        UsageError: there is no such pair.
        WeightsMissing: a file is not on disk; the message names the command that fetches it.
        WeightsRejected: a file is not what it must be.
    """
    pair = registry.find(name)
    verified = [checking.verify(weights, place, pair=name) for weights, place in _places(pair, folder)]
    embedder = _embedder_folder(pair, folder)
    if not (embedder / CONFIG).is_file():
        raise WeightsMissing(f"{CONFIG} is not in {embedder}; `archive models pull {name}` writes it")
    return (verified[0] if pair.segmenter.weights else None), embedder


def _places(pair: PairSpec, folder: Path) -> list[tuple[Weights, Path]]:
    segmenter = [(pair.segmenter.weights, folder / "segmenters")] if pair.segmenter.weights else []
    return segmenter + [(weights, _embedder_folder(pair, folder)) for weights in pair.embedder.files]


def _embedder_folder(pair: PairSpec, folder: Path) -> Path:
    return folder / "embedders" / pair.embedder.name


def _row(pair: PairSpec, folder: Path) -> PairRow:
    files = tuple(_file_row(weights, place) for weights, place in _places(pair, folder))
    sizes = [file.size for file in files if file.size is not None]
    return PairRow(
        name=pair.name,
        segmenter=pair.segmenter.name,
        embedder=pair.embedder.name,
        purpose=pair.purpose,
        licences=tuple(dict.fromkeys(file.licence for file in files)),
        size=sum(sizes) if len(sizes) == len(files) else None,
        pinned=all(file.sha256 for file in files),
        state=_state_of(files, config=_embedder_folder(pair, folder) / CONFIG),
        files=files,
    )


def _file_row(weights: Weights, place: Path) -> FileRow:
    path = checking.place(weights, place)
    size = path.stat().st_size if path.is_file() else None
    if size is not None:
        state = State.ON_DISK if size == (weights.size or size) else State.PARTIAL
    else:
        state = State.PARTIAL if path.with_name(path.name + ".part").exists() else State.MISSING
    return FileRow(weights.file, path, weights.licence, weights.sha256, weights.size or size, state)


def _state_of(files: tuple[FileRow, ...], config: Path) -> State:
    states = {file.state for file in files}
    if states == {State.ON_DISK}:
        return State.ON_DISK if config.is_file() else State.PARTIAL
    return State.MISSING if states == {State.MISSING} else State.PARTIAL


def _config(embedder: EmbedderSpec) -> dict[str, object]:
    """What open_clip needs to know beside the weights, read from its package without importing it (8 s)."""
    package = find_spec("open_clip")
    if package is None or package.origin is None:
        raise UsageError("open_clip is not installed; `pip install open-clip-torch` brings it")
    architecture = Path(package.origin).parent / "model_configs" / f"{embedder.architecture}.json"
    return {
        "model_cfg": json.loads(architecture.read_text(encoding="utf-8")),
        "preprocess_cfg": asdict(embedder.preprocessing),
    }
