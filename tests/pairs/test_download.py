from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import threading
from typing import TYPE_CHECKING, BinaryIO

import pytest

from archive.errors import ArchiveBusy, DownloadFailed, WeightsRejected
from archive.pairs import download
from archive.pairs.checking import verify
from archive.pairs.download import fetch
from archive.pairs.registry import Weights
from tests.pairs.source import Source, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pinned(source: Source, *, file: str = "small.safetensors") -> Weights:
    return Weights(file, source.url, source.sha256, len(source.content), "MIT")


def unpinned(source: Source) -> Weights:
    return Weights("small.safetensors", source.url, None, None, "MIT")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def cut(source: Source, weights: Weights, folder: Path, after: int, **options: bool) -> None:
    """Let a first pull break after that many bytes of its answer."""
    source.cut_after = after
    with pytest.raises(DownloadFailed, match="resumes"):
        fetch(weights, folder, **options)  # type: ignore[arg-type]
    source.cut_after = None


def test_a_pull_brings_the_file_and_nothing_else(source: Source, tmp_path: Path) -> None:
    path = fetch(pinned(source), tmp_path)
    assert path == tmp_path / "small.safetensors"
    assert path.read_bytes() == source.content
    assert names(tmp_path) == {"small.safetensors", "verified.json"}


def test_progress_ends_with_all_bytes(source: Source, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    fetch(pinned(source), tmp_path, progress=lambda here, total: seen.append((here, total)))
    assert seen[0] == (0, 100_000)
    assert seen[-1] == (100_000, 100_000)
    assert seen == sorted(seen)


def test_a_second_pull_asks_nothing(source: Source, tmp_path: Path) -> None:
    fetch(pinned(source), tmp_path)
    fetch(pinned(source), tmp_path)
    assert len(source.asked) == 1


def test_a_cut_connection_resumes_where_it_broke(source: Source, tmp_path: Path) -> None:
    cut(source, pinned(source), tmp_path, after=60_000)
    seen: list[int] = []
    path = fetch(pinned(source), tmp_path, progress=lambda here, _total: seen.append(here))
    assert path.read_bytes() == source.content
    assert source.ranges == [None, "bytes=60000-"]
    assert source.sent == [60_000, 40_000]
    assert seen[0] == 60_000


def test_a_resumed_pull_is_hashed_as_a_whole(source: Source, tmp_path: Path) -> None:
    cut(source, pinned(source), tmp_path, after=60_000)
    part = tmp_path / "small.safetensors.part"
    part.write_bytes(bytes([part.read_bytes()[0] ^ 1]) + part.read_bytes()[1:])
    with pytest.raises(WeightsRejected, match=source.sha256):
        fetch(pinned(source), tmp_path)
    assert names(tmp_path) == set()


def test_a_server_without_ranges_starts_over(source: Source, tmp_path: Path) -> None:
    source.knows_ranges = False
    cut(source, pinned(source), tmp_path, after=60_000)
    assert fetch(pinned(source), tmp_path).read_bytes() == source.content
    assert source.sent == [60_000, 100_000]


def test_a_source_without_an_etag_resumes_when_the_digest_is_pinned(source: Source, tmp_path: Path) -> None:
    source.etag = None
    cut(source, pinned(source), tmp_path, after=60_000)
    assert fetch(pinned(source), tmp_path).read_bytes() == source.content
    assert source.sent == [60_000, 40_000]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_a_source_without_a_strong_etag_starts_over_when_nothing_is_pinned(
    source: Source, tmp_path: Path, etag: str | None
) -> None:
    source.etag = etag
    cut(source, unpinned(source), tmp_path, after=60_000, trust_on_first_use=True)
    assert fetch(unpinned(source), tmp_path, trust_on_first_use=True).read_bytes() == source.content
    assert source.sent == [60_000, 100_000]


def test_a_file_that_changed_between_two_pulls_starts_over(source: Source, tmp_path: Path) -> None:
    cut(source, unpinned(source), tmp_path, after=60_000, trust_on_first_use=True)
    source.content, source.etag = bytes(80_000), '"two"'
    assert fetch(unpinned(source), tmp_path, trust_on_first_use=True).read_bytes() == bytes(80_000)
    assert source.ranges == [None, "bytes=60000-"]


def test_a_part_longer_than_the_file_starts_over(source: Source, tmp_path: Path) -> None:
    (tmp_path / "small.safetensors.part").write_bytes(bytes(200_000))
    assert fetch(pinned(source), tmp_path).read_bytes() == source.content
    assert source.ranges == [None]


def test_a_range_that_the_source_cannot_satisfy_starts_over(source: Source, tmp_path: Path) -> None:
    (tmp_path / "small.safetensors.part").write_bytes(bytes(100_000))
    assert fetch(pinned(source), tmp_path).read_bytes() == source.content
    assert source.ranges == ["bytes=100000-", None]


def test_a_complete_part_needs_no_request(source: Source, tmp_path: Path) -> None:
    (tmp_path / "small.safetensors.part").write_bytes(source.content)
    assert fetch(pinned(source), tmp_path).read_bytes() == source.content
    assert source.asked == []


def test_other_bytes_are_refused_and_not_kept(source: Source, tmp_path: Path) -> None:
    weights = Weights("small.safetensors", source.url, "0" * 64, 100_000, "MIT")
    with pytest.raises(WeightsRejected) as caught:
        fetch(weights, tmp_path)
    assert source.sha256 in str(caught.value)
    assert "0" * 64 in str(caught.value)
    assert names(tmp_path) == set()


def test_a_damaged_file_on_disk_is_fetched_anew(source: Source, tmp_path: Path) -> None:
    path = fetch(pinned(source), tmp_path)
    path.write_bytes(bytes(100_000))
    assert fetch(pinned(source), tmp_path).read_bytes() == source.content


def test_another_size_is_refused_before_it_is_read(source: Source, tmp_path: Path) -> None:
    weights = Weights("small.safetensors", source.url, source.sha256, 99_999, "MIT")
    with pytest.raises(WeightsRejected, match="100000 bytes at its source, expected 99999"):
        fetch(weights, tmp_path)
    assert names(tmp_path) == set()


def test_an_endless_body_stops_at_the_cap(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MOST_BYTES", 50_000)
    source.says_length = False
    weights = Weights("small.safetensors", source.url, source.sha256, None, "MIT")
    with pytest.raises(WeightsRejected, match="longer than 50000 bytes"):
        fetch(weights, tmp_path)
    assert names(tmp_path) == set()


def test_a_body_shorter_than_announced_is_a_cut(source: Source, tmp_path: Path) -> None:
    source.announced = 100_001
    weights = Weights("small.safetensors", source.url, source.sha256, None, "MIT")
    with pytest.raises(DownloadFailed, match="100000 bytes"):
        fetch(weights, tmp_path)
    assert not (tmp_path / "small.safetensors").exists()


def test_a_silent_source_times_out_and_the_pull_resumes(source: Source, tmp_path: Path) -> None:
    source.hold_after = 60_000
    with pytest.raises(DownloadFailed, match=r"60000 bytes .*timed out.*resumes"):
        fetch(pinned(source), tmp_path, timeout=0.5)
    source.hold_after = None
    source.go_on.set()
    assert fetch(pinned(source), tmp_path).read_bytes() == source.content
    assert source.ranges[-1] == "bytes=60000-"


@pytest.mark.parametrize("status", [404, 500])
def test_an_error_of_the_server_is_named(source: Source, tmp_path: Path, status: int) -> None:
    source.status = status
    with pytest.raises(DownloadFailed, match=f"answers {status} "):
        fetch(pinned(source), tmp_path)


def test_an_error_of_the_server_keeps_what_arrived(source: Source, tmp_path: Path) -> None:
    cut(source, pinned(source), tmp_path, after=60_000)
    source.status = 503
    with pytest.raises(DownloadFailed):
        fetch(pinned(source), tmp_path)
    source.status = 200
    fetch(pinned(source), tmp_path)
    assert source.sent[-1] == 40_000


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="Connection refused"):
        fetch(Weights("small.safetensors", "http://127.0.0.1:9/x", "0" * 64, 10, "MIT"), tmp_path)


def test_a_redirect_on_this_machine_is_followed(source: Source, tmp_path: Path) -> None:
    with serving(b"") as door:
        door.location = source.url
        weights = Weights("small.safetensors", door.url, source.sha256, None, "MIT")
        assert fetch(weights, tmp_path).read_bytes() == source.content


@pytest.mark.parametrize(
    "location", ["http://files.example.net/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://127.0.0.1.nip.io/x"]
)
def test_a_redirect_to_an_unsafe_address_is_refused(source: Source, tmp_path: Path, location: str) -> None:
    source.location = location
    with pytest.raises(DownloadFailed, match=r"not https|answers 302"):
        fetch(pinned(source), tmp_path)
    assert not (tmp_path / "small.safetensors").exists()


@pytest.mark.parametrize("url", ["http://files.example.net/x", "file:///etc/passwd", "ftp://files.example.net/x", "x"])
def test_an_address_without_https_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(WeightsRejected, match="https"):
        fetch(Weights("small.safetensors", url, "0" * 64, 10, "MIT"), tmp_path)
    assert names(tmp_path) == set()


def test_the_proxy_of_the_environment_is_used(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", source.url.rpartition("/")[0])
    weights = Weights("small.safetensors", "http://127.0.0.2:9/far.safetensors", source.sha256, None, "MIT")
    assert fetch(weights, tmp_path).read_bytes() == source.content
    assert source.asked == ["http://127.0.0.2:9/far.safetensors"]


def test_an_unpinned_file_is_refused_before_anything_is_asked(source: Source, tmp_path: Path) -> None:
    with pytest.raises(WeightsRejected, match="--trust-on-first-use"):
        fetch(unpinned(source), tmp_path)
    assert source.asked == []
    assert names(tmp_path) == set()


def test_a_trusted_file_needs_to_be_trusted_only_once(source: Source, tmp_path: Path) -> None:
    fetch(unpinned(source), tmp_path, trust_on_first_use=True)
    assert json.loads((tmp_path / "trusted.json").read_text()) == {"small.safetensors": source.sha256}
    (tmp_path / "small.safetensors").unlink()
    assert fetch(unpinned(source), tmp_path).read_bytes() == source.content


@pytest.mark.parametrize("again", [False, True])
def test_a_trusted_file_that_changes_later_is_refused(source: Source, tmp_path: Path, again: bool) -> None:
    first = source.sha256
    fetch(unpinned(source), tmp_path, trust_on_first_use=True)
    (tmp_path / "small.safetensors").unlink()
    source.content, source.etag = bytes(100_000), '"two"'
    with pytest.raises(WeightsRejected, match=rf"{first} is trusted in trusted\.json"):
        fetch(unpinned(source), tmp_path, trust_on_first_use=again)
    assert names(tmp_path) == {"trusted.json", "verified.json"}


def test_a_file_of_unknown_length_is_not_trusted(source: Source, tmp_path: Path) -> None:
    source.says_length = False
    with pytest.raises(DownloadFailed, match="how long"):
        fetch(unpinned(source), tmp_path, trust_on_first_use=True)
    assert "trusted.json" not in names(tmp_path)


def test_a_broken_trust_file_is_not_overwritten(source: Source, tmp_path: Path) -> None:
    (tmp_path / "trusted.json").write_text("{")
    with pytest.raises(WeightsRejected, match=r"trusted\.json cannot be read"):
        fetch(unpinned(source), tmp_path, trust_on_first_use=True)
    assert (tmp_path / "trusted.json").read_text() == "{"


def test_a_second_pull_at_once_is_busy_and_the_first_ends_well(source: Source, tmp_path: Path) -> None:
    source.hold_after = 50_000
    first = threading.Thread(target=fetch, args=(pinned(source), tmp_path))
    first.start()
    assert source.held.wait(10)
    with pytest.raises(ArchiveBusy, match=r"small\.safetensors"):
        fetch(pinned(source), tmp_path)
    source.go_on.set()
    first.join()
    assert (tmp_path / "small.safetensors").read_bytes() == source.content
    assert len(source.asked) == 1


def test_many_pulls_at_once_ask_once_and_leave_one_whole_file(source: Source, tmp_path: Path) -> None:
    def pull() -> None:
        with contextlib.suppress(ArchiveBusy):
            fetch(pinned(source), tmp_path)

    pulls = [threading.Thread(target=pull) for _ in range(16)]
    for thread in pulls:
        thread.start()
    for thread in pulls:
        thread.join()
    assert (tmp_path / "small.safetensors").read_bytes() == source.content
    assert len(source.asked) == 1
    assert names(tmp_path) == {"small.safetensors", "verified.json"}


def test_a_part_that_another_pull_removed_before_it_was_locked_is_not_written_to(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks: list[int] = []

    def flock(file: BinaryIO, how: int) -> None:
        if not locks:
            (tmp_path / "small.safetensors.part").unlink()
        locks.append(how)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert fetch(pinned(source), tmp_path).read_bytes() == source.content


def test_ctrl_c_keeps_what_arrived(source: Source, tmp_path: Path) -> None:
    def press(here: int, _total: int | None) -> None:
        if here > 30_000:
            raise KeyboardInterrupt

    source.hold_after = 50_000
    with pytest.raises(KeyboardInterrupt):
        fetch(pinned(source), tmp_path, progress=press)
    source.hold_after = None
    source.go_on.set()
    here = (tmp_path / "small.safetensors.part").stat().st_size
    assert here > 30_000
    assert fetch(pinned(source), tmp_path).read_bytes() == source.content
    assert source.ranges[-1] == f"bytes={here}-"


def test_files_and_folders_are_private(source: Source, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        cut(source, pinned(source), tmp_path / "a" / "b", after=60_000)
        part = (tmp_path / "a" / "b" / "small.safetensors.part").stat().st_mode & 0o777
        fetch(pinned(source), tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert part == 0o600
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "a").rglob("*")}
    assert modes == {"b": 0o700, "small.safetensors": 0o600, "verified.json": 0o600}
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "file",
    ["../x", "/etc/x", "a/b", "..", ".", "", ".x", "a\\b", "a\nb", "a\0b", "trusted.json", "verified.json", "x.part"],
)
def test_a_hostile_name_touches_nothing(source: Source, tmp_path: Path, file: str) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    with pytest.raises(WeightsRejected, match="name"):
        fetch(pinned(source, file=file), folder)
    assert names(tmp_path) == {"weights"}
    assert names(folder) == set()
    assert source.asked == []


def test_a_link_in_the_place_of_the_part_is_not_followed(source: Source, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "small.safetensors.part").symlink_to(victim)
    with pytest.raises(DownloadFailed, match="cannot be stored"):
        fetch(pinned(source), folder)
    assert victim.read_bytes() == b"mine"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_named_and_the_pull_resumes(source: Source, small_disk: Path) -> None:
    with pytest.raises(DownloadFailed, match="disk is full"):
        fetch(pinned(source), small_disk)
    here = (small_disk / "small.safetensors.part").stat().st_size
    assert 0 < here < 100_000
    subprocess.run(["mount", "-o", "remount,size=1m", small_disk], check=True)
    path = fetch(pinned(source), small_disk)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == source.sha256
    assert source.ranges[-1] == f"bytes={here}-"


def test_what_was_fetched_is_what_is_used(source: Source, tmp_path: Path) -> None:
    assert fetch(pinned(source), tmp_path) == verify(pinned(source), tmp_path)
