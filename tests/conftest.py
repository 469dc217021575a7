"""What every test gets: an archive's home and a weights folder of its own, and nothing of the user's environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archive.settings import Settings
from tests.commands import archive

__all__ = ["archive", "home", "settings"]

if TYPE_CHECKING:
    from pathlib import Path


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
    return Settings(home=home, weights=tmp_path / "weights")
