from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from archive.catalog.upgrade import bring_place_to_head
from tests import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archive.catalog.driver import Place
    from tests.postgres import PostgresServer

_NUMBER = count(1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a catalog goes; its folder is not there yet, and its name needs escaping in a URI."""
    return tmp_path / "100% mine? #1" / "catalog.sqlite"


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL with an empty archive, from which each test gets its copy."""
    with postgres.running(durable=False) as found:
        if found is None:
            pytest.skip("no PostgreSQL server is installed; on Debian: apt-get install postgresql-15")
        found.command("CREATE DATABASE fresh")
        bring_place_to_head(found.database("fresh"))
        yield found


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.cluster)])
def place(request: pytest.FixtureRequest, path: Path) -> Place:
    """Where a catalog goes: a file, and a database of a real PostgreSQL."""
    if request.param == "sqlite":
        return path
    server: PostgresServer = request.getfixturevalue("server")
    name = f"archive_{next(_NUMBER)}"
    server.command(f"CREATE DATABASE {name} TEMPLATE fresh")
    return server.database(name)
