"""An archive moves to a PostgreSQL and a Milvus, is stopped half way, goes on, and comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from archive import bootstrap
from archive import settings as archive_settings
from archive.catalog import transfer
from archive.catalog.transfer import Transfer
from archive.cli import main
from archive.object_store import Bucket
from tests import object_store
from tests.coloured_archive import install
from tests.coloured_photos import day
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from archive.catalog.postgres import Postgres
    from archive.catalog.queries import State
    from archive.settings import Settings
    from tests.cluster.milvus import Standalone
    from tests.commands import Commands

COUNT = 90


@pytest.fixture
def filled(archive: Commands, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An archive of photos, some of which were forgotten, with a thing that was taught."""
    monkeypatch.setattr(archive_settings, "SEAL_AT", 50)
    card = day(tmp_path / "card", COUNT, datetime(2026, 11, 23, 9, tzinfo=UTC))
    assert archive("ingest", tmp_path / "card").code == 0
    assert archive("teach", "mug", card[0]).code == 0
    assert archive("forget", "3", "17", "--yes").code == 0
    return settings


@pytest.fixture
def config(
    milvus: Standalone, database: Callable[[], Postgres], s3: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A configuration of an empty cluster, whose photos are Anna's."""
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{uuid4().hex}"
    Bucket(f"s3://{bucket}")._files.mkdir(bucket)
    path = tmp_path / "cluster.toml"
    path.write_text(
        f'metadata = "{database().url}"\nvectors = "{milvus.url}?partitions=4"\nwearer = "anna"\n'
        f'originals = "s3://{bucket}/photos"\n'
    )
    return path


@pytest.fixture(scope="module")
def s3() -> Iterator[int]:
    """The port of an S3 server."""
    pytest.importorskip("s3fs", reason="needs the extra cluster")
    with object_store.running() as port:
        if port is None:
            pytest.skip("no S3 server is installed; it comes with the extra cluster-test")
        yield port


def die_half_way(config: str) -> None:
    """What the process does that is killed after its second page of photos."""
    install()
    transfer.PHOTOS_AT_ONCE = 20
    copy_next, pages = Transfer.copy_next, count(1)

    def copy_and_die(self: Transfer) -> None:
        copy_next(self)
        if next(pages) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    Transfer.copy_next = copy_and_die  # type: ignore[method-assign]
    main(["migrate", "--to", config])


def commits(settings: Settings) -> State:
    """The archive's newest commit."""
    with bootstrap.reading(settings) as reader:
        return reader.state


def answers(archive: Commands, *options: object) -> list[list[tuple[int, float]]]:
    told = [archive("query", text, "--json", "--all", *options).object for text in ("red", "a blue thing", "mug")]
    return [[(hit["photo"]["id"], round(hit["score"], 3)) for hit in one["hits"]] for one in told]


def test_an_archive_that_is_killed_on_its_way_arrives_answers_the_same_and_comes_back(
    archive: Commands, filled: Settings, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, state = answers(archive), commits(filled)
    program = f"from tests.cluster.test_migrate import die_half_way; die_half_way({str(config)!r})"
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "COLOURED_SEAL_AT": "50"}
    killed = subprocess.run([sys.executable, "-c", program], env=environment, check=False, cwd=CHECKOUT)
    assert killed.returncode == -signal.SIGKILL

    monkeypatch.setattr(transfer, "PHOTOS_AT_ONCE", 20)
    moved = archive("migrate", "--to", config, "--json")
    assert moved.code == 0, moved.err
    told = moved.object
    assert (told["photos"], told["originals"], told["lost"]) == (COUNT - 2 - 40, COUNT - 2 - 40, [])
    assert told["overlap"] == 1.0
    assert told["compared"] > 50
    assert commits(filled) == state
    assert answers(archive, "--config", config) == before
    assert archive("check", "--data", "--config", config).code == 0
    nothing = archive("migrate", "--to", config, "--json").object
    assert (nothing["photos"], nothing["originals"], nothing["overlap"]) == (0, 0, 1.0)

    monkeypatch.setenv("ARCHIVE_HOME", str(tmp_path / "back"))
    back = archive("migrate", "--from", config, "--json")
    assert back.code == 0, back.err
    assert (back.object["photos"], back.object["overlap"]) == (COUNT - 2, 1.0)
    assert answers(archive) == before
    assert archive("check", "--data").code == 0
    late = day(tmp_path / "late", 1, datetime(2026, 11, 24, 9, tzinfo=UTC), every=1.0)
    late[0].write_bytes(late[0].read_bytes() + b"\0")
    assert archive("ingest", tmp_path / "late", "--json").object["new"] == 1


def test_photos_of_another_archive_are_never_mixed_in(
    archive: Commands, filled: Settings, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert filled.catalog.exists()
    assert archive("migrate", "--to", config).code == 0
    monkeypatch.setenv("ARCHIVE_HOME", str(tmp_path / "other"))
    day(tmp_path / "theirs", 3, datetime(2026, 11, 25, 9, tzinfo=UTC))
    archive("ingest", tmp_path / "theirs")
    refused = archive("migrate", "--to", config)
    assert (refused.code, refused.err.count("\n")) == (3, 1)
    assert "photos of another archive" in refused.err
