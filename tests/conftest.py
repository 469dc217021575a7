"""What every test gets: an archive's home and a weights folder of its own, and nothing of the user's environment."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from archive.settings import Settings
from tests.commands import archive
from tests.object_store import line, url

__all__ = ["archive", "home", "line", "settings", "url"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from archive.catalog.postgres import Postgres

_NUMBER = count(1)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive's home of this test, named by the environment; nothing is in it yet."""
    for variable in ("ARCHIVE_SEGMENTER", "ARCHIVE_EMBEDDER"):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "home"
    monkeypatch.setenv("ARCHIVE_HOME", str(folder))
    monkeypatch.setenv("ARCHIVE_WEIGHTS", str(tmp_path / "weights"))
    return folder


@pytest.fixture
def settings(home: Path, tmp_path: Path) -> Settings:
    """The settings that the command line would resolve in this test."""
    return Settings(home, tmp_path / "weights")


@pytest.fixture(scope="session")
def database() -> Iterator[Callable[[], Postgres]]:
    """Makes databases of a real PostgreSQL, each with an empty archive of its own."""
    pytest.importorskip("psycopg", reason="psycopg is not installed; it comes with archive[cluster]")
    from archive.catalog.upgrade import bring_place_to_head
    from tests import postgres

    with postgres.running(durable=False) as server:
        if server is None:
            pytest.skip("no PostgreSQL server can be run here; on Debian: apt-get install postgresql-15")
        server.command("CREATE DATABASE fresh")
        bring_place_to_head(server.database("fresh"))

        def made() -> Postgres:
            name = f"archive_{next(_NUMBER)}"
            server.command(f"CREATE DATABASE {name} TEMPLATE fresh")
            return server.database(name)

        yield made
