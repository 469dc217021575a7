"""An archive whose shards are all of the kind that large ones have: only which photos are compared is different."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive import bootstrap, erasure, indexing, search, shelving
from archive.indexes import container, faiss_shards
from archive.indexes.faiss_shards import FaissIndex
from archive.types import ORDINAL_BITS, Query
from archive.web.kept import KeptParts
from tests import test_search
from tests.test_search import MORNING, PAIR, PHOTOS, Directions, ranking, seal

if TYPE_CHECKING:
    from archive.settings import Settings
    from archive.types import Answer, Shard

template = test_search.template
pair_id = test_search.pair_id


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every shard is clustered, and only what its codes name is compared."""
    defaults = {**(FaissIndex.__init__.__kwdefaults__ or {}), "ivf_at": 1}
    monkeypatch.setattr(FaissIndex.__init__, "__kwdefaults__", defaults)
    monkeypatch.setattr(faiss_shards, "EXACT_BELOW", 0)


def ask(settings: Settings, pair_id: int, query: Query) -> Answer:
    with bootstrap.reading(settings) as reader:
        index = indexing.index(settings, reader, pair_id, PAIR)
        assert list(index.broken) == []
        return search.search(query, reader, Directions(), index, lambda *_: None)


def shards(settings: Settings, pair_id: int) -> list[Shard]:
    with bootstrap.reading(settings) as reader:
        return reader.shards(pair_id)


@pytest.mark.parametrize("text", ["7", "8", "9"])
@pytest.mark.parametrize("limit", [1, 10, 100])
def test_large_shards_answer_as_brute_force_does(settings: Settings, pair_id: int, text: str, limit: int) -> None:
    query = Query(text, limit=limit)
    plain = ask(settings, pair_id, query)
    seal(settings, pair_id, seal_at=1000)
    assert len(list(settings.shards.rglob("*.cells"))) == 1
    sealed = ask(settings, pair_id, query)
    assert ranking(sealed) == ranking(plain)
    assert sealed.verdict is plain.verdict


def test_a_time_range_loses_no_hit(settings: Settings, pair_id: int) -> None:
    seal(settings, pair_id, seal_at=1000)
    after, before = MORNING + timedelta(minutes=41), MORNING + timedelta(minutes=121)
    answer = ask(settings, pair_id, Query("7", limit=5, after=after, before=before))
    assert sorted(one.hit.photo.name for one in answer.sightings) == ["120.jpg", "80.jpg"]


@pytest.mark.parametrize("exact_below", [0, 1 << 14])
def test_a_filter_that_leaves_nothing_of_the_shards_finds_nothing_in_them(
    settings: Settings, pair_id: int, monkeypatch: pytest.MonkeyPatch, exact_below: int
) -> None:
    monkeypatch.setattr(faiss_shards, "EXACT_BELOW", exact_below)
    seal(settings, pair_id, seal_at=1000)
    with bootstrap.reading(settings) as reader:
        index = indexing.index(settings, reader, pair_id, PAIR)
        assert index.search(Directions().embed_text(["7"]), 10, np.array([10**6], np.int64)) == []


def test_without_the_training_every_photo_is_still_found_and_the_next_reindex_learns_anew(
    settings: Settings, pair_id: int
) -> None:
    query = Query("7", limit=10)
    plain = ranking(ask(settings, pair_id, query))
    seal(settings, pair_id, seal_at=1000)
    [cells] = settings.shards.rglob("*.cells")
    cells.write_bytes(b"damaged")
    with bootstrap.reading(settings) as reader:
        index = indexing.index(settings, reader, pair_id, PAIR)
        assert len(index.broken) == len(reader.shards(pair_id))
        assert ranking(search.search(query, reader, Directions(), index, lambda *_: None)) == plain
    with bootstrap.writing(settings) as catalog:
        assert shelving.mend(catalog, indexing.index(settings, catalog, pair_id, PAIR), pair_id) == 1
    assert ranking(ask(settings, pair_id, query)) == plain


@pytest.mark.parametrize(("forgotten", "learned_anew"), [(1, False), (PHOTOS // 5, True)])
def test_what_is_forgotten_is_in_no_file_and_much_of_it_makes_the_archive_learn_anew(
    settings: Settings, pair_id: int, forgotten: int, learned_anew: bool
) -> None:
    seal(settings, pair_id, seal_at=1000)
    [cells] = settings.shards.rglob("*.cells")
    before = shards(settings, pair_id)
    with bootstrap.writing(settings) as catalog:
        doomed = list(catalog.photos(range(1, forgotten + 1)).values())
        receipt = erasure.erase(doomed, bootstrap.places(settings, catalog), verify=True)
    assert receipt.photos == forgotten
    assert not [path for path in receipt.residue or [] if settings.shards in path.parents]
    [after] = shards(settings, pair_id)
    assert after.count == sum(shard.count for shard in before) - 10 * forgotten
    content = container.read_shard(settings.shards / str(pair_id), after, PAIR.dim)
    assert content is not None
    assert content.ids.min() >= (forgotten + 1) << ORDINAL_BITS
    [now] = settings.shards.rglob("*.cells")
    assert (now != cells) is learned_anew
    answer = ask(settings, pair_id, Query("7", limit=PHOTOS, everything=True))
    assert min(hit.photo.id for hit in answer.hits) > forgotten


def test_shards_of_another_version_are_written_anew(
    settings: Settings, pair_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal(settings, pair_id, seal_at=1000)
    before = shards(settings, pair_id)
    monkeypatch.setattr("archive.indexes.engines.version", lambda: "99.0")
    with bootstrap.writing(settings) as catalog:
        index = indexing.index(settings, catalog, pair_id, PAIR)
        assert index.outdated == before
        assert shelving.renew(catalog, index, pair_id, index.outdated) == 1
        assert index.outdated == []
    [after] = shards(settings, pair_id)
    assert after.name != before[0].name
    assert not (settings.shards / str(pair_id) / before[0].name).exists()


def test_a_server_keeps_the_opened_shards_and_reads_candidates_from_the_newest_view(
    settings: Settings, pair_id: int
) -> None:
    seal(settings, pair_id, seal_at=1000)
    kept, answers = KeptParts(), []
    for _ in range(2):
        with bootstrap.reading(settings) as reader:
            index = kept.index(settings, reader, pair_id, PAIR)
            answers.append(index.search(Directions().embed_text(["7"]), 10))
    assert len(answers[0]) == 10
    assert answers[0] == answers[1]


def test_words_that_are_learned_from_are_many_and_differ() -> None:
    from archive.indexes.phrases import phrases

    texts = phrases()
    assert 800 < len(texts) == len(set(texts))
    assert all(np.char.strip(texts) == texts)
