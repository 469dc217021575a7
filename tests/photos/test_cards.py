from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archive.errors import SourceVanished, UsageError
from archive.photos.cards import find, is_gone

if TYPE_CHECKING:
    from collections.abc import Iterator


def unexpected(path: Path, reason: str) -> None:
    pytest.fail(f"{path} was reported: {reason}")


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"photo")
    return folder


def found(source: Path, exclude: Path | None = None) -> list[bytes]:
    return [file.relative for file in find(source, exclude, on_error=unexpected)]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder = tmp_path / "card"
    folder.mkdir()
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder of another file system."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


def test_photos_are_found_below_every_folder_in_the_order_of_their_bytes(card: Path) -> None:
    make(card, "b.jpg", "a.jpg", "Z.jpg", "DCIM/100/2.jpg", "DCIM/100/1.jpg", "DCIM/099/9.jpg", "ü.jpg")
    assert found(card) == [
        *(b"Z.jpg", b"a.jpg", b"b.jpg", "ü.jpg".encode()),
        *(b"DCIM/099/9.jpg", b"DCIM/100/1.jpg", b"DCIM/100/2.jpg"),
    ]


def test_the_path_leads_to_the_file(card: Path) -> None:
    make(card, "DCIM/1.jpg")
    assert [file.path for file in find(card, on_error=unexpected)] == [card / "DCIM" / "1.jpg"]


@pytest.mark.parametrize("name", ["A.JPG", "a.jpeg", "a.HEIC", "a.mpo", "a.WebP", "a.tiff", "a.b.avif", "-rf.jpg"])
def test_a_photo_is_known_by_its_ending_in_any_case(card: Path, name: str) -> None:
    assert found(make(card, name)) == [name.encode()]


@pytest.mark.parametrize("name", ["a.txt", "jpg", "a.jpg.part", "a.mp4", "noending", ".hidden.jpg", "._a.jpg"])
def test_other_files_and_hidden_ones_are_passed_over(card: Path, name: str) -> None:
    assert found(make(card, name)) == []


@pytest.mark.parametrize(
    "folder", [".thumbnails", "System Volume Information", "$RECYCLE.BIN", "lost.dir", "@eaDir", "__MACOSX"]
)
def test_system_folders_are_passed_over(card: Path, folder: str) -> None:
    assert found(make(card, f"{folder}/a.jpg", "kept.jpg")) == [b"kept.jpg"]


def test_links_pipes_and_folders_named_like_photos_are_no_photos(card: Path, tmp_path: Path) -> None:
    outside = make(tmp_path / "outside", "secret.jpg")
    (card / "link.jpg").symlink_to(outside / "secret.jpg")
    (card / "folder").symlink_to(outside)
    (card / "loop").symlink_to(card)
    os.mkfifo(card / "pipe.jpg")
    make(card, "album.jpg/inside.jpg")
    assert found(card) == [b"album.jpg/inside.jpg"]


def test_the_archives_own_home_is_left_out_however_it_is_spelled(card: Path, tmp_path: Path) -> None:
    make(card, "a.jpg", "archive/originals/00/b.jpg")
    (tmp_path / "alias").symlink_to(card / "archive")
    for home in (card / "archive", tmp_path / "alias", card / "archive" / "originals" / ".."):
        assert found(card, exclude=home) == [b"a.jpg"]


def test_an_archive_that_does_not_exist_yet_excludes_nothing(card: Path) -> None:
    assert found(make(card, "a.jpg"), exclude=card / "later") == [b"a.jpg"]


@pytest.mark.parametrize("inside", ["", "originals", "originals/a.jpg"])
def test_the_archive_does_not_eat_itself(card: Path, inside: str) -> None:
    make(card, "originals/a.jpg")
    with pytest.raises(UsageError, match="belongs to the archive"):
        found(card / inside, exclude=card)


def test_a_file_named_by_a_person_is_taken_whatever_its_name(card: Path) -> None:
    make(card, ".hidden.bin")
    (file,) = find(card / ".hidden.bin", on_error=unexpected)
    assert file.relative == b".hidden.bin"
    assert file.path.read_bytes() == b"photo"


def test_a_link_named_by_a_person_is_followed(card: Path, tmp_path: Path) -> None:
    make(card, "a.jpg")
    (tmp_path / "to-card").symlink_to(card)
    (tmp_path / "to-file.jpg").symlink_to(card / "a.jpg")
    assert found(tmp_path / "to-card") == [b"a.jpg"]
    (file,) = find(tmp_path / "to-file.jpg", on_error=unexpected)
    assert (file.path, file.relative) == (card / "a.jpg", b"to-file.jpg")


def test_names_that_are_no_utf8_are_kept_byte_for_byte(card: Path) -> None:
    name = b"\xff\xfe\n\x1b[2J.jpg"
    Path(os.fsdecode(os.fsencode(card) + b"/" + name)).write_bytes(b"photo")
    (file,) = find(card, on_error=unexpected)
    assert file.relative == name
    assert file.path.read_bytes() == b"photo"


def test_a_missing_source_is_named_safely(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\\x1bcard does not exist"):
        found(tmp_path / "\x1bcard")


def test_a_source_below_a_file_is_an_error_of_usage(card: Path) -> None:
    make(card, "a.jpg")
    with pytest.raises(UsageError, match="cannot be read"):
        found(card / "a.jpg" / "b")


def test_a_folder_that_cannot_be_read_is_reported_and_the_walk_goes_on(card: Path) -> None:
    make(card, "a.jpg", "z/b.jpg")
    names, descriptor = "d" * 250, os.open(card, os.O_RDONLY)
    for _ in range(17):  # deeper than a path may be long
        os.mkdir(names, dir_fd=descriptor)
        below = os.open(names, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    reported: list[tuple[Path, str]] = []
    files = find(card, on_error=lambda path, reason: reported.append((path, reason)))
    assert [file.relative for file in files] == [b"a.jpg", b"z/b.jpg"]
    ((path, reason),) = reported
    assert path.name == names
    assert reason == "File name too long"


def test_folders_deeper_than_the_stack_are_no_problem(card: Path) -> None:
    make(card, "/".join(["d"] * 300) + "/a.jpg")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(250)
    try:
        assert len(found(card)) == 1
    finally:
        sys.setrecursionlimit(limit)


def test_other_file_systems_below_the_source_are_not_entered(elsewhere: Path) -> None:
    make(elsewhere, "a.jpg")
    below = [file.path for file in find(Path("/dev"), on_error=lambda _path, _reason: None)]
    assert elsewhere / "a.jpg" not in below
    assert found(elsewhere) == [b"a.jpg"]


def test_a_card_that_was_pulled_out_ends_the_walk(card: Path) -> None:
    files = find(make(card, "a.jpg", "DCIM/b.jpg"), on_error=unexpected)
    next(files)
    shutil.rmtree(card)
    with pytest.raises(SourceVanished, match="went away"):
        list(files)


def test_a_card_whose_mount_point_stays_behind_ends_the_walk(card: Path, tmp_path: Path, elsewhere: Path) -> None:
    make(card, "a.jpg")
    mount = tmp_path / "mount"
    mount.symlink_to(card)
    files = find(mount, on_error=unexpected)
    next(files)
    mount.unlink()
    mount.symlink_to(elsewhere)
    with pytest.raises(SourceVanished):
        list(files)


def test_a_source_is_gone_only_when_it_is(card: Path, elsewhere: Path) -> None:
    device = card.stat().st_dev
    assert not is_gone(card, device)
    assert not is_gone(make(card, "a.jpg") / "a.jpg", device)
    assert is_gone(card / "b.jpg", device)
    assert is_gone(elsewhere, device)


@pytest.mark.slow
def test_a_hundred_thousand_files_in_one_folder_are_listed_in_seconds(card: Path) -> None:
    for number in range(100_000):
        (card / f"{number}.jpg").touch()
    start = time.perf_counter()
    assert len(found(card)) == 100_000
    assert time.perf_counter() - start < 10
