from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archive.embedders.openclip import OpenClipEmbedder
from tests.embedders.small_clip import small_clip

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP; not to be changed by a test."""
    return small_clip(tmp_path_factory.mktemp("small") / "pair")


@pytest.fixture(scope="session")
def towers(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The towers' folder that holds the small CLIP's; not to be changed by a test."""
    place = tmp_path_factory.mktemp("small") / "towers"
    OpenClipEmbedder(folder, place).export_text()
    return place
