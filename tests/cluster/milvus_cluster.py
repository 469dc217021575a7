"""A Milvus of several processes, as it stands on several machines: two query nodes hold the same vectors.

Its log is librdkafka's own broker of the tests, its object store is moto, its registry the system's etcd. The first two
keep everything in memory, so such a cluster lives once.
"""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cluster.milvus import COORDINATORS, QUICK, START_SECONDS, answers, configuration, role
from tests.cluster.processes import HOST, Server, free_port, listens

if TYPE_CHECKING:
    from pathlib import Path

QUERY_NODES = ("querynode1", "querynode2")

_BROKER = """
from confluent_kafka import Producer
producer = Producer({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1})
(broker,) = producer.list_topics(timeout=20).brokers.values()
print("port", broker.port, flush=True)
while True:
    producer.poll(1)
"""


class Cluster:
    """Etcd, an S3, a broker, and six processes of Milvus around them."""

    def __init__(self, folder: Path) -> None:
        etcd = shutil.which("etcd")
        if etcd is None:
            pytest.skip("needs etcd: apt-get install etcd-server")
        self._folder, self._etcd = folder, etcd
        self._port = free_port()
        self._servers: dict[str, Server] = {}

    @property
    def url(self) -> str:
        """Where it answers, with every vector on both query nodes."""
        return f"milvus://{HOST}:{self._port}/archive?partitions=2&replicas=2"

    def start(self) -> None:
        """Start what Milvus stands on, then its coordinators, then the rest of it, and wait until it answers."""
        etcd, s3, kafka = self._start_etcd(), self._start_s3(), self._start_broker()
        self._config = self._configuration(etcd, s3, kafka)
        self._start_role("coordinators", ["mixture", "-rootcoord", "-querycoord", "-datacoord", "-indexcoord"])
        for name in ("datanode", "indexnode", *QUERY_NODES, "proxy"):
            self._start_role(name, [name.rstrip("12")])
        uri = f"http://{HOST}:{self._port}"
        self._servers["proxy"].wait_until(lambda: listens(self._port) and answers(uri), START_SECONDS)

    def kill(self, name: str) -> None:
        """End one process as a power cut would."""
        self._servers[name].kill()

    def restart(self, name: str) -> None:
        """Start it again."""
        self._servers[name].start()

    def stop(self) -> None:
        """End all of it."""
        for server in reversed(self._servers.values()):
            server.kill()

    def _start_etcd(self) -> int:
        port = free_port()
        clients, peers = f"http://{HOST}:{port}", f"http://{HOST}:{free_port()}"
        command = [self._etcd, "--data-dir", str(self._folder / "etcd"), "--initial-cluster", f"default={peers}"]
        for option, value in (
            ("listen-client-urls", clients),
            ("advertise-client-urls", clients),
            ("listen-peer-urls", peers),
            ("initial-advertise-peer-urls", peers),
        ):
            command += [f"--{option}", value]
        self._start("etcd", command).wait_until(lambda: listens(port), START_SECONDS)
        return port

    def _start_s3(self) -> int:
        port = free_port()
        server = self._start("s3", [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)])
        server.wait_until(lambda: listens(port), START_SECONDS)
        return port

    def _start_broker(self) -> int:
        server = self._start("broker", [sys.executable, "-c", _BROKER])
        server.wait_until(lambda: b"port " in server.log.read_bytes(), START_SECONDS)
        (port,) = re.findall(rb"port (\d+)", server.log.read_bytes())
        return int(port)

    def _start(self, name: str, command: list[str]) -> Server:
        server = self._servers[name] = Server(name, command, self._folder / name)
        server.start()
        return server

    def _start_role(self, name: str, arguments: list[str]) -> None:
        folder = self._folder / name
        config = self._config.replace("@FOLDER@", str(folder))
        server = self._servers[name] = role(name, arguments, folder, config, deployed="DISTRIBUTED")
        server.start()

    def _configuration(self, etcd: int, s3: int, kafka: int) -> str:
        values = {
            "etcd_data_dir": "@FOLDER@/etcd",
            "local_storage_dir": "@FOLDER@/storage",
            "rocksmq_data_dir": "@FOLDER@/log",
            "proxy_port": self._port,
            "proxy_internal_port": free_port(),
            **{f"{part}_port": free_port() for part in COORDINATORS if part.endswith("coord")},
        }
        distributed = (
            (r"endpoints: localhost:\d+", f"endpoints: {HOST}:{etcd}"),
            ("embed: true", "embed: false"),
            ("type: rocksmq", "type: kafka"),
            ("storageType: local", "storageType: minio"),
            ("address: localhost # Address of MinIO", f"address: {HOST} # Address of MinIO"),
            ("port: 9000", f"port: {s3}"),
            *((rf"port: 2112{last}\b", "port: 0") for last in (1, 3, 4)),
        )
        return configuration(values, (*QUICK, *distributed)) + (
            f'\nkafka:\n  brokerList: {HOST}:{kafka}\n  saslUsername: ""\n  saslPassword: ""\n  saslMechanisms: ""\n'
            '  securityProtocol: ""\n  readTimeout: 10\n'
        )
