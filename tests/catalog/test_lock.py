from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from archive.catalog.lock import LOCK_NAME, writer_lock
from archive.errors import ArchiveBusy

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys, time
from pathlib import Path
from archive.catalog.lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_told_who_the_first_one_is(tmp_path: Path) -> None:
    told = pytest.raises(ArchiveBusy, match=f"process {os.getpid()} is writing")
    with writer_lock(tmp_path), told as busy, writer_lock(tmp_path):
        pass
    assert busy.value.exit_code == 75


def test_the_lock_can_be_taken_again_after_it_was_given_back(tmp_path: Path) -> None:
    with writer_lock(tmp_path):
        pass
    with writer_lock(tmp_path):
        assert (tmp_path / LOCK_NAME).read_text() == str(os.getpid())


def test_an_error_inside_gives_the_lock_back(tmp_path: Path) -> None:
    with pytest.raises(KeyError), writer_lock(tmp_path):
        raise KeyError
    with writer_lock(tmp_path):
        pass


def test_a_killed_writer_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ArchiveBusy, match=f"process {holder.pid} "), writer_lock(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with writer_lock(tmp_path):
        pass


def test_two_archives_are_written_at_once(tmp_path: Path) -> None:
    with writer_lock(tmp_path / "one"), writer_lock(tmp_path / "two"):
        assert (tmp_path / "one" / LOCK_NAME).exists()
