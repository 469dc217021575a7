"""What may be done to a card: nothing half done, and a clear word where the card does not let us."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from archive.errors import ArchiveError, UsageError
from archive.photos import card_writing
from tests.firmware.running import module, on_folder
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 24, 12, 0, 0, 250_000, tzinfo=timezone(timedelta(minutes=-210)))

EJECTS_FOR_REAL = """
set -e
mkdir -p "$1"
mount -t tmpfs card "$1"
mkdir "$1/ARCHIVE"
shift
"$@"
"""
"""As root of a namespace of its own, where anybody may mount."""


def program(folder: Path, name: str, script: str) -> None:
    """A command of the system, played by a shell script."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the system says is a card."""
    card = tmp_path / "my card"
    card.mkdir()
    mounts = tmp_path / "mountinfo"
    place = str(card).replace(" ", "\\040")
    mounts.write_text(f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n45 22 8:17 / {place} rw - vfat /dev/sdb1 rw\n")
    monkeypatch.setattr(card_writing, "MOUNTS", mounts)
    monkeypatch.setattr("os.path.ismount", lambda path: path == card)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return card


def test_sync_txt_is_what_the_firmware_reads_and_nothing_else_is_left(tmp_path: Path) -> None:
    (tmp_path / "ARCHIVE").mkdir()
    (tmp_path / "ARCHIVE" / "SYNC.TXT").write_text("utc_ms=1 tz_min=0 sync=00000000\r\n" * 9)
    card_writing.write_sync(tmp_path, NOW, "0badcafe")
    assert [path.name for path in (tmp_path / "ARCHIVE").iterdir()] == ["SYNC.TXT"]
    told = module("archivecam.config").parse_sync((tmp_path / "ARCHIVE" / "SYNC.TXT").read_bytes())
    assert told == ("0badcafe", int(NOW.timestamp() * 1000), -210)


def test_a_folder_without_archive_gets_no_sync_txt(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder ARCHIVE"):
        card_writing.write_sync(tmp_path, NOW, "0badcafe")
    assert list(tmp_path.iterdir()) == []


def test_a_card_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    on_folder(tmp_path, [{"wake": 1}])
    (tmp_path / "ARCHIVE" / "SYNC.NEW").mkdir()
    with pytest.raises(ArchiveError, match="cannot be written: Is a directory; is it write-protected"):
        card_writing.write_sync(tmp_path, NOW, "0badcafe")
    gone = tmp_path / "ARCHIVE" / "S0000001" / "000" / "00000009.JPG"
    with pytest.raises(ArchiveError, match="cannot be written"):
        card_writing.delete(tmp_path, [gone])


def test_a_card_is_unmounted_by_the_desktop_s_own_means(mounted: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin", "udisksctl", f'echo "$@" > {tmp_path}/asked')
    card_writing.check_ejectable(mounted)
    card_writing.eject(mounted)
    assert (tmp_path / "asked").read_text() == "unmount --no-user-interaction --block-device /dev/sdb1\n"


def test_without_those_it_is_unmounted_by_umount_and_a_refusal_is_one_line(mounted: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin", "umount", 'echo "umount: $1: target is busy." >&2; echo >&2; exit 32')
    with pytest.raises(
        ArchiveError, match=r"^the photos are in, but .*my card could not be ejected: umount: .* busy.$"
    ):
        card_writing.eject(mounted)


def test_a_system_without_either_is_told_before_anything_begins(mounted: Path) -> None:
    with pytest.raises(UsageError, match="leave out --eject"):
        card_writing.check_ejectable(mounted)


def test_a_folder_is_no_card_to_eject(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no mount point"):
        card_writing.check_ejectable(tmp_path)


def test_a_real_mount_is_really_ejected(tmp_path: Path) -> None:
    enter = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", EJECTS_FOR_REAL, "bash"]
    card = tmp_path / "card"
    try:
        able = subprocess.run([*enter, str(card), "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        able = False
    if not able:
        pytest.skip("needs a system where anybody may mount in a namespace of their own")
    script = (
        "import os, sys; from pathlib import Path; from archive.photos import card_writing as w; "
        "card = Path(sys.argv[1]); w.check_ejectable(card); w.eject(card); print(os.path.ismount(card))"
    )
    done = subprocess.run(
        [*enter, str(card), sys.executable, "-c", script, str(card)],
        cwd=CHECKOUT, capture_output=True, text=True, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
