"""The whole archive with its vectors in a Milvus, at the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive import bootstrap, indexing, settings
from archive.configuration import read
from archive.settings import Settings
from tests.cluster.processes import free_port
from tests.coloured_photos import write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.milvus import Standalone
    from tests.commands import Commands

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
COLOURS = ("red", "green", "blue")


def card(folder: Path, first: int, last: int) -> Path:
    """A folder of photos of one wandering square each, a minute apart."""
    for number in range(first, last):
        left, top = 10 + 7 * number % 200, 10 + 11 * number % 150
        squares = {COLOURS[number % 3]: (left, top, left + 60, top + 50)}
        write(folder / f"{number}.jpg", squares, NOON + timedelta(minutes=number))
    return folder


@pytest.fixture
def config(milvus: Standalone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration that keeps the vectors in the Milvus, named by the environment."""
    path = tmp_path / "cluster.toml"
    path.write_text(f'vectors = "{milvus.url}?partitions=4"\n')
    monkeypatch.setenv(settings.CONFIG_VARIABLE, str(path))
    monkeypatch.setattr(settings, "SEAL_AT", 20)
    return path


def found(archive: Commands, *query: str) -> set[str]:
    answer = archive("query", *query, "--limit", "100", "--json").object
    return {hit["photo"]["name"] for hit in answer["hits"]}


def expected(colour: str, first: int, last: int) -> set[str]:
    return {f"{number}.jpg" for number in range(first, last) if COLOURS[number % 3] == colour}


def test_photos_are_found_filtered_and_forgotten_as_on_one_machine(
    archive: Commands, settings: Settings, config: Path, tmp_path: Path
) -> None:
    assert archive("ingest", card(tmp_path / "card", 0, 60), "--json").code == 0
    cluster = Settings(settings.home, settings.weights, cluster=read(config))
    with bootstrap.reading(cluster) as reader:
        (pair_id, pair) = bootstrap.answering_pair(reader, cluster)
        assert sum(shard.count for shard in reader.shards(pair_id)) == 120
        assert len(indexing.index(cluster, reader, pair_id, pair)) == 120
    assert not settings.shards.exists()
    assert found(archive, "red") == expected("red", 0, 60)
    assert found(archive, "red", "--after", "2026-11-23T12:30:00Z") == expected("red", 30, 60)
    assert archive("check", "--json").code == 0

    assert archive("forget", "--after", "2026-11-23T12:00:00Z", "--before", "2026-11-23T12:10:00Z", "--yes").code == 0
    with bootstrap.reading(cluster) as reader:
        assert len(indexing.index(cluster, reader, pair_id, pair)) == 100
    assert found(archive, "green") == expected("green", 10, 60)


def test_a_row_that_the_catalog_does_not_know_is_never_shown(
    archive: Commands, settings: Settings, config: Path, tmp_path: Path
) -> None:
    archive("ingest", card(tmp_path / "card", 0, 30))
    cluster = Settings(settings.home, settings.weights, cluster=read(config))
    with bootstrap.writing(cluster) as catalog:
        (pair_id, pair) = catalog.pairs().popitem()
        index = indexing.index(cluster, catalog, pair_id, pair)
        (_, red) = next(catalog.packs(pair_id, 1, 1))
        orphans = red.vectors[1:2].repeat(3, axis=0)
        index.add(np.array([900, 901, 902], np.int64) << 10, orphans, (900, 902))
    assert found(archive, "red") == expected("red", 0, 30)
    archive("reindex")
    with bootstrap.reading(cluster) as reader:
        later = indexing.index(cluster, reader, pair_id, pair)
        assert {match.segment >> 10 for match in later.search(orphans[:1], 500)} == set(range(1, 31))


def test_without_the_server_photos_come_in_and_a_query_says_what_is_wrong(
    archive: Commands, config: Path, tmp_path: Path
) -> None:
    archive("ingest", card(tmp_path / "card", 0, 30))
    url = config.read_text()
    config.write_text(f'vectors = "milvus://127.0.0.1:{free_port()}/archive"\n')
    late = archive("ingest", card(tmp_path / "later", 30, 60))
    assert (late.code, late.err.count("\n")) == (3, 1)
    assert "run it again" in late.err
    asked = archive("query", "red")
    assert (asked.code, asked.err.count("\n")) == (3, 1)
    config.write_text(url)
    assert archive("reindex").code == 0
    assert found(archive, "red") == expected("red", 0, 60)
