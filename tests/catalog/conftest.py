from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a catalog goes; its folder is not there yet, and its name needs escaping in a URI."""
    return tmp_path / "100% mine? #1" / "catalog.sqlite"
