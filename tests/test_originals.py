from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archive.errors import ArchiveError, CatalogDamaged
from archive.originals import Originals
from archive.photos.reading import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = b"a photo" * 1000
DIGEST = digest_of(CONTENT)
TAKEN = 1_700_000_000.25


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "originals"


@pytest.fixture
def originals(folder: Path) -> Originals:
    return Originals(folder)


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_original_is_kept_under_its_digest(originals: Originals, folder: Path) -> None:
    path = originals.put(CONTENT, DIGEST, ".jpg", TAKEN)
    assert path == folder / DIGEST[:2] / f"{DIGEST}.jpg" == originals.path(DIGEST, ".jpg")
    assert path.read_bytes() == CONTENT == originals.read(DIGEST, ".jpg")
    assert path.stat().st_mtime == TAKEN
    assert files_below(folder) == [f"{DIGEST[:2]}/{DIGEST}.jpg"]


def test_only_its_owner_can_look_at_it(originals: Originals, folder: Path) -> None:
    path = originals.put(CONTENT, DIGEST, ".jpg", TAKEN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for made in (path.parent, folder, folder.parent):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_nothing_is_touched_before_the_first_photo(folder: Path) -> None:
    originals = Originals(folder)
    assert list(originals.stored()) == []
    originals.sweep()
    assert not folder.parent.exists()


def test_a_second_put_changes_nothing(originals: Originals) -> None:
    first = originals.put(CONTENT, DIGEST, ".jpg", TAKEN).stat()
    second = originals.put(CONTENT, DIGEST, ".jpg", TAKEN + 99).stat()
    assert (first.st_ino, first.st_mtime_ns) == (second.st_ino, second.st_mtime_ns)


@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], b"X" + CONTENT[1:]])
def test_a_damaged_original_is_replaced(originals: Originals, damaged: bytes) -> None:
    path = originals.put(CONTENT, DIGEST, ".jpg", None)
    path.write_bytes(damaged)
    originals.put(CONTENT, DIGEST, ".jpg", None)
    assert path.read_bytes() == CONTENT


def test_a_missing_original_names_the_next_command(originals: Originals) -> None:
    with pytest.raises(CatalogDamaged, match="is missing; run `archive check`"):
        originals.read(DIGEST, ".jpg")


def test_an_altered_original_is_never_handed_out(originals: Originals) -> None:
    originals.put(CONTENT, DIGEST, ".jpg", None).write_bytes(b"X" + CONTENT[1:])
    with pytest.raises(CatalogDamaged, match="was altered; run `archive check`"):
        originals.read(DIGEST, ".jpg")


def test_an_unreadable_original_says_why(originals: Originals) -> None:
    originals.path(DIGEST, ".jpg").mkdir(parents=True)
    with pytest.raises(CatalogDamaged, match="cannot be read: Is a directory"):
        originals.read(DIGEST, ".jpg")


def test_what_is_stored_is_listed_by_digest(originals: Originals, folder: Path) -> None:
    contents = [bytes([number]) * 10 for number in range(5)]
    expected = sorted((digest_of(content), content) for content in contents)
    for content in contents:
        originals.put(content, digest_of(content), ".png", None)
    (folder / "notes.txt").write_text("not ours")
    (folder / "00").mkdir(exist_ok=True)
    (folder / "00" / "stray.jpg").write_text("not ours")
    (folder / "00" / f"{DIGEST}.jpg").write_text("in the wrong folder")
    assert [(digest, path.read_bytes()) for digest, path in originals.stored()] == expected


def test_sweeping_deletes_what_killed_runs_left_and_nothing_else(originals: Originals, folder: Path) -> None:
    path = originals.put(CONTENT, DIGEST, ".jpg", None)
    (path.parent / ".new-abc123").write_bytes(CONTENT[:99])
    originals.sweep()
    assert files_below(folder) == [f"{DIGEST[:2]}/{DIGEST}.jpg"]


@pytest.mark.parametrize(
    ("digest", "suffix"),
    [
        (DIGEST, ".JPG"),
        (DIGEST, ""),
        (DIGEST, ".jpg/../x"),
        (DIGEST, "jpg"),
        ("../../x", ".jpg"),
        (DIGEST + "0", ".jpg"),
    ],
)
def test_a_name_is_never_made_of_anything_else(originals: Originals, digest: str, suffix: str) -> None:
    with pytest.raises(ValueError, match="not a digest and a suffix"):
        originals.put(CONTENT, digest, suffix, None)


@contextmanager
def no_room() -> Iterator[None]:
    """No file may grow beyond 4 KiB in this process: the nearest thing to a full disk that needs no rights.

    The report of the tests themselves is such a file where it is redirected, so the block must print nothing.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_no_half_file(originals: Originals, folder: Path) -> None:
    with no_room(), pytest.raises(ArchiveError, match="cannot be written: File too large") as raised:
        originals.put(CONTENT, DIGEST, ".jpg", TAKEN)
    assert isinstance(raised.value.__cause__, OSError)
    assert raised.value.__cause__.errno == errno.EFBIG
    assert files_below(folder) == []


def test_a_full_disk_leaves_a_damaged_original_for_a_later_repair(originals: Originals) -> None:
    path = originals.path(DIGEST, ".jpg")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    with no_room(), pytest.raises(ArchiveError):
        originals.put(CONTENT, DIGEST, ".jpg", TAKEN)
    assert path.read_bytes() == b"damaged"


KILLED_WHILE_WRITING = """
import os, sys
from pathlib import Path
from archive import originals

def killed(descriptor):
    os._exit(9)

os.fsync = killed
originals.Originals(Path(sys.argv[1])).put(b"a photo" * 1000, sys.argv[2], ".jpg", None)
"""


def test_a_run_killed_before_the_file_is_on_disk_leaves_nothing_under_its_name(
    originals: Originals, folder: Path
) -> None:
    (folder / DIGEST[:2]).mkdir(parents=True)
    finished = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(folder), DIGEST], check=False)
    assert finished.returncode == 9
    assert len(files_below(folder)) == 1
    assert list(originals.stored()) == []
    originals.sweep()
    assert files_below(folder) == []
    originals.put(CONTENT, DIGEST, ".jpg", None)
    assert originals.read(DIGEST, ".jpg") == CONTENT


def test_everything_is_synced_before_put_returns(originals: Originals, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before it gets its name, then its folder, and every folder that was made on the way."""
    synced: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def recorded(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        synced.append("renamed")
        return replace(self, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    monkeypatch.setattr(os, "fsync", recorded)
    monkeypatch.setattr(Path, "replace", renamed)
    path = originals.put(CONTENT, DIGEST, ".jpg", None)
    *made, file, rename, last = synced
    assert made == [path.parents[3].name, "home", "originals"]
    assert file.startswith(".new-")
    assert (rename, last) == ("renamed", DIGEST[:2])
