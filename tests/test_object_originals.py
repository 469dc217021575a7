"""Originals in a folder and in a real object store: the same promises, and what only a network can do to them."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from archive import object_originals
from archive.errors import ArchiveError
from archive.object_originals import ObjectOriginals
from archive.object_store import Bucket
from archive.originals import Originals
from archive.photos.reading import digest_of
from tests import coloured_photos
from tests.contracts.originals import CONTENT, TAKEN, OriginalsContract

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands
    from tests.object_store import Line

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

DIGEST = digest_of(CONTENT)
MORNING = datetime(2026, 11, 20, 8, tzinfo=UTC)


class TestInAFolder(OriginalsContract):
    @pytest.fixture
    def originals(self, tmp_path: Path) -> Originals:
        return Originals(tmp_path / "originals")


@pytest.mark.cluster
class TestInABucket(OriginalsContract):
    @pytest.fixture
    def originals(self, url: str, tmp_path: Path) -> Originals:
        return ObjectOriginals(Bucket(url), tmp_path / "fetched")


@pytest.fixture
def remote(url: str, tmp_path: Path) -> ObjectOriginals:
    return ObjectOriginals(Bucket(url), tmp_path / "fetched")


@pytest.mark.cluster
def test_a_store_that_is_busy_for_a_moment_is_asked_again(remote: ObjectOriginals, line: Line) -> None:
    line.failing = 2
    remote.put(CONTENT, DIGEST, ".jpg", TAKEN)
    line.failing = 2
    assert remote.read(DIGEST, ".jpg") == CONTENT
    assert line.failing == 0


@pytest.mark.cluster
def test_a_store_that_stays_away_is_one_line_and_loses_nothing(remote: ObjectOriginals, line: Line) -> None:
    remote.put(CONTENT, DIGEST, ".jpg", TAKEN)
    line.failing = 10_000
    with pytest.raises(ArchiveError, match=r"s3://.* cannot be reached or used: .*run this again") as caught:
        remote.read(DIGEST, ".jpg")
    assert "\n" not in str(caught.value)
    line.failing = 0
    assert remote.read(DIGEST, ".jpg") == CONTENT


@pytest.mark.cluster
def test_an_upload_that_was_broken_off_leaves_nothing_to_be_seen(remote: ObjectOriginals, line: Line) -> None:
    line.cut = 10_000
    with pytest.raises(ArchiveError):
        remote.put(CONTENT, DIGEST, ".jpg", TAKEN)
    line.cut = 0
    assert list(remote.stored()) == []
    assert not remote.is_there(DIGEST)
    remote.put(CONTENT, DIGEST, ".jpg", TAKEN)
    assert remote.read(DIGEST, ".jpg") == CONTENT


@pytest.mark.cluster
def test_the_store_is_told_what_to_compare_the_bytes_with(remote: ObjectOriginals, line: Line) -> None:
    remote.put(CONTENT, DIGEST, ".jpg", TAKEN)
    assert line.md5 == b64encode(hashlib.md5(CONTENT, usedforsecurity=False).digest()).decode()


@pytest.mark.cluster
def test_one_that_is_whole_is_not_sent_again(remote: ObjectOriginals, line: Line) -> None:
    remote.put(CONTENT, DIGEST, ".jpg", TAKEN)
    before = line.requests
    remote.put(CONTENT, DIGEST, ".jpg", TAKEN)
    assert line.requests == before + 1


@pytest.mark.cluster
def test_no_more_copies_stay_here_than_that(remote: ObjectOriginals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_originals, "COPIES", 3)
    for number in range(6):
        content = bytes([number])
        remote.put(content, digest_of(content), ".jpg", None)
        assert remote.local(digest_of(content), ".jpg").read_bytes() == content
    assert len([path for path in remote.folder.rglob("*") if path.is_file()]) == 3


@pytest.mark.cluster
def test_the_command_line_over_a_bucket(archive: Commands, url: str, home: Path, tmp_path: Path) -> None:
    config = tmp_path / "cluster.toml"
    config.write_text(f"originals = {json.dumps(url)}\n")
    (tmp_path / "card" / "sub").mkdir(parents=True)
    for path in coloured_photos.day(tmp_path / "card" / "sub", 6, MORNING):
        Bucket(f"{url}-card").put(f"sub/{path.name}", path.read_bytes())
    Bucket(f"{url}-card").put("notes.txt", b"no photo")
    for wanted in ((6, 0), (0, 6)):
        told = archive("ingest", f"{url}-card", "--json", "--config", config).object
        assert (told["new"], told["known"]) == wanted
    assert not (home / "originals").exists()
    assert archive("check", "--data", "--config", config).code == 0
    hit = archive("query", "red", "--json", "--config", config).object["hits"][0]["photo"]
    assert hit["path"].startswith(f"{url}/{hit['digest'][:2]}/{hit['digest']}")
    saved = archive("query", "red", "--save", tmp_path / "found", "--no-picture", "--config", config)
    assert saved.code == 0
    assert len(list((tmp_path / "found").iterdir())) > 0
    assert archive("forget", hit["id"], "--yes", "--config", config).code == 0
    assert Bucket(url).beginning(hit["digest"][:2], hit["digest"]) == []
    assert "backed up and restored by their own tools" in archive("backup", tmp_path / "b", "--config", config).err


@pytest.mark.cluster
def test_a_bucket_without_photos_or_that_is_not_there_is_said_so(archive: Commands, url: str, tmp_path: Path) -> None:
    for source in (f"{url}-nothing", "s3://no-such-bucket-here"):
        told = archive("ingest", source)
        assert told.code == 2
        assert f"there is no photo at {source}" in told.err


@pytest.mark.cluster
def test_what_a_killed_run_left_in_the_bucket_is_adopted_by_its_own_machine_alone(
    archive: Commands, url: str, home: Path, tmp_path: Path
) -> None:
    from archive.arrivals import Arrival, Arrivals

    config = tmp_path / "cluster.toml"
    config.write_text(f"originals = {json.dumps(url)}\n")
    ours, theirs = (path.read_bytes() for path in coloured_photos.day(tmp_path / "card", 2, MORNING))
    home.mkdir()
    Arrivals(home / "arrivals").note(Arrival(digest_of(ours), b"card/ours.jpg", TAKEN))
    for content in (ours, theirs):
        Bucket(url).put(f"{digest_of(content)[:2]}/{digest_of(content)}.jpg", content, TAKEN)
    assert archive("ingest", "--json", "--config", config).object["new"] == 1
    hits = archive("query", "red", "--all", "--json", "--config", config).object["hits"]
    assert [hit["photo"]["name"] for hit in hits] == ["ours.jpg"]
