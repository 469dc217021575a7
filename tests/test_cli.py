"""The command line as a whole: light to start, helpful, and with one place that turns errors into words."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from archive import cli, errors
from archive.cli import COMMANDS, group
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands

HEAVY = {
    "torch", "torchvision", "open_clip", "ultralytics", "faiss", "onnxruntime", "alembic", "sqlalchemy", "transformers",
    "tokenizers", "PIL", "numpy", "zxingcpp",
}  # fmt: skip

UNASKED_FOR = {
    "hashlib", "hmac", "secrets", "random", "tempfile", "shutil", "shlex", "html", "http.client", "email", "ssl",
    "platformdirs", "traceback", "tomllib", "archive.wire", "archive.spoken", "archive.pairs.registry",
    "archive.pairs.shelf", "archive.cleanup", "archive.embedders", "archive.runtimes", "archive.sessions",
    "archive.catalog.texts", "archive.catalog.summary", "archive.catalog.browsing",
}  # fmt: skip
"""What words that come again do without: each costs a query between a fifth of a millisecond and five."""

ASK_FOR_RED = """
from tests.coloured_archive import install
install()
from archive.cli import run
run(["query", "red"])
"""


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after running the code."""
    command = f"{code}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", command], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def loaded_by(code: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after running the code."""
    return HEAVY & {name.partition(".")[0] for name in modules_after(code)}


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    assert loaded_by("import archive.cli") == set()


def test_help_loads_nothing_heavy() -> None:
    assert loaded_by("from archive.cli import run\nrun(['--help'])") == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_loads_nothing_heavy(name: str) -> None:
    assert loaded_by(f"from archive.cli import run\nrun(['{name}', '-h'])") == set()


def test_a_query_loads_nothing_that_it_does_not_need(archive: Commands, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from tests import coloured_photos

    coloured_photos.day(tmp_path / "card", 3, datetime(2026, 11, 20, tzinfo=UTC))
    archive("ingest", tmp_path / "card")
    assert loaded_by(ASK_FOR_RED) == {"numpy", "PIL"} - {"PIL"}
    assert UNASKED_FOR & modules_after(ASK_FOR_RED) == set(), "red was asked before"


@pytest.mark.parametrize("name", sorted(cli.ANSWERING))
def test_a_command_that_answers_computes_on_one_thread(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    code = f"""
import contextlib, os, sys
from archive import cli
cli._leave = lambda code: None
sys.argv = ["archive", {name!r}, "--help"]
with contextlib.suppress(SystemExit):
    cli.main()
import numpy
print(os.environ["OMP_NUM_THREADS"], len(os.listdir("/proc/self/task")))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "1 1"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_the_help_that_the_table_promises_and_examples(name: str, archive: Commands) -> None:
    told = archive(name, "--help")
    assert told.code == 0
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert command.get_short_help_str(200) == COMMANDS[name]
    assert "Examples:" in told.out
    assert f"archive {name}" in told.out


def test_each_command_is_in_the_readme() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"archive {name}" not in readme] == []


def test_reports_can_all_be_had_as_json() -> None:
    silent = {"models", "teach", "clock"}  # their subcommands report, or there is nothing to report
    for name in COMMANDS.keys() - silent:
        command = group.get_command(click.Context(group), name)
        assert command is not None
        assert "--json" in {option for parameter in command.params for option in parameter.opts}, name


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("no"), 2),
        (errors.WeightsMissing("no"), 3),
        (errors.SourceVanished("no"), 4),
        (errors.ArchiveBusy("no"), 75),
        (OSError(28, "No space left on device", "a\nname"), 3),
        (OSError("no"), 3),
        (ZeroDivisionError("no"), 3),
        (ZeroDivisionError("no\n(and more)"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_is_one_line_and_its_own_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_arguments: object) -> None:
        raise error

    monkeypatch.setattr(group, "main", fail)
    assert cli.run(["status"]) == code
    said = capsys.readouterr().err
    assert said.startswith("archive: ")
    assert said.count("\n") == 1
    assert cli.run(["status", "-v"]) == code


def test_verbose_shows_where_an_error_came_from(archive: Commands) -> None:
    assert "Traceback" not in archive("query", "red").err
    assert "Traceback" in archive("query", "red", "-v").err


def test_an_unknown_command_is_wrong_usage(archive: Commands) -> None:
    assert archive("forgive").code == 2


def test_python_m_archive_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "archive", "--version"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("archive 0.")


def test_a_reader_that_hangs_up_is_no_error(archive: Commands, tmp_path: Path) -> None:
    command = f"{sys.executable} -m archive models list | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr


def test_an_answer_that_a_full_disk_cut_off_is_no_success(tmp_path: Path) -> None:
    command = f"{sys.executable} -m archive query keys --home {tmp_path} --help > /dev/full"
    done = subprocess.run(["bash", "-c", command], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode not in {0, 1}
    assert "No space left" in done.stderr
