from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive.catalog.copying import copy_catalog
from archive.catalog.driver import connect_to_read
from archive.catalog.lock import writer_lock
from archive.catalog.reader import CatalogReader
from archive.catalog.texts import TEXTS_KEPT, remember_text
from tests.catalog.freeze import DATABASES
from tests.catalog.samples import fill, pack

if TYPE_CHECKING:
    from archive.catalog.driver import Place
    from archive.types import Vectors

SPACE = "colours/v1"


def vector(seed: int = 0) -> Vectors:
    return pack(seed, segments=1).vectors


def remember(place: Place, text: str, kept: Vectors) -> bool:
    home = place.parent if isinstance(place, Path) else Path("/nonexistent")  # only a file has a lock beside it
    return remember_text(place, home, SPACE, text, kept)


def recall(place: Place, text: str, space: str = SPACE) -> Vectors | None:
    with CatalogReader.open(place) as reader:
        return reader.text_vector(space, text)


def test_a_text_is_remembered_to_the_last_bit(place: Place) -> None:
    fill(place, photos=1)
    assert recall(place, "my keys") is None
    assert remember(place, "my keys", vector())
    remembered = recall(place, "my keys")
    assert remembered is not None
    assert remembered.dtype == np.float32
    assert np.array_equal(remembered, vector())


def test_a_text_is_remembered_for_its_own_space_only(place: Place) -> None:
    fill(place, photos=1)
    remember(place, "my keys", vector())
    assert recall(place, "my keys", space="another") is None


def test_remembering_again_replaces(place: Place) -> None:
    fill(place, photos=1)
    remember(place, "my keys", vector(1))
    remember(place, "my keys", vector(2))
    assert np.array_equal(recall(place, "my keys"), vector(2))  # type: ignore[arg-type]


def test_remembering_is_a_commit_like_any_other(place: Place) -> None:
    fill(place, photos=1)
    with CatalogReader.open(place) as reader:
        before = reader.state
    remember(place, "my keys", vector())
    with CatalogReader.open(place) as reader:
        assert reader.state.generation == before.generation + 1
        assert reader.state.nonce != before.nonce


def test_a_query_does_not_wait_for_an_ingest(path: Path) -> None:
    fill(path, photos=1)
    with writer_lock(path.parent):
        assert not remember_text(path, path.parent, SPACE, "my keys", vector())
    assert recall(path, "my keys") is None


def test_a_query_remembers_while_it_reads(place: Place) -> None:
    fill(place, photos=1)
    with CatalogReader.open(place) as reader:
        assert remember(place, "my keys", vector())
        assert reader.text_vector(SPACE, "my keys") is None
    assert recall(place, "my keys") is not None


@pytest.mark.timeout(20)  # another writer is waited for half a minute
def test_a_query_does_not_wait_for_a_copied_catalog_to_become_writable(path: Path) -> None:
    fill(path, photos=1)
    copy = path.with_name("copy.sqlite")
    copy_catalog(path, copy)  # not in WAL mode, in which readers let a writer in
    with CatalogReader.open(copy):
        assert not remember_text(copy, path.parent, SPACE, "my keys", vector())
    assert remember_text(copy, path.parent, SPACE, "my keys", vector())


def test_the_texts_that_are_kept_are_the_newest(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TEXTS_KEPT == 1_000
    monkeypatch.setattr("archive.catalog.texts.TEXTS_KEPT", 3)
    fill(place, photos=1)
    for number in range(5):
        remember(place, f"text {number}", vector(number))
    assert [recall(place, f"text {number}") is None for number in range(5)] == [True, True, False, False, False]


def test_an_older_catalog_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes((DATABASES / "0001.sqlite").read_bytes())
    assert not remember_text(path, path.parent, SPACE, "my keys", vector())
    connection = connect_to_read(path)
    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
    connection.close()
