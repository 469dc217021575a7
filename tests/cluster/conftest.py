"""The servers that the tests of a cluster share: started once for all of them, with the first test that needs one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.milvus import Standalone
from tests.cluster.ray_nodes import QUIET, Ray

if TYPE_CHECKING:
    from collections.abc import Iterator


SLOWEST = 600
"""Seconds that a test may take on a machine that has other things to do as well; servers are slow to start there."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "cluster":
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(SLOWEST))


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    """A Milvus of one process."""
    server = Standalone(tmp_path_factory.mktemp("milvus"))
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def ray_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ray]:
    """A Ray of three nodes. The last test that uses it may end one of them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        nodes = Ray(tmp_path_factory.mktemp("ray"))
        try:
            nodes.start()
            yield nodes
        finally:
            nodes.stop()
