"""Asking: a query in, the answer of one archive out, from the parts that the composition root makes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from archive import bootstrap, indexing, parts
from archive.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from archive.catalog.idle import IdleConnections
    from archive.catalog.reader import CatalogReader
    from archive.kept import Kept
    from archive.protocols import TextEmbedder, VectorIndex
    from archive.settings import Settings
    from archive.types import Answer, Example, Pair, Query, Vectors


class Supply(NamedTuple):
    """Where a query gets what it works with: those of the composition root, or ones that keep what they made.

    What need not be done before the answer is handed to `later`, and done before it where there is none.
    """

    index_to_ask: Callable[[Settings, CatalogReader, int, Pair], VectorIndex]
    words: Callable[[Pair, Settings], TextEmbedder]
    kept: Kept | None = None
    idle: IdleConnections | None = None
    later: Callable[[Callable[[], object]], object] | None = None


def ask(
    query: Query,
    settings: Settings,
    likes: Sequence[str] = (),
    like_hits: Sequence[int] = (),
    *,
    like_segments: Sequence[int] = (),
    supply: Supply | None = None,
    is_last: bool = True,
) -> Answer:
    """Answer a query from the archive of these settings.

    `likes` are examples, `FILE` or `FILE@left,top,right,bottom`; `like_hits` are hits of the last answer, and
    `like_segments` segments of the archive. A `supply` that keeps what it made makes the next answer faster. An answer
    that `is_last` is remembered for the next query to point at.

    Raises:
        UsageError: an example is none.
        ArchiveError: nothing was ever ingested.
    """
    from archive import last_answer
    from archive.aftermath import by_pixels
    from archive.pairs.shipped import calibration
    from archive.search import search

    made = supply or Supply(indexing.index_to_ask, parts.WordsToAsk)

    def remember(space: str, text: str, vector: Vectors) -> None:
        from archive.catalog.texts import remember_text

        place = bootstrap.catalog_place(settings)
        note = partial(remember_text, place, settings.home, space, text, vector)
        if made.later is None:
            note()
        else:
            made.later(note)

    with bootstrap.reading(settings, idle=made.idle) as reader:
        pair_id, pair = bootstrap.answering_pair(reader, settings)
        shown = reader.examples(pair_id, like_segments)
        if likes or like_hits:
            shown += _examples(likes, like_hits, reader, (pair_id, pair), settings)
        if not (query.text or shown):
            raise UsageError("what was to be the example is no longer in the archive; ask with words")
        found, tower = made.index_to_ask(settings, reader, pair_id, pair), made.words(pair, settings)
        compare, chances = by_pixels(bootstrap.originals(settings)), calibration(pair.name)
        answer = search(query, reader, tower, found, remember, shown, compare, chances, made.kept)
        if is_last:
            last_answer.keep(settings.home, last_answer.of(answer, reader.state.uuid, pair_id))
        return answer


def _examples(
    likes: Sequence[str], ranks: Sequence[int], reader: CatalogReader, answering: tuple[int, Pair], settings: Settings
) -> list[Example]:
    from archive import examples  # brings Pillow, which words alone do not need

    pair_id, pair = answering
    found = examples.from_files(likes, lambda: parts.looking(pair, settings))
    return found + examples.from_hits(ranks, reader, pair_id, settings.home)
