"""Two machines and two wearers over a PostgreSQL, an object store and a Milvus together, at the command line."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from archive import bootstrap, settings
from archive.configuration import read
from archive.settings import Settings
from tests.cluster.test_archive_on_milvus import COLOURS, card

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from archive.catalog.postgres import Postgres
    from archive.protocols import VectorIndex
    from tests.cluster.milvus import Standalone
    from tests.commands import Commands


def test_each_wearer_finds_his_own_from_any_machine(
    archive: Commands,
    milvus: Standalone,
    database: Callable[[], Postgres],
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tmp_path / "cluster.toml"
    parts = {"metadata": database().url, "originals": url, "vectors": f"{milvus.url}?partitions=4"}
    config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in parts.items()))
    monkeypatch.setenv(settings.CONFIG_VARIABLE, str(config))
    monkeypatch.setattr(settings, "SEAL_AT", 20)
    digests = {}
    for name, numbers in {"anna": (0, 30), "ben": (30, 60), "carl": (0, 3)}.items():
        folder = card(tmp_path / name, *numbers)
        digests[name] = {sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        taken = archive("ingest", folder, "--wearer", name, "--home", tmp_path / f"machine of {name}", "--json")
        assert taken.object["new"] == len(digests[name])
    assert len(archive_index(tmp_path, config)) > 0

    for name, own in digests.items():
        for colour in COLOURS:
            asked = ("query", colour, "--limit", "100", "--json", "--wearer", name, "--home", tmp_path / "a third")
            answer = archive(*asked).object
            shown = {hit["photo"]["digest"] for hit in answer["hits"]}
            assert len(shown) == len(own) / 3
            assert shown <= own
            assert answer["searched"]["photos"] == len(own)

    third = ("--home", tmp_path / "a third")
    assert archive("forget", "--after", "2026-11-23", "--yes", "--wearer", "anna", *third).code == 0
    assert archive("check", "--data", *third).code == 0
    assert archive("sync", *third).code == 0
    for name, left in {"anna": 0, "ben": 30, "carl": 3}.items():
        hits = archive("query", "red", "--all", "--limit", "100", "--json", "--wearer", name, *third).object["hits"]
        assert len(hits) == left


def archive_index(tmp_path: Path, config: Path) -> VectorIndex:
    """The index that all of them share."""
    shared = Settings(tmp_path / "a third", tmp_path / "weights", cluster=read(config))
    with bootstrap.reading(shared, everyone=True) as reader:
        return bootstrap.index(shared, reader, *bootstrap.answering_pair(reader, shared))
