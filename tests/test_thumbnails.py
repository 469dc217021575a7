"""Thumbnails: whole or not there, private, and gone with their photo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archive.thumbnails import Thumbnails

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "ab" * 32
PICTURE = b"\xff\xd8\xff picture \xff\xd9"


@pytest.fixture
def thumbnails(tmp_path: Path) -> Thumbnails:
    return Thumbnails(tmp_path / "thumbnails")


def test_what_was_put_is_there_and_private(thumbnails: Thumbnails) -> None:
    assert thumbnails.get(DIGEST) is None
    thumbnails.put(DIGEST, PICTURE)
    path = thumbnails.path(DIGEST)
    assert thumbnails.get(DIGEST) == path.read_bytes() == PICTURE
    assert [one.stat().st_mode & 0o777 for one in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]


def test_what_a_power_cut_left_is_made_again(thumbnails: Thumbnails) -> None:
    thumbnails.put(DIGEST, PICTURE)
    thumbnails.path(DIGEST).write_bytes(PICTURE[:-1])
    assert thumbnails.get(DIGEST) is None


def test_an_erased_one_is_gone(thumbnails: Thumbnails) -> None:
    thumbnails.put(DIGEST, PICTURE)
    assert list(thumbnails.stored()) == [(DIGEST, thumbnails.path(DIGEST))]
    assert thumbnails.erase(DIGEST)
    assert not thumbnails.erase(DIGEST)
    assert list(thumbnails.stored()) == []


def test_sweeping_takes_what_was_left_unfinished_and_nothing_else(thumbnails: Thumbnails) -> None:
    thumbnails.put(DIGEST, PICTURE)
    left = thumbnails.path(DIGEST).with_name(f"{DIGEST}1234.new")
    left.write_bytes(PICTURE)
    thumbnails.sweep()
    assert not left.exists()
    assert thumbnails.get(DIGEST) == PICTURE


@pytest.mark.parametrize("digest", ["", "../" * 22 + "ab", "AB" * 32, "ab" * 31, "ab" * 32 + "/x"])
def test_only_a_digest_names_one(thumbnails: Thumbnails, digest: str) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        thumbnails.path(digest)
