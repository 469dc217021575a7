"""A Milvus server, out of a wheel: the whole of it in one process, on free ports of loopback.

The server is the last one that a wheel was made of (2.3.5). It listens on every address of the machine, so the tests
run where there is no network but loopback.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from platformdirs import user_cache_path

from tests.cluster.processes import HOST, Server, free_port, listens

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

START_SECONDS = 120.0
_VARIABLE = re.compile(r"\{\{ *(\w+)(?:\(\w+\))?(?:: *([^}]*?))? *\}\}")


def binaries() -> Path:
    """The folder of the server's programs, unpacked once for this user; skips where the wheel is missing."""
    if find_spec("milvus") is None:
        pytest.skip("the server comes with the extra cluster-test, on Linux for x86-64 only")
    import milvus

    kept = user_cache_path("archive") / "tests" / f"milvus-{milvus.__version__}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        unpacked = Path(tempfile.mkdtemp(dir=kept.parent))
        milvus._initialize_data_files(str(unpacked))
        try:
            unpacked.rename(kept)
        except OSError:  # another session was faster
            shutil.rmtree(unpacked)
    return kept / "bin"


def configuration(values: Mapping[str, object], changes: Iterable[tuple[str, str]] = ()) -> str:
    """The server's own configuration, its variables filled in, some of its lines changed."""
    import milvus

    template = Path(milvus.__file__).parent / "data" / "config.yaml.template"
    text = _VARIABLE.sub(lambda found: str(values.get(found[1], found[2] or "")), template.read_text())
    for old, new in changes:
        assert re.search(old, text), old
        text = re.sub(old, new, text)
    return text


def role(name: str, arguments: list[str], folder: Path, config: str, *, deployed: str) -> Server:
    """A process of the server, of one role or of all of them."""
    import milvus

    programs, configs = binaries(), folder / "configs"
    configs.mkdir(parents=True, exist_ok=True)
    (configs / "milvus.yaml").write_text(config)
    shutil.copy(Path(milvus.__file__).parent / "data" / "glog.conf", configs)
    environment = {
        "LD_LIBRARY_PATH": str(programs),
        "DEPLOY_MODE": deployed,
        "METRICS_PORT": str(free_port()),
        "MILVUS_RUN_DIR": str(folder / "run"),
        "MILVUSCONF": str(configs),
        "GOMAXPROCS": str(min(4, os.cpu_count() or 1)),
    }
    return Server(name, [str(programs / "milvus"), "run", *arguments], folder, environment)


class Standalone:
    """A Milvus of one process, its data in a folder; it comes up again with what it had acknowledged."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        values = {
            "etcd_data_dir": folder / "etcd",
            "local_storage_dir": folder / "storage",
            "rocksmq_data_dir": folder / "log",
            "etcd_port": free_port(),
            "etcd_log_level": "error",
            "proxy_port": self.port,
            "proxy_internal_port": free_port(),
            **{f"{part}_port": free_port() for part in COORDINATORS},
        }
        config = configuration(values, QUICK)
        self._server = role("milvus", ["standalone"], folder, config, deployed="STANDALONE")

    @property
    def url(self) -> str:
        """Where it answers, as the configuration of an archive names it."""
        return f"milvus://{HOST}:{self.port}/archive"

    @property
    def uri(self) -> str:
        """The same, as its own client wants it."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._server.start()
        self._server.wait_until(lambda: listens(self.port) and answers(self.uri), START_SECONDS)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._server.kill()


COORDINATORS = (
    "root_coord",
    "query_coord",
    "query_node",
    "index_coord",
    "index_node",
    "data_coord",
    "data_node",
)

# A test waits for what production lets settle: time ticks, hand-overs, balance.
QUICK = (
    ("\n  level: info #", "\n  level: warn #"),
    ("timeTickInterval: 200", "timeTickInterval: 50"),
    ("checkInterval: 1000", "checkInterval: 100"),
    ("distPullInterval: 500", "distPullInterval: 100"),
)


def answers(uri: str) -> bool:
    """Whether a Milvus answers there."""
    from pymilvus import MilvusClient
    from pymilvus.exceptions import MilvusException

    try:
        client = MilvusClient(uri=uri, timeout=5)
        client.list_collections()
    except MilvusException:
        return False
    client.close()
    return True
