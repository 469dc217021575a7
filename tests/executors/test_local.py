from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archive.executors.local import LocalExecutor
from tests.contracts.executor import ExecutorContract, observer

if TYPE_CHECKING:
    from archive.protocols import Executor


class TestLocal(ExecutorContract):
    @pytest.fixture
    def executor(self) -> Executor:
        return LocalExecutor(observer(), workers=2)
