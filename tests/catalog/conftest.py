from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from archive.catalog.driver import Place


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a catalog goes; its folder is not there yet, and its name needs escaping in a URI."""
    return tmp_path / "100% mine? #1" / "catalog.sqlite"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.cluster)])
def place(request: pytest.FixtureRequest, path: Path) -> Place:
    """Where a catalog goes: a file, and a database of a real PostgreSQL."""
    if request.param == "sqlite":
        return path
    database: Callable[[], Place] = request.getfixturevalue("database")
    return database()
