"""Where a Milvus is, and how it keeps the vectors of one pair: the schema and the index of a collection.

Only calls are used that servers from 2.3.5 on understand. Everything here imports pymilvus when it is called.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from archive.errors import ArchiveError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pymilvus import MilvusClient

Found = TypeVar("Found")

DEFAULT_PORT = 19530

PARTITIONS = 64
"""Partitions of a collection: a wearer's vectors share one with those of few others, and a query reads only that."""

PATIENCE = 60.0
"""Seconds that a call may take; the client tries again on its own until then."""

SEARCH_PATIENCE = 10.0
"""Seconds that one search may take before it is asked again."""

SEARCH_ATTEMPTS = 4
SEARCH_PAUSE = 1.0

CONNECTING_PATIENCE = 5.0
"""Seconds after which a server that does not answer at all is not there."""

LOADING_PATIENCE = 1_800.0
"""Seconds that the server may take to bring a collection into memory."""

HALF_PRECISION_SINCE = (2, 4)


class Kind(NamedTuple):
    """A kind of index: how it is built, and the search parameter that says how hard it looks, within its bounds."""

    build: Mapping[str, int]
    effort: str
    usual: int
    most: int


KINDS: Mapping[str, Kind] = {
    "HNSW": Kind({"M": 16, "efConstruction": 200}, "ef", 128, 32_768),
    "DISKANN": Kind({}, "search_list", 128, 65_535),
}
"""The kinds of index that a collection can have, by the server's own names: in memory, and on a fast disk."""


_USUAL = {"index": "HNSW", "replicas": "1", "partitions": str(PARTITIONS), "tls": "0"}


@dataclass(frozen=True, slots=True)
class Address:
    """A Milvus, and how an archive uses it. `token` (name:password) is not shown where an address is printed."""

    host: str
    uri: str
    token: str = field(repr=False)
    prefix: str
    kind: str
    replicas: int
    partitions: int

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read `milvus://[user:password@]host[:port]/name[?index=HNSW&replicas=1&partitions=64&tls=0]`.

        `name` begins the names of the archive's collections. With `tls=1` the connection is encrypted.

        Raises:
            UsageError: it is no such address.
        """
        parts = urlsplit(url)
        options = {**_USUAL, **dict(parse_qsl(parts.query))}
        prefix = parts.path.strip("/") or "archive"
        is_understood = (
            parts.scheme == "milvus"
            and parts.hostname
            and prefix.isidentifier()
            and options.keys() == _USUAL.keys()
            and options["index"] in KINDS
            and options["tls"] in {"0", "1"}
            and all(options[number].isdecimal() and int(options[number]) for number in ("replicas", "partitions"))
        )
        if not is_understood:
            raise UsageError(
                "the vectors' address must be like milvus://HOST:19530/archive?index=HNSW&replicas=2, with an index "
                f"of {', '.join(KINDS)}; it is {_without_password(url)}"
            )
        host = f"{parts.hostname}:{parts.port or DEFAULT_PORT}"
        token = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
        scheme = "https" if options["tls"] == "1" else "http"
        replicas, partitions = int(options["replicas"]), int(options["partitions"])
        return cls(host, f"{scheme}://{host}", token, prefix, options["index"], replicas, partitions)

    def collection(self, archive: str, pair_id: int) -> str:
        """The name of the collection that a pair of an archive has; `archive` is the catalog's own name for itself."""
        return f"{self.prefix}_{archive.replace('-', '')[:16]}_{pair_id}"

    def connect(self) -> MilvusClient:
        """A connection, shared by everything in this process that talks to the same server as the same user."""
        with speaking(self):
            return _connect(self.uri, self.token)


@contextmanager
def speaking(address: Address) -> Iterator[None]:
    """Turn what goes wrong with the server into one line.

    Raises:
        ArchiveError: the server does not answer, or refuses.
    """
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        words = str(error.message).partition(": stack trace")[0].splitlines() or [type(error).__name__]
        raise ArchiveError(
            f"the search index at {address.host} fails ({words[0][:200]}); the catalog has every vector: put that "
            "right and run it again"
        ) from error


def persistently(search: Callable[..., Found], *arguments: object, **options: object) -> Found:
    """Search, and search again where that fails: a server that loses one of its nodes asks that node for a while yet.

    Raises:
        MilvusException: it failed each time.
    """
    from pymilvus.exceptions import MilvusException

    for _ in range(SEARCH_ATTEMPTS - 1):
        with suppress(MilvusException):  # the last attempt says what is wrong
            return search(*arguments, **options)
        sleep(SEARCH_PAUSE)
    return search(*arguments, **options)


def create(client: MilvusClient, name: str, dim: int, address: Address) -> None:
    """Create a collection and its index, or what of that is missing.

    id      the segment
    wearer  whose it is: the server keeps wearers apart by it
    photo   the photo of the segment
    shard   the number of the manifest's shard that holds it
    vector  half precision where the server knows it
    """
    if not client.has_collection(name, timeout=PATIENCE):
        _create_collection(client, name, dim, address.partitions)
    index = client.prepare_index_params()
    index.add_index("vector", index_type=address.kind, metric_type="IP", params=dict(KINDS[address.kind].build))
    client.create_index(name, index, timeout=PATIENCE)


def keeps_half_precision(client: MilvusClient, name: str) -> bool:
    """Whether a collection keeps its vectors as float16."""
    from pymilvus import DataType

    fields: list[dict[str, Any]] = client.describe_collection(name, timeout=PATIENCE)["fields"]
    return any(one["type"] == DataType.FLOAT16_VECTOR for one in fields)


def has_half_precision(version: str) -> bool:
    """Whether a server of that version, like `v2.6.1`, keeps vectors as float16."""
    numbers = version.lstrip("v").split("-")[0].split(".")
    return tuple(int(number) for number in numbers[:2]) >= HALF_PRECISION_SINCE


@functools.cache
def _connect(uri: str, token: str) -> MilvusClient:
    import logging

    from pymilvus import MilvusClient

    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # what goes wrong is said once, in one line
    return MilvusClient(uri=uri, token=token, timeout=CONNECTING_PATIENCE)


def _create_collection(client: MilvusClient, name: str, dim: int, partitions: int) -> None:
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("wearer", DataType.INT64, is_partition_key=True)
    schema.add_field("photo", DataType.INT64)
    schema.add_field("shard", DataType.INT64)
    half = has_half_precision(client.get_server_version(timeout=PATIENCE))
    schema.add_field("vector", DataType.FLOAT16_VECTOR if half else DataType.FLOAT_VECTOR, dim=dim)
    client.create_collection(
        name, schema=schema, num_partitions=partitions, consistency_level="Strong", timeout=PATIENCE
    )


def _without_password(url: str) -> str:
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://...@{after}" if at else url
