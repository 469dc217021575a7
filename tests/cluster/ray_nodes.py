"""A Ray of three nodes on loopback, each with room for one worker, and how one of them is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.processes import HOST, Server, ServerFailed, free_port

NODES = 3
START_SECONDS = 120.0
ATTEMPTS = 3

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "4",
    "OMP_NUM_THREADS": "1",
}


class Ray:
    """The head and two more nodes; each is a process group of its own, so that each can lose its power."""

    def __init__(self, folder: Path) -> None:
        pytest.importorskip("ray", reason="needs the extra cluster")
        self._folder = folder
        self.port = free_port()
        self._nodes = [self._node(number) for number in range(NODES)]

    @property
    def address(self) -> str:
        """Where a driver on this machine finds it."""
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Start the nodes one after the other: each is given half a minute by Ray itself, and no more."""
        for number, node in enumerate(self._nodes):
            for attempt in range(ATTEMPTS):
                node.start()
                try:
                    node.wait_until(partial(_has_started, node), START_SECONDS)
                    break
                except ServerFailed:
                    self.kill(number)
                    if attempt == ATTEMPTS - 1:
                        raise

    def kill(self, number: int) -> None:
        """End one node and all that runs on it, as a power cut would. Node 0 is the head."""
        node = self._nodes[number]
        for process in descendants(node.pid):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        node.kill()

    def stop(self) -> None:
        """End all of it."""
        for number in reversed(range(NODES)):
            self.kill(number)

    def _node(self, number: int) -> Server:
        program = str(Path(sys.executable).parent / "ray")
        command = [program, "start", "--block", "--disable-usage-stats", "--num-cpus=1", "--num-gpus=0"]
        command += [f"--node-ip-address={HOST}", f"--object-store-memory={80 << 20}"]
        if number == 0:
            command += ["--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={self._short()}"]
        else:
            command += [f"--address={self.address}"]
        return Server(f"node{number}", command, self._folder / f"node{number}", QUIET)

    def _short(self) -> Path:
        """Where Ray keeps its sockets: their paths must stay short."""
        import tempfile

        return Path(tempfile.mkdtemp(prefix="ray-"))


def _has_started(node: Server) -> bool:
    return b"Ray runtime started" in node.log.read_bytes()


def descendants(process: int) -> list[int]:
    """The processes that a process started, and those that they did."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
    pairs = [tuple(map(int, line.split())) for line in table.splitlines()]
    found, rest = [], [process]
    while rest:
        parent = rest.pop()
        children = [child for child, its_parent in pairs if its_parent == parent]
        found += children
        rest += children
    return found
