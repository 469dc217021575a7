"""A file is hashed once, and again as soon as anybody may have written to it."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

from archive.verified import MOST, NAME, Verified, has_digest

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CONTENT = b"a shard"
DIGEST = sha256(CONTENT).hexdigest()


def written(folder: Path) -> Path:
    path = folder / "a.shard"
    path.write_bytes(CONTENT)
    return path


def forbid_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("archive.verified.sha256_of", refuse)


def test_another_process_need_not_hash_what_one_has_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path)
    assert has_digest(path, DIGEST, Verified(tmp_path))
    forbid_hashing(monkeypatch)
    assert has_digest(path, DIGEST, Verified(tmp_path))


def test_a_file_that_was_written_to_is_hashed_again_even_with_its_old_time(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert has_digest(path, DIGEST, Verified(tmp_path))
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"A")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not has_digest(path, DIGEST, Verified(tmp_path))


def test_a_file_in_its_place_is_hashed_again(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert has_digest(path, DIGEST, Verified(tmp_path))
    other = tmp_path / "other"
    other.write_bytes(b"another")
    other.replace(path)
    assert not has_digest(path, DIGEST, Verified(tmp_path))


def test_another_digest_is_not_the_one_that_was_found(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert has_digest(path, DIGEST, Verified(tmp_path))
    assert not has_digest(path, "0" * 64, Verified(tmp_path))


def test_a_record_that_is_damaged_or_cannot_be_written_costs_only_the_hashing(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / NAME).write_bytes(b"{")
    assert has_digest(path, DIGEST, Verified(tmp_path))
    assert has_digest(path, DIGEST, Verified(tmp_path / "not there"))


def test_the_record_is_private_and_stays_small(tmp_path: Path) -> None:
    path, verified = written(tmp_path), Verified(tmp_path)
    for number in range(MOST + 5):
        verified.note(str(number), path.stat(), DIGEST)
    assert not Verified(tmp_path).holds("4", path.stat(), DIGEST)
    assert Verified(tmp_path).holds("5", path.stat(), DIGEST)
    assert (tmp_path / NAME).stat().st_mode & 0o077 == 0
