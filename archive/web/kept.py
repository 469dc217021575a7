"""What a server keeps between two questions: index, text half, decoded packs, and the pictures last shown."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from archive import asking, bootstrap, indexing, parts
from archive.catalog.idle import IdleConnections
from archive.kept import Kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from archive.catalog.reader import CatalogReader
    from archive.indexes.faiss_shards import FaissIndex
    from archive.indexes.milvus import MilvusIndex
    from archive.protocols import TextEmbedder, VectorIndex
    from archive.settings import Settings
    from archive.types import Pair


class KeptParts:
    """Index and text half, made once and kept while they hold; several threads may ask.

    Each question has a view of the catalog of its own: one that stayed open would keep its log from being truncated. An
    index holds as long as the catalog names the same shards, so a new commit is seen
    at once, and one that changes no shard costs nothing.
    """

    def __init__(self) -> None:
        self._making = Lock()
        self._index: tuple[object, FaissIndex | MilvusIndex] | None = None
        self._words: tuple[Pair, TextEmbedder] | None = None
        self._packs = Kept()
        self.idle = IdleConnections()
        # One thread, which ends what it has begun before the process does. What goes wrong there is told by the next
        # question, which meets the same.
        self._afterwards = ThreadPoolExecutor(1, "afterwards")

    @property
    def supply(self) -> asking.Supply:
        """What `asking.ask` takes."""
        return asking.Supply(self.index, self.words, self._packs, self.idle, self._afterwards.submit)

    def index(self, settings: Settings, source: CatalogReader, pair_id: int, pair: Pair) -> VectorIndex:
        """The index of a pair, over the shards that the catalog names now."""
        manifest = (source.state.uuid, pair_id, tuple(source.shards(pair_id)))
        with self._making:
            if self._index is None or self._index[0] != manifest:
                self._index = (manifest, indexing.index_to_ask(settings, source, pair_id, pair))
            return self._index[1].over(partial(source.vectors_of, pair_id, pair.dim))

    def warm(self, settings: Settings) -> None:
        """Begin to load what every question needs, so that the first one does not wait for all of it.

        Of photos nothing is kept: somebody may erase some before anybody asks.
        """
        self._afterwards.submit(self._load, settings)

    def _load(self, settings: Settings) -> None:
        with bootstrap.reading(settings, idle=self.idle) as reader:
            if answering := reader.answering():
                self.words(answering[1], settings).embed_text(["a photo"])
                len(self.index(settings, reader, *answering))  # opens the shards
        self.let_go()

    def let_go(self) -> None:
        """Drop all that is made of photos: some were erased, and a shard's file stays for as long as it is mapped."""
        with self._making:
            self._index = None
        self._packs.let_go()
        self.idle.let_go()

    def words(self, pair: Pair, settings: Settings) -> TextEmbedder:
        """The text half of a pair, with its weights in memory once they were used."""
        with self._making:
            if self._words is None or self._words[0] != pair:
                self._words = (pair, parts.words(pair, settings))
            return self._words[1]


class KeptPictures:
    """The views last made, in memory only: going back and forth does not decode them again.

    They are dropped whenever the archive has changed, so that nothing of a photo outlives it here.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._state: object = None

    def hold_for(self, state: object) -> None:
        """Drop everything unless the archive's state is what it was the last time."""
        with self._lock:
            if state != self._state:
                self._state = state
                self._kept.clear()

    def get(self, digest: str, make: Callable[[], bytes]) -> bytes:
        """The picture of that original, made now if it is not kept."""
        with self._lock:
            kept = self._kept.get(digest)
            if kept is not None:
                self._kept.move_to_end(digest)
                return kept
        made = make()
        with self._lock:
            self._kept[digest] = made
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return made
