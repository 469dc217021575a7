"""The search index from a hundred thousand vectors: `OMP_NUM_THREADS=1 python -m benchmarks.index [--full]`.

What is compared with what, in one process and on one thread:

flat     FAISS's IndexFlatIP over float32, which compares every vector
ours     the archive's own shards, and the vectors of their candidates from an SQLite file laid out as the catalog's

The vectors are made up after what is known of CLIP's: a spectrum that falls like a power, concepts of which few are
common, and words that ask about them from outside the cloud of pictures. Words that are asked are not those trained on.
`words_cpu_ms` is what the archive asks for words: all segments that score as much as the tenth best of all.

With `--full` the built-in pair looks at real photos, too, and ten million and a hundred million are measured, which
needs 24 GB of disk and goes best with 12 GB of memory. The hundred million are files of codes, each of ten copied ten
times: as much is read and computed as of other vectors, and every tenth best is as near as the best of a tenth.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np

from archive.catalog.candidates import vectors_of
from archive.catalog.driver import PAGE_SIZE, sqlite_module
from archive.indexes import container
from archive.indexes.faiss_shards import FaissIndex
from archive.sealing import LARGEST
from archive.types import ORDINAL_BITS
from benchmarks.spread import near_duplicates, real_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archive.types import Halves, Ids, Shard, Vectors

DIM = 512
SEGMENTS = 27
CONCEPTS = 20_000
TRAINED, ASKED = 1_500, 200
BEST = 10
BLOCK = SEGMENTS * 2_048
QUICK = (100_000, 1_000_000)
FULL = (100_000, 1_000_000, 10_000_000)
FLAT_MOST = 1_000_000
FARTHEST, COPIED_FROM = 100_000_000, 10_000_000
MOST, WORDS = 1 << 20, 20


class MadeUp(NamedTuple):
    """Vectors like CLIP's: `block` gives so many pictures, `words` are texts about things that are on them."""

    block: Callable[[int], Vectors]
    words: Vectors


def made_up(seed: int = 1) -> MadeUp:
    """A space of made-up vectors: two pictures have a cosine of .5 on average, words and their best picture .4."""
    random = np.random.default_rng(seed)
    spectrum = np.arange(1, DIM + 1, dtype=np.float32) ** -0.5

    def drawn(count: int) -> Vectors:
        return _unit(random.standard_normal((count, DIM), np.float32) * spectrum)

    concepts, (pictures, words) = drawn(CONCEPTS), drawn(2)
    words = _unit(words + 0.15 * pictures)
    common = 1 / random.permutation(np.arange(1, CONCEPTS + 1))
    common /= common.sum()

    def about(count: int, side: Vectors) -> Vectors:
        shown = random.choice(CONCEPTS, count, p=common)
        return _unit(concepts[shown] + 0.7 * drawn(count) + 1.25 * side)

    return MadeUp(
        lambda count: about(count, pictures).astype(np.float16).astype(np.float32), about(TRAINED + ASKED, words)
    )


class Store:
    """An SQLite file with packs as the catalog has them."""

    def __init__(self, path: Path, dim: int) -> None:
        self._path, self._dim = path, dim
        self._connection = sqlite_module().connect(path, isolation_level=None)
        for statement in (f"PRAGMA page_size = {PAGE_SIZE}", "PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF"):
            self._connection.execute(statement)
        self._connection.execute(
            """CREATE TABLE packs (id INTEGER PRIMARY KEY AUTOINCREMENT, photo_id, pair_id, count, crc, boxes,
               confidences, vectors, UNIQUE (pair_id, photo_id))"""
        )

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Keep vectors, whose ids are whole photos but for the last."""
        photos, begins = np.unique(ids >> ORDINAL_BITS, return_index=True)
        rows = [
            (int(photo), len(part), bytes(8 * len(part)), bytes(2 * len(part)), part.astype(np.float16).tobytes())
            for photo, part in zip(photos, np.split(vectors, begins[1:]), strict=True)
        ]
        self._connection.execute("BEGIN")
        insert = "INSERT INTO packs (photo_id, pair_id, count, crc, boxes, confidences, vectors) VALUES (?,1,?,0,?,?,?)"
        self._connection.executemany(insert, rows)
        self._connection.execute("COMMIT")

    def vectors_of(self, segments: Ids) -> tuple[Ids, Vectors]:
        """As the catalog gives them."""
        return vectors_of(self._connection, 1, self._dim, segments)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._path.stat().st_size

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def measure(*, full: bool) -> dict[str, object]:
    """Every figure: at each size, how the cost grows, what ten times more would cost, and on real vectors."""
    at = {str(size): _at(size) for size in (FULL if full else QUICK)}
    found: dict[str, object] = {"dim": DIM, "at": at, "growth_per_decade": _growth(at), "reckoned_1e8": _reckoned(at)}
    if full:
        vectors, frames, words = real_vectors()
        found["real"] = _compared(_blocks(vectors), words[:-ASKED], words[-ASKED:], vectors.shape[1])
        found["near_duplicates"] = near_duplicates(frames)
    return found


def _at(size: int) -> dict[str, float]:
    space = made_up()
    sizes = [BLOCK] * (size // BLOCK) + [size % BLOCK]
    return _compared(map(space.block, filter(None, sizes)), space.words[:TRAINED], space.words[TRAINED:], DIM)


def _compared(blocks: Iterator[Vectors], trained: Vectors, asked: Vectors, dim: int) -> dict[str, float]:
    """Build both, ask both, and say what each cost."""
    import faiss

    faiss.omp_set_num_threads(1)
    with TemporaryDirectory() as folder, closing(Store(Path(folder) / "packs", dim)) as store:
        index = FaissIndex(Path(folder) / "index", dim, ivf_at=0, stored=store.vectors_of, words=lambda: trained)
        flat, truth, building = faiss.IndexFlatIP(dim), _Truth(asked), _Building(index)
        for ids, block in _numbered(blocks):
            truth.look_at(ids, block)
            store.add(ids, block)
            if flat.ntotal < FLAT_MOST:
                flat.add(block)
            building.take(ids, block)
        building.finish()
        index.search(asked[:1], BEST)
        flat_ms = _cpu_ms(lambda row: flat.search(row, BEST), asked[:40]) * building.rows / flat.ntotal
        found: list[list[int]] = []
        ours_ms = _cpu_ms(lambda row: found.append([one.segment for one in index.search(row, BEST)]), asked)
        disk = sum(path.stat().st_size for path in (Path(folder) / "index").iterdir())
        bars = truth.bars()
        reached = [index.reaching(row, least, MOST) for row, least in zip(asked[:, np.newaxis], bars, strict=True)]
        farther = {}
        if building.rows >= COPIED_FROM:
            farther = _copied(building.shards, Path(folder) / "index", asked, bars, store)
        return {
            **farther,
            "vectors": building.rows,
            "recall_at_10": truth.recall(found),
            "cpu_ms": ours_ms,
            "flat_cpu_ms": flat_ms,
            "times_less_cpu_than_flat": flat_ms / ours_ms,
            "index_bytes_each": disk / building.rows,
            "packs_bytes_each": store.size / building.rows,
            "built_each_cpu_second": building.rows / building.cpu,
            "built_each_second": building.rows / building.wall,
            "training_cpu_seconds": building.first,
            "words_recall_at_10": truth.recall([one.segments.tolist() for one in reached]),
            **_words_ms(index, asked, bars),
        }


def _words_ms(index: FaissIndex, asked: Vectors, bars: Sequence[float]) -> dict[str, float]:
    """What it costs to name all segments that score so much for the first of what is asked."""
    began, before = perf_counter(), process_time()
    for row, least in zip(asked[:WORDS, np.newaxis], bars, strict=False):
        index.reaching(row, least, MOST)
    spent = {"words_cpu_ms": process_time() - before, "words_ms": perf_counter() - began}
    return {name: seconds / WORDS * 1000 for name, seconds in spent.items()}


def _copied(
    shards: Sequence[Shard], folder: Path, asked: Vectors, bars: Sequence[float], store: Store
) -> dict[str, dict[str, float]]:
    """What a search costs over so many copies of shards that they hold a hundred million vectors."""
    copies = -(-FARTHEST // sum(shard.count for shard in shards))
    every = [replace(shard, name=container.new_shard_name(1, 1)) for _ in range(copies) for shard in shards]
    for copy, shard in zip(every, cycle(shards), strict=False):
        copyfile(folder / shard.name, folder / copy.name)
    index = FaissIndex(folder, asked.shape[1], every, stored=lambda ids: store.vectors_of(np.unique(ids)))
    index.search(asked[:1], BEST)
    figures = {
        "vectors": float(len(index)),
        "cpu_ms": _cpu_ms(lambda row: index.search(row, BEST), asked[:WORDS]),
        "index_gigabytes": sum(shard.size for shard in every) / 1e9,
        **_words_ms(index, asked, bars),
    }
    for shard in every:
        index.remove(shard)
    return {"copied": figures}


class _Building:
    """Adds shards as large as the archive's largest; the seconds of the first, which trains, are kept apart."""

    def __init__(self, index: FaissIndex) -> None:
        self._index = index
        self._waiting: list[tuple[Ids, Halves]] = []
        self.shards: list[Shard] = []
        self.rows = 0
        self.cpu = self.wall = self.first = 0.0

    def take(self, ids: Ids, block: Vectors) -> None:
        """Vectors for the next shard, halves as in the catalog; the first is small, as where an archive grows."""
        self._waiting.append((ids, block.astype(np.float16)))
        waiting = sum(len(one) for one, _ in self._waiting)
        if waiting >= (LARGEST - BLOCK if self.rows else LARGEST // 8):
            self.finish()

    def finish(self) -> None:
        """Add what waits."""
        if not self._waiting:
            return
        ids, vectors = (np.concatenate(parts) for parts in zip(*self._waiting, strict=True))
        self._waiting.clear()
        if not self.rows:
            before = process_time()
            shard = self._index.add(ids, vectors, (1, 1))  # it trains; once more, it only adds
            self.first = process_time() - before
            self._index.remove(shard)
        began, before = perf_counter(), process_time()
        number = int(ids[0])
        self.shards.append(self._index.add(ids, vectors, (number, number)))
        self.cpu += process_time() - before
        self.wall += perf_counter() - began
        self.rows += len(ids)


class _Truth:
    """The true best of each query, kept up while vectors pass by."""

    def __init__(self, asked: Vectors) -> None:
        self._asked = asked
        self._ids = np.empty((len(asked), 0), np.int64)
        self._scores = np.empty((len(asked), 0), np.float32)

    def look_at(self, ids: Ids, block: Vectors) -> None:
        """Vectors that may be among them."""
        scores = np.concatenate([self._scores, self._asked @ block.T], axis=1)
        every = np.concatenate([self._ids, np.broadcast_to(ids, (len(self._asked), len(ids)))], axis=1)
        best = np.argsort(-scores, axis=1)[:, :BEST]
        self._ids, self._scores = np.take_along_axis(every, best, 1), np.take_along_axis(scores, best, 1)

    def bars(self) -> list[float]:
        """The score of the last of the true best, of each query."""
        bars: list[float] = self._scores[:, -1].tolist()
        return bars

    def recall(self, found: list[list[int]]) -> float:
        """The share of the true best that were found."""
        return float(
            np.mean([len({*ids} & {*best}) / BEST for ids, best in zip(found, self._ids.tolist(), strict=True)])
        )


def _growth(at: dict[str, dict[str, float]]) -> float:
    """By how much the cost is multiplied where vectors are ten times as many."""
    figures = sorted(at.values(), key=lambda one: one["vectors"])
    fewest, most = figures[0], figures[-1]
    decades = np.log10(most["vectors"] / fewest["vectors"])
    return float((most["cpu_ms"] / fewest["cpu_ms"]) ** (1 / decades))


def _reckoned(at: dict[str, dict[str, float]]) -> dict[str, float]:
    """A hundred million, reckoned: bytes and seconds grow with the vectors, a query by the measured power."""
    most = max(at.values(), key=lambda one: one["vectors"])
    decades = float(np.log10(FARTHEST / most["vectors"]))
    return {
        "cpu_ms": most["cpu_ms"] * _growth(at) ** decades,
        "index_gigabytes": most["index_bytes_each"] * FARTHEST / 1e9,
        "build_cpu_hours": FARTHEST / most["built_each_cpu_second"] / 3600,
    }


def _cpu_ms(ask: Callable[[Vectors], object], rows: Vectors) -> float:
    before = process_time()
    for row in rows[:, np.newaxis]:
        ask(row)
    return (process_time() - before) / len(rows) * 1000


def _numbered(blocks: Iterator[Vectors]) -> Iterator[tuple[Ids, Vectors]]:
    begun = 0
    for block in blocks:
        places = np.arange(begun, begun + len(block), dtype=np.int64)
        yield (places // SEGMENTS + 1) << ORDINAL_BITS | places % SEGMENTS, block
        begun += len(block)


def _blocks(vectors: Vectors) -> Iterator[Vectors]:
    return (vectors[start : start + BLOCK] for start in range(0, len(vectors), BLOCK))


def _unit(rows: Vectors) -> Vectors:
    unit: Vectors = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return unit


if __name__ == "__main__":
    click.echo(json.dumps(measure(full="--full" in sys.argv[1:]), indent=1))
