"""The shelf: which weights are on disk, fetching those of a pair, and where a pair's parts are loaded from.

<weights>/segmenters/FastSAM-s.pt                                shared by the pairs that use it
<weights>/embedders/<name>/open_clip_config.json                 written here from open_clip's own architecture
<weights>/embedders/<name>/open_clip_model.safetensors           a folder that open_clip opens as `local-dir:`
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from archive.errors import UsageError, WeightsMissing
from archive.pairs import checking, registry
from archive.pairs.shipped import shipped_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archive.pairs.download import Progress
    from archive.pairs.registry import EmbedderSpec, PairSpec, Weights

CONFIG = "open_clip_config.json"
SHIPPED_LICENCE = "AGPL-3.0"
WEIGHTS_SUFFIXES = (".onnx", ".safetensors")


class State(StrEnum):
    """How much of something is on disk, going by names and sizes; the bytes are checked when they are used."""

    ON_DISK = "on disk"
    PARTIAL = "partial"
    MISSING = "missing"


class FileRow(NamedTuple):
    """One file of a pair, as `models list` shows it; `path` is where it is or would be."""

    file: str
    path: Path
    licence: str
    sha256: str | None
    size: int | None
    state: State


class PairRow(NamedTuple):
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
    """Every pair of the registry, the recommended one first. Opens no connection, and hashes only what is shipped."""
    return [row(name, folder) for name in registry.PAIRS]


def best(folder: Path) -> str:
    """The best pair that is on disk and may be chosen unasked; going by names and sizes, it hashes nothing."""
    for name in registry.PREFERRED:
        pair = registry.find(name)
        if pair.shipped or _state(pair, tuple(_pulled_rows(pair, folder)), folder) is State.ON_DISK:
            return name
    raise UsageError("no pair of models is on disk; `archive models pull standard` fetches one")


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
    if pair.shipped:
        return
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


def text_weights(name: str, folder: Path) -> tuple[Path, str] | None:
    """Where the embedder of a pair of that name would be, and the sha256 of its weights; None where nobody knows."""
    if name not in registry.PAIRS:
        return None
    pair = registry.find(name)
    pinned = [weights.sha256 for weights in pair.embedder.files if weights.sha256]
    return (_embedder_folder(pair, folder), pinned[0]) if pinned else None


def _places(pair: PairSpec, folder: Path) -> list[tuple[Weights, Path]]:
    segmenter = [(pair.segmenter.weights, folder / "segmenters")] if pair.segmenter.weights else []
    return segmenter + [(weights, _embedder_folder(pair, folder)) for weights in pair.embedder.files]


def _embedder_folder(pair: PairSpec, folder: Path) -> Path:
    return folder / "embedders" / pair.embedder.name


def row(name: str, folder: Path) -> PairRow:
    """One pair of the registry.

    Raises:
        UsageError: there is no such pair.
    """
    pair = registry.find(name)
    files = tuple(_shipped_rows(pair) if pair.shipped else _pulled_rows(pair, folder))
    sizes = [file.size for file in files if file.size is not None]
    return PairRow(
        name=pair.name,
        segmenter=pair.segmenter.name,
        embedder=pair.embedder.name,
        purpose=pair.purpose,
        licences=tuple(dict.fromkeys(file.licence for file in files)),
        size=sum(sizes) if len(sizes) == len(files) else None,
        pinned=all(file.sha256 for file in files),
        state=_state(pair, files, folder),
        files=files,
    )


def _pulled_rows(pair: PairSpec, folder: Path) -> Iterator[FileRow]:
    for weights, place in _places(pair, folder):
        yield _file_row(weights, place)


def _shipped_rows(pair: PairSpec) -> Iterator[FileRow]:
    for path in sorted(shipped_folder(pair.name).iterdir()):
        if path.suffix in WEIGHTS_SUFFIXES:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            yield FileRow(path.name, path, SHIPPED_LICENCE, digest, path.stat().st_size, State.ON_DISK)


def _file_row(weights: Weights, place: Path) -> FileRow:
    path = checking.place(weights, place)
    size = path.stat().st_size if path.is_file() else None
    if size is not None:
        state = State.ON_DISK if size == (weights.size or size) else State.PARTIAL
    else:
        state = State.PARTIAL if path.with_name(path.name + ".part").exists() else State.MISSING
    return FileRow(weights.file, path, weights.licence, weights.sha256, weights.size or size, state)


def _state(pair: PairSpec, files: tuple[FileRow, ...], folder: Path) -> State:
    if pair.shipped:
        return State.ON_DISK
    states = {file.state for file in files}
    if states == {State.ON_DISK}:
        return State.ON_DISK if (_embedder_folder(pair, folder) / CONFIG).is_file() else State.PARTIAL
    return State.MISSING if states == {State.MISSING} else State.PARTIAL


def _config(embedder: EmbedderSpec) -> dict[str, object]:
    """What open_clip needs to know beside the weights, read from its package without importing it (8 s)."""
    package = find_spec("open_clip")
    if package is None or package.origin is None:
        raise UsageError("open_clip is not installed; `pip install open-clip-torch` brings it")
    architecture = Path(package.origin).parent / "model_configs" / f"{embedder.architecture}.json"
    return {
        "model_cfg": json.loads(architecture.read_text(encoding="utf-8")),
        "preprocess_cfg": embedder.preprocessing._asdict(),
    }
