from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest

from archive.errors import WeightsMissing, WeightsRejected
from archive.pairs.checking import trust, verify
from archive.pairs.registry import Weights

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PINNED = Weights("w.safetensors", "https://example.org/w", DIGEST, len(CONTENT), "MIT")
UNPINNED = Weights("w.safetensors", "https://example.org/w", None, None, "MIT")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "w.safetensors").write_bytes(CONTENT)
    return tmp_path


def test_a_pinned_file_is_what_it_claims(folder: Path) -> None:
    assert verify(PINNED, folder) == folder / "w.safetensors"


def test_a_missing_file_names_the_command_that_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="`archive models pull standard`"):
        verify(PINNED, tmp_path, pair="standard")


def test_another_size_is_refused(folder: Path) -> None:
    (folder / "w.safetensors").write_bytes(CONTENT + b"!")
    with pytest.raises(WeightsRejected, match="8 bytes, expected 7"):
        verify(PINNED, folder)


def test_other_bytes_of_the_same_size_are_refused(folder: Path) -> None:
    (folder / "w.safetensors").write_bytes(CONTENT.upper())
    with pytest.raises(WeightsRejected, match=DIGEST):
        verify(PINNED, folder)


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").mkdir()
    with pytest.raises(WeightsRejected, match="not a file"):
        verify(PINNED, tmp_path)


def test_an_unpinned_file_is_refused_until_it_is_trusted(folder: Path) -> None:
    with pytest.raises(WeightsRejected, match="--trust-on-first-use"):
        verify(UNPINNED, folder)
    trust(UNPINNED, folder, DIGEST)
    assert verify(UNPINNED, folder) == folder / "w.safetensors"


def test_a_trusted_file_that_changed_is_refused(folder: Path) -> None:
    trust(UNPINNED, folder, DIGEST)
    (folder / "w.safetensors").write_bytes(CONTENT.upper())
    with pytest.raises(WeightsRejected, match=r"trusted in trusted\.json"):
        verify(UNPINNED, folder)


def test_trusting_one_file_keeps_the_trust_in_others(folder: Path) -> None:
    trust(UNPINNED, folder, DIGEST)
    trust(Weights("v.safetensors", "https://example.org/v", None, None, "MIT"), folder, "0" * 64)
    assert set(json.loads((folder / "trusted.json").read_text())) == {"w.safetensors", "v.safetensors"}


def test_a_verified_file_is_not_hashed_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verify(PINNED, folder)
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert verify(PINNED, folder) == folder / "w.safetensors"


def test_a_verified_file_that_was_written_since_is_hashed_again(folder: Path) -> None:
    path = verify(PINNED, folder)
    later = path.stat().st_mtime_ns + 1
    path.write_bytes(CONTENT.upper())
    os.utime(path, ns=(later, later))
    with pytest.raises(WeightsRejected, match=DIGEST):
        verify(PINNED, folder)


@pytest.mark.parametrize(
    "remembered", ["{", "[]", "null", '{"w.safetensors": []}', '{"w.safetensors": [1, 2, 3, "x"]}']
)
def test_a_broken_memory_only_costs_time(folder: Path, remembered: str) -> None:
    (folder / "verified.json").write_text(remembered)
    assert verify(PINNED, folder) == folder / "w.safetensors"
    assert json.loads((folder / "verified.json").read_text())["w.safetensors"][-1] == DIGEST


def test_a_memory_of_other_bytes_vouches_for_nothing(folder: Path) -> None:
    verify(PINNED, folder)
    other = Weights("w.safetensors", "https://example.org/w", "0" * 64, len(CONTENT), "MIT")
    with pytest.raises(WeightsRejected):
        verify(other, folder)
