from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.pairs.source import Source, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)


@pytest.fixture
def source() -> Iterator[Source]:
    with serving(random.Random(7).randbytes(100_000)) as source:
        yield source
