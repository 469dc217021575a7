"""The progress of an ingest, as other processes see it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from archive import progress
from archive.progress import NAME, Progress, Told, read


class Counting:
    """A watcher that remembers what it was told."""

    def __init__(self) -> None:
        self.files = self.steps = 0

    def begin(self, files: int) -> None:
        self.files += files

    def step(self) -> None:
        self.steps += 1


def test_others_see_how_far_a_run_is_and_nothing_once_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    watcher = Counting()
    with Told(tmp_path, watcher) as told:
        told.begin(10)
        told.begin(5)
        for _ in range(4):
            told.step()
        seen = read(tmp_path)
        assert isinstance(seen, Progress)
        assert (seen.done, seen.total) == (4, 15)
        assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    assert (watcher.files, watcher.steps) == (15, 4)
    assert read(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    def run() -> None:
        with Told(tmp_path, Counting()) as told:
            told.begin(10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert read(tmp_path) is None


def test_a_disk_that_fails_does_not_hide_how_a_run_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def run() -> None:
        with Told(tmp_path, Counting()) as told:
            for change in ("touch", "replace", "unlink"):
                monkeypatch.setattr(Path, change, fail)
            told.begin(10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"pid": "x"}', "\x00"])
def test_a_file_that_makes_no_sense_is_no_run(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_text(content)
    assert read(tmp_path) is None


def test_a_run_that_was_killed_is_no_run(tmp_path: Path) -> None:
    left = {"pid": 2**22 + 1, "done": 3, "total": 9, "began": 0.0}
    (tmp_path / NAME).write_text(json.dumps(left))
    assert read(tmp_path) is None
