"""The parts of an archive: which segmenter, embedder and pair a name means, made ready to work.

A part without weights has a line in SEGMENTERS or EMBEDDERS; parts with weights are told apart in `_segmenter` and
`_embedder`. With `archive.bootstrap`, which puts the parts together, the only place that names concrete ones.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from archive.errors import SpaceMismatch, UsageError
from archive.pairs.shipped import is_shipped, shipped_folder
from archive.settings import PairChoice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archive.examples import Looking
    from archive.observation import Observer
    from archive.protocols import Embedder, Segmenter, TextEmbedder
    from archive.runtimes.kept import Precision
    from archive.segmenters.one_look import OneLookNetwork
    from archive.settings import Settings
    from archive.types import Pack, Pair, Vectors


def _grid() -> Segmenter:
    from archive.segmenters.grid import GridSegmenter

    return GridSegmenter()


def _whole() -> Segmenter:
    from archive.segmenters.whole import WholeSegmenter

    return WholeSegmenter()


SEGMENTERS: dict[str, Callable[[], Segmenter]] = {"grid": _grid, "whole": _whole}
"""Segmenters that need no weights, by the name that `--segmenter` takes."""


EMBEDDERS: dict[str, Callable[[], Embedder]] = {}
"""Embedders that need no weights, by the name that `--embedder` takes."""


def words(pair: Pair, settings: Settings) -> TextEmbedder:
    """The text half of a pair, without torch."""
    if pair.embedder_source in EMBEDDERS:
        return EMBEDDERS[pair.embedder_source]()
    from archive.embedders import plain_tower
    from archive.verified import Verified

    verified = Verified(settings.home)
    if is_shipped(pair.embedder_source):
        tower = plain_tower.PlainTextTower(shipped_folder(pair.embedder_source), verified)
        if tower.space != pair.space:
            raise SpaceMismatch(
                f"the pair {pair.name!r} that comes with this version is not the one that this archive was made with; "
                "run `archive models use auto`, then `archive reembed`"
            )
        return tower
    from archive.embedders.text_tower import OnnxTextTower, tower_folder
    from archive.pairs import shelf

    exported = tower_folder(settings.towers, pair.space)
    if weights := shelf.text_weights(pair.embedder_source, settings.weights):
        plain = plain_tower.of_folder(plain_tower.Weights(*weights), exported, pair.space, verified)
        if plain is not None:
            return plain
    return OnnxTextTower(exported, verified)


class WordsToAsk:
    """The text half of a pair for one question: loaded when a text has no vector yet, as most have that come again."""

    def __init__(self, pair: Pair, settings: Settings) -> None:
        self._pair = pair
        self._settings = settings

    @property
    def space(self) -> str:
        """The space of its vectors."""
        return self._pair.space

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._pair.dim

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """One unit row for each text, in order. Raises what `words` does."""
        return self._words.embed_text(texts)

    @functools.cached_property
    def _words(self) -> TextEmbedder:
        return words(self._pair, self._settings)


def looking(pair: Pair, settings: Settings) -> Looking:
    """The image side of a pair, at work.

    Raises:
        SpaceMismatch: its files are no longer what they were, or this version looks otherwise.
    """
    from archive.examples import Looking
    from archive.observation import CONTEXT
    from archive.pairs.registry import PAIRS
    from archive.runtimes.kept import precision_of

    _compute_side_by_side()
    embedder = _embedder(pair.embedder_source, settings, precision_of(pair.space))
    if embedder.space != pair.space:
        raise SpaceMismatch(
            f"the embedder {pair.embedder_source} is not what the archive was made with: its files changed, or "
            "this version looks otherwise; put them back, or choose it anew with `archive models use`, then `archive "
            "reembed`"
        )
    return Looking(embedder, PAIRS[pair.name].crop_context if pair.name in PAIRS else CONTEXT)


def observer(
    settings: Settings, choice: PairChoice, current: Pair | None, known: Sequence[Pair] = ()
) -> tuple[Observer, Pair]:
    """The pair that a command asked for, at work; what the choice leaves open is taken from the current pair.

    Parts that one of the `known` pairs has, or the current one, keep their precision; the first that has them decides.

    Raises:
        UsageError: there is no pair of the chosen name.
        WeightsMissing: a part is not on disk; the message names the command that fetches it.
        SpaceMismatch: nothing was chosen, but the current pair's files are no longer what they were.
    """
    from archive.observation import Observer
    from archive.pairs.registry import PAIRS, find

    _compute_side_by_side()
    asked = choice != PairChoice()
    named = _pair_name(choice.name, current, settings)
    segmenter_source = choice.segmenter or named or (current.segmenter_source if current else "")
    embedder_source = choice.embedder or named or (current.embedder_source if current else "")
    name = segmenter_source if segmenter_source == embedder_source and segmenter_source in PAIRS else "custom"
    kept = _kept_precisions(_absolute(segmenter_source), _absolute(embedder_source), known or [current])
    segmenter = _segmenter(segmenter_source, settings, kept[0])
    embedder = _embedder(embedder_source, settings, kept[1])
    if name in PAIRS:
        seeing = Observer(segmenter, embedder, find(name).cleanup, find(name).crop_context)
    else:
        seeing = Observer(segmenter, embedder)
    pair = seeing.pair(name, _absolute(segmenter_source), _absolute(embedder_source))
    if not asked and current and not same(pair, current):
        raise SpaceMismatch(
            f"the pair {current.name!r} is not what the archive was made with: its files changed, or this version "
            "looks otherwise; put them back, or choose it anew with `archive models use`, then `archive reembed`"
        )
    return seeing, pair


def _kept_precisions(
    segmenter_source: str, embedder_source: str, known: Sequence[Pair | None]
) -> tuple[Precision | None, Precision | None]:
    """The precisions that an archive was made with, for those parts that stay; None where this machine may choose.

    An archive keeps its spaces wherever it is used, so a machine that would be faster with other ones goes without.
    """
    from archive.runtimes.kept import precision_of

    pairs = [pair for pair in known if pair is not None]
    segmenters = (precision_of(pair.segmenter) for pair in pairs if pair.segmenter_source == segmenter_source)
    spaces = (precision_of(pair.space) for pair in pairs if pair.embedder_source == embedder_source)
    return next(segmenters, None), next(spaces, None)


def watching(settings: Settings, pair: Pair) -> Callable[[bytes], Pack]:
    """The pair at work on another machine: it makes a pack of a photo's bytes.

    Raises:
        WeightsMissing: a part is not on that machine's disk.
        SpaceMismatch: its files there are not those that the archive was made with.
    """
    from archive.photos.reading import decode

    seeing, _ = observer(settings, PairChoice(), pair)
    return lambda content: seeing.observe(decode(content).pixels)


def same(one: Pair, other: Pair) -> bool:
    """Whether two pairs give the same boxes and vectors, wherever their files are."""
    return (one.segmenter, one.space) == (other.segmenter, other.space)


def advice(settings: Settings, choice: PairChoice) -> str | None:
    """What a first ingest that has no larger pair than the built-in one could do better, in a line."""
    from archive.pairs import registry, shelf

    if settings.catalog.exists() or choice != PairChoice():
        return None
    best = shelf.best(settings.weights)
    if not is_shipped(best):
        return None
    better = shelf.row(registry.PREFERRED[0], settings.weights)
    size = "" if better.size is None else f"{better.size / 1e6:,.0f} MB, "
    return (
        f"using the built-in pair {best}; `archive models pull {better.name}` "
        f"({size}{', '.join(better.licences)}) would bring better answers"
    )


def preparation(settings: Settings, choice: PairChoice, current: Pair | None) -> str | None:
    """What is about to be done once for a pair that was pulled, in a line; None where nothing is left to do."""
    from archive.pairs import registry
    from archive.runtimes.kept import DESCRIPTION

    named = _pair_name(choice.name, current, settings)
    segmenter = choice.segmenter or named or (current.segmenter_source if current else "")
    embedder = choice.embedder or named or (current.embedder_source if current else "")
    wanted = []
    if segmenter in registry.PAIRS and (weights := registry.find(segmenter).segmenter.weights):
        wanted.append(f"yolo-{(weights.sha256 or '')[:12]}-{registry.find(segmenter).segmenter.size}px")
    if embedder in registry.PAIRS and not is_shipped(embedder):
        wanted += [f"*@{(file.sha256 or '')[:12]}-*" for file in registry.find(embedder).embedder.files[:1]]
    if all(any(settings.graphs.glob(f"{folder}/{DESCRIPTION}")) for folder in wanted):
        return None
    return "fitting the models to this machine, which takes a minute and is done once"


def _pair_name(asked: str | None, current: Pair | None, settings: Settings) -> str | None:
    """The registry's pair that a command means; None where it goes on with the parts that the archive has.

    Raises:
        UsageError: there is no pair of that name.
    """
    from archive.pairs import registry, shelf

    if asked == registry.AUTO or (asked is None and current is None):
        return shelf.best(settings.weights)
    return registry.find(asked).name if asked else None


def _compute_side_by_side() -> None:
    """Have torch compute each photo on one thread; several photos are observed at a time instead.

    Threads that share one photo wait for one another at every layer. On two cores with one other busy process, 16 crops
    through MobileNetV2 took 0.5 s on one thread and 4 to 6 s on two. torch reads the variable when it is imported.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _segmenter(source: str, settings: Settings, precision: Precision | None) -> Segmenter:
    from archive.pairs import registry, shelf
    from archive.segmenters.sam import SamSegmenter, is_sam
    from archive.segmenters.yolo import UltralyticsSegmenter

    if source in SEGMENTERS:
        return SEGMENTERS[source]()
    if source not in registry.PAIRS:
        own = _existing(source, "--segmenter")
        return SamSegmenter(own) if is_sam(own) else UltralyticsSegmenter(own)
    spec = registry.find(source).segmenter
    if spec.kind == "one-look":
        from archive.segmenters.one_look import OneLookSegmenter

        return OneLookSegmenter(_network(source), confidence=spec.confidence)
    weights, _ = shelf.paths(source, settings.weights)
    if weights is None:
        return SEGMENTERS[spec.kind]()
    if spec.kind == "sam":
        return SamSegmenter(weights)
    return UltralyticsSegmenter(
        weights,
        size=spec.size,
        confidence=spec.confidence,
        overlap=spec.overlap,
        graphs=settings.graphs,
        precision=precision,
    )


def _embedder(source: str, settings: Settings, precision: Precision | None) -> Embedder:
    if source in EMBEDDERS:
        return EMBEDDERS[source]()
    from archive.embedders.openclip import OpenClipEmbedder
    from archive.pairs import registry, shelf

    if is_shipped(source):
        from archive.embedders.pooled import PooledEmbedder

        return PooledEmbedder(shipped_folder(source), _network(source).see)
    if source in registry.PAIRS:
        _, folder = shelf.paths(source, settings.weights)
        return OpenClipEmbedder(folder, settings.towers, graphs=settings.graphs, precision=precision)
    return OpenClipEmbedder(_existing(source, "--embedder"), settings.towers)


@functools.cache
def _network(source: str) -> OneLookNetwork:
    """The network of a shipped pair, once: its segmenter and its embedder look through the same eyes."""
    from archive.pairs import registry
    from archive.segmenters.one_look import OneLookNetwork

    spec = registry.find(source).segmenter
    weights = shipped_folder(source) / "segmenter.onnx"
    return OneLookNetwork(weights, size=spec.size, closer=spec.closer)


def _existing(source: str, option: str) -> Path:
    path = Path(source).expanduser()
    if not path.exists():
        raise UsageError(f"{option} {source}: there is no such file or folder")
    return path


def _absolute(source: str) -> str:
    """A source as it is remembered: a path must not depend on where the command was run, and a name is no path."""
    from archive.pairs.registry import PAIRS

    if source in {*SEGMENTERS, *EMBEDDERS, *PAIRS}:
        return source
    path = Path(source).expanduser()
    return str(path.absolute()) if path.exists() else source
