"""Where things are and how ingest behaves: resolved once, at the command line, then passed down."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

HOME_VARIABLE = "ARCHIVE_HOME"
CONFIG_VARIABLE = "ARCHIVE_CONFIG"
WEIGHTS_VARIABLE = "ARCHIVE_WEIGHTS"

SEAL_AT = 16_384
"""Vectors outside every shard that make a new shard worth its while.

Below it, reading them from the catalog costs less than importing faiss does.
"""


class Cluster(NamedTuple):
    """Where an archive of more than one machine keeps its parts; a part that is None is in the archive's home.

    metadata   the PostgreSQL of the catalog, as SQLAlchemy writes its URL
    originals  the place of the photos, as fsspec writes its URL: s3://bucket/prefix
    vectors    the Milvus of the index: milvus://host:port/name, its collections begin with that name
    executor   `local`, or the Ray that an ingest runs on: ray://host:port, ray://auto
    wearer     whose photos are meant where a command names nobody
    allowed    the wearers that a command may name; empty for all of them
    """

    metadata: str | None = None
    originals: str | None = None
    vectors: str | None = None
    executor: str = "local"
    wearer: str | None = None
    allowed: tuple[str, ...] = ()


class Settings(NamedTuple):
    """The archive's home, the folder of downloaded weights, and the limits that tests make small.

    `own_weights` is None where the weights are in the system's cache, which most questions need not look for.
    `cluster` is None for an archive that lives in its home alone, which is what most are. `wearers` are those that the
    command named.
    """

    home: Path
    own_weights: Path | None = None
    seal_at: int = SEAL_AT
    cluster: Cluster | None = None
    wearers: tuple[str, ...] = ()

    @property
    def weights(self) -> Path:
        """The folder of downloaded weights."""
        if self.own_weights is not None:
            return self.own_weights
        from platformdirs import user_cache_path

        return user_cache_path("archive") / "weights"

    @property
    def catalog(self) -> Path:
        """The SQLite file: the only truth besides the originals."""
        return self.home / "catalog.sqlite"

    @property
    def originals(self) -> Path:
        """The folder of content-addressed photos."""
        return self.home / "originals"

    @property
    def fetched(self) -> Path:
        """The folder of copies of originals that are elsewhere."""
        return self.home / "fetched"

    @property
    def arrivals(self) -> Path:
        """What the card called the photos of a run that is under way."""
        return self.home / "arrivals"

    @property
    def shards(self) -> Path:
        """The folder of the index's files, all of which can be rebuilt."""
        return self.home / "index"

    @property
    def thumbnails(self) -> Path:
        """The folder of small pictures, all of which can be made again."""
        return self.home / "thumbnails"

    @property
    def graphs(self) -> Path:
        """The folder of networks turned into graphs, beside the weights that they come from."""
        return self.weights / "graphs"

    @property
    def towers(self) -> Path:
        """The folder of exported text towers, one folder for each space."""
        return self.home / "towers"


def resolve(home: Path | None = None) -> Settings:
    """The settings: a flag goes before the environment, and that before the system's own place for user files."""
    chosen = home or _from_environment(HOME_VARIABLE) or _systems_home()
    weights = _from_environment(WEIGHTS_VARIABLE)
    return Settings(chosen.expanduser().absolute(), weights and weights.expanduser().absolute(), SEAL_AT)


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None


def _systems_home() -> Path:
    from platformdirs import user_data_path

    return user_data_path("archive")


class PairChoice(NamedTuple):
    """The pair that a command was asked to use: one of the registry by name, or parts of one's own.

    A part that is None is taken from the pair that the archive has, else from the standard one.
    """

    segmenter: str | None = None
    embedder: str | None = None
    name: str | None = None
