"""The index of a pair, from settings: the home's own shards, or the Milvus that the configuration names."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from archive import parts
from archive.disk import sync
from archive.errors import ArchiveError

if TYPE_CHECKING:
    from archive.catalog.reader import CatalogReader
    from archive.catalog.writer import Catalog
    from archive.indexes.faiss_shards import FaissIndex
    from archive.indexes.milvus import MilvusIndex
    from archive.settings import Settings
    from archive.types import Pair, Vectors
    from archive.verified import Verified


def index(
    settings: Settings, source: Catalog | CatalogReader, pair_id: int, pair: Pair, verified: Verified | None = None
) -> FaissIndex | MilvusIndex:
    """The index of a pair, over the shards that the catalog's manifest names.

    A reader searches, and its own vectors decide. A writer adds, and the first large shard is built for the words that
    the pair's text side knows; a training that too much was forgotten of is not built upon any more.
    """
    from archive.catalog.reader import CatalogReader
    from archive.indexes.faiss_shards import FaissIndex

    if settings.cluster and settings.cluster.vectors:
        return _in_milvus(settings.cluster.vectors, source, pair_id, pair)
    folder, shards = settings.shards / str(pair_id), source.shards(pair_id)
    if isinstance(source, CatalogReader):
        stored = partial(source.vectors_of, pair_id, pair.dim)
        return FaissIndex(folder, pair.dim, shards, stored=stored, verified=verified)
    found = FaissIndex(folder, pair.dim, shards, words=partial(_asked_words, settings, pair))
    found.unlearn(partial(source.vectors_between, pair_id))
    return found


def index_to_ask(settings: Settings, source: CatalogReader, pair_id: int, pair: Pair) -> FaissIndex | MilvusIndex:
    """The same for a query: files found whole before, to which nobody wrote since, are not hashed again."""
    from archive.verified import Verified

    return index(settings, source, pair_id, pair, Verified(settings.home))


def drop_unknown(settings: Settings, catalog: Catalog) -> None:
    """Erase shards of pairs that the catalog does not know, as a process leaves them that was killed dropping one.

    Only beside a catalog of the home's own: another's pairs say nothing about the home's folders.
    """
    if catalog.is_shared or not settings.shards.exists():
        return
    import shutil

    known = {str(pair_id) for pair_id in catalog.pairs()}
    for folder in sorted(settings.shards.iterdir()):
        if folder.is_dir() and folder.name.isdecimal() and folder.name not in known:
            shutil.rmtree(folder)
            sync(settings.shards)


def _in_milvus(url: str, source: Catalog | CatalogReader, pair_id: int, pair: Pair) -> MilvusIndex:
    from archive.indexes.milvus import MilvusIndex
    from archive.indexes.milvus_collection import Address

    address = Address.parse(url)
    return MilvusIndex(address, address.collection(source.state.uuid, pair_id), pair.dim, source.shards(pair_id))


def _asked_words(settings: Settings, pair: Pair) -> Vectors:
    """The vectors of texts like those that are asked; none where the pair's text side is not at hand."""
    import numpy as np

    from archive.indexes.phrases import phrases

    texts = phrases()
    try:
        words = parts.words(pair, settings)
        return np.concatenate([words.embed_text(texts[start : start + 64]) for start in range(0, len(texts), 64)])
    except ArchiveError:
        return np.empty((0, pair.dim), np.float32)
