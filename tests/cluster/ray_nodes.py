"""A Ray of three nodes on loopback, each with room for one worker, and how one of them is lost."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from tests.cluster.processes import Server, ServerFailed

if TYPE_CHECKING:
    from pathlib import Path

START_SECONDS = 150.0

ATTEMPTS = 3
"""Ray gives a node of its own half a minute to come up, which a busy machine needs more than once."""

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "10",
    "OMP_NUM_THREADS": "1",
}

# What `ray start` runs on three machines: the head's server and a raylet on each. Starting them from one process costs
# one import of Ray where three commands cost three.
_NODES = """
import os, time
from ray.cluster_utils import Cluster

folder = os.environ["RAY_TMPDIR"] + "/ray"
os.makedirs(folder, exist_ok=True)
one = {"num_cpus": 1, "num_gpus": 0, "node_ip_address": "127.0.0.1", "include_dashboard": False}
one |= {"include_log_monitor": False, "object_store_memory": 80 << 20, "temp_dir": folder}
cluster = Cluster(initialize_head=True, head_node_args={**one, "no_monitor": True})
nodes = [cluster.head_node, *(cluster.add_node(**one) for _ in range(2))]
for node in nodes:
    print("raylet", node.all_processes["raylet"][0].process.pid, flush=True)
print("address", cluster.address, flush=True)
while True:
    time.sleep(60)
"""


class Ray:
    """A head and two more nodes, in one process group."""

    def __init__(self, folder: Path) -> None:
        pytest.importorskip("ray", reason="needs the extra cluster")
        short = tempfile.mkdtemp(prefix="ray-")  # the paths of Ray's sockets must stay short
        self._server = Server("ray", [sys.executable, "-c", _NODES], folder, {**QUIET, "RAY_TMPDIR": short})

    @property
    def address(self) -> str:
        """Where a driver on this machine finds it."""
        (address,) = re.findall(r"^address (\S+)$", self._said(), re.MULTILINE)
        return str(address)

    def start(self) -> None:
        """Start the nodes, and wait until all of them are known to the first."""
        for attempt in range(1, ATTEMPTS + 1):
            self._server.log.write_text("")
            self._server.start()
            try:
                self._server.wait_until(lambda: "\naddress " in self._said(), START_SECONDS)
                break
            except ServerFailed:
                self._server.kill()
                if attempt == ATTEMPTS:
                    raise

    def kill(self, number: int) -> None:
        """End the raylet of a node; what runs on the node ends with it. Node 0 is the head."""
        raylets = re.findall(r"^raylet (\d+)$", self._said(), re.MULTILINE)
        os.kill(int(raylets[number]), signal.SIGKILL)

    def stop(self) -> None:
        """End all of it."""
        self._server.kill()

    def _said(self) -> str:
        return self._server.log.read_text()
