"""What a hostile name, question or library cannot do: reach the network, the terminal or the database."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests import coloured_photos
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

WITHOUT_NETWORK = """
import sys
from archive import cli
from tests import coloured_archive

asked = []
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind", "os.system"):
        asked.append((event, arguments))
    if event == "subprocess.Popen" and "archive.photos.apart" not in str(arguments):
        asked.append((event, arguments))
sys.addaudithook(watch)
coloured_archive.install()
card, home, disk = sys.argv[1:]
for words in (
    ["ingest", card], ["ingest", card, "--dry-run"], ["query", "red"], ["status"], ["check", "--data"], ["repair"],
    ["reindex"], ["models", "list"], ["backup", disk], ["restore", disk, "--home", home + "-2"],
    ["forget", "1", "--yes", "--verify"],
):
    code = cli.run(words)
    assert code in (0, 1), (words, code)
print("asked:", asked)
"""


def test_no_command_but_a_pull_opens_a_connection_or_runs_a_program(tmp_path: Path, home: Path) -> None:
    coloured_photos.day(tmp_path / "card", 4, NOON)
    (tmp_path / "card" / "broken.jpg").write_bytes(b"no photo")
    command = [sys.executable, "-c", WITHOUT_NETWORK, str(tmp_path / "card"), str(home), str(tmp_path / "disk")]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "asked: []"


ESCAPES = ("\x1b[2J", "\x1b]0;owned\x07", "\x9b31m", "\u202egpj.exe", "\r", "\n", "\x08")


def is_harmless(text: str) -> bool:
    return all(letter == "\n" or letter.isprintable() for letter in text)


@pytest.mark.parametrize("escape", ESCAPES)
def test_a_name_on_the_card_never_reaches_the_terminal_as_anything_but_text(
    archive: Commands, tmp_path: Path, escape: str
) -> None:
    card = tmp_path / "card"
    coloured_photos.write(card / f"a{escape}b.jpg", {"red": (0, 0, 80, 80)}, NOON)
    (card / f"bad{escape}.jpg").write_bytes(b"no photo")
    for words in (
        ("ingest", card), ("query", "red"), ("query", "red", "--all"), ("status",), ("check",), ("forget", 1),
        ("query", f"red{escape}", "--camera", f"x{escape}"),
    ):  # fmt: skip
        done = archive(*words)
        assert is_harmless(done.out), words
        assert is_harmless(done.err), words


HOSTILE = (
    "'; DROP TABLE photos; --", '" OR 1=1 --', "red') UNION SELECT key FROM mark_keys --", "%", "_", "\\", "?1", ":a",
    "1; VACUUM", "0x1", "x' OR 'a'='a",
)  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_words_are_never_read_as_sql(archive: Commands, tmp_path: Path, hostile: str) -> None:
    coloured_photos.write(tmp_path / "card" / f"{hostile.replace('/', '')}.jpg", {"red": (0, 0, 80, 80)}, NOON)
    assert archive("ingest", tmp_path / "card").code == 0
    for _ in range(2):  # the second time from the remembered vector
        assert archive("query", hostile, "--all", "--json").object["searched"]["photos"] == 1
    assert archive("query", "red", "--camera", hostile, "--json").object["verdict"] == "empty"
    assert archive("forget", hostile, "--yes").code == 2
    assert archive("forget", "--camera", hostile, "--yes", "--json").object["photos"] == 0
    assert archive("status", "--json").object["photos"] == 1
    assert archive("check", "--data").code == 0


def test_pipes_links_and_folders_that_leave_the_card_are_passed_over(archive: Commands, tmp_path: Path) -> None:
    card, elsewhere = tmp_path / "card", tmp_path / "elsewhere"
    coloured_photos.day(card, 1, NOON)
    coloured_photos.write(elsewhere / "secret.jpg", {"blue": (0, 0, 80, 80)}, NOON)
    os.mkfifo(card / "pipe.jpg")
    (card / "link.jpg").symlink_to(elsewhere / "secret.jpg")
    (card / "loop").symlink_to(card)
    (card / "away").symlink_to(elsewhere)
    assert archive("ingest", card).out.startswith("1 new, 0 known, 0 unreadable of 1 files")
