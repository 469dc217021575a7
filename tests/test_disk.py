"""What the disk is asked for: small files are there whole, for their owner alone, or not at all."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from archive.disk import put_file, sha256_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_takes_the_place_of_the_one_before_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for content in (b"one", b"another"):
        put_file(path, content)
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_take_its_place_leaves_nothing_behind(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    with pytest.raises(OSError, match="taken"):
        put_file(taken, b"content")
    assert list(tmp_path.iterdir()) == [taken]


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        assert sha256_of(file) == sha256_of(b"content") == sha256(b"content").hexdigest()
