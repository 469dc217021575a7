"""A sample of each class of faults, and whether the sweeps would see what they look for.

The full sweeps, with their counts, are `python -m tests.faults.sweep`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults import faults, volumes
from tests.faults.test_kill import require_strace
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    Rows = list[dict[str, Any]]

FULL = {
    "kill": 3_000,
    "error": 2_000,
    "power": 1_000,
    "card": 200,
    "full": 500,
    "crowd": 500,
    "rot": 1_500,
    "stale": 11,
}
"""How many points a full sweep of each class has at the least."""

TRACED = "openat,write,pwrite64,fsync,fdatasync,ftruncate,rename,unlink,mkdir,chmod,fchmod,utimensat"
BELOW = re.compile(r"/place[/>\"]")
OPENS_TO_READ = re.compile(r"openat\((?!.*(O_WRONLY|O_RDWR|O_CREAT|O_TRUNC))")


def sweep(folder: Path, fault: str, *words: object, before: tuple[str, ...] = ()) -> tuple[int, Rows]:
    """Sweep one class in a process of its own; its exit code and the table."""
    if reason := faults.missing(fault):
        pytest.skip(reason)
    table = folder / "table.json"
    command = [sys.executable, "-m", "tests.faults.sweep", "--class", fault, "--json", table, *words]
    spelt = [*before, *map(str, command)]
    done = subprocess.run(spelt, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert table.exists(), done.stderr
    return done.returncode, json.loads(table.read_text())


def violations(rows: Rows) -> list[str]:
    return [violation for row in rows for violation in row["violations"] or ()]


def among(*operations: str) -> list[str]:
    return [word for name in operations for word in ("--operation", name)]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", ["kill", "error"])
def test_a_command_that_was_cut_off_or_failed_at_a_call_loses_nothing_and_is_completed_by_the_next(
    tmp_path: Path, fault: str
) -> None:
    code, rows = sweep(tmp_path, fault, "--points", 4)
    assert violations(rows) == []
    assert code == 0
    assert [row["operation"] for row in rows] == [operation.name for operation in faults.OPERATIONS]
    assert all(row["points"] >= 3 and row["converged"] == row["points"] for row in rows)


@pytest.mark.timeout(900)
def test_no_photo_is_lost_when_the_power_goes(tmp_path: Path) -> None:
    code, rows = sweep(tmp_path, "power", "--points", 4, *among("ingest", "forget", "backup more"))
    assert violations(rows) == []
    assert code == 0
    assert [row["points"] for row in rows] == [4] * 6


def test_a_power_cut_shows_when_originals_are_not_synced(tmp_path: Path) -> None:
    code, rows = sweep(tmp_path, "power", "--points", 8, "--careless", *among("ingest"))
    assert code == 1
    assert any("is lost" in violation for violation in violations(rows))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("fault", "points"), [("card", 4), ("full", 2), ("crowd", 1), ("rot", 3), ("stale", 2)])
def test_an_archive_bears(tmp_path: Path, fault: str, points: int) -> None:
    code, rows = sweep(tmp_path, fault, "--points", points)
    assert violations(rows) == []
    assert code == 0
    assert all(row["points"] >= points for row in rows)


def test_no_call_that_changes_a_file_escapes_the_faulty_disk(tmp_path: Path) -> None:
    require_strace()
    log = tmp_path / "log"
    tracer = ("strace", "-f", "-y", "--seccomp-bpf", "-qq", "-o", str(log), "-e", f"trace={TRACED}")
    sweep(tmp_path, "kill", "--points", 0, *among("ingest", "backup more"), before=tracer)
    lines = log.read_text(errors="replace").splitlines()
    counters = {line.split()[0] for line in lines if re.search(r" write\(\d+<[^>]*/calls>", line)}
    assert len(counters) == 2
    by_them = [line for line in lines if line.split()[0] in counters]
    told = [line for line in by_them if re.search(r" write\(\d+<[^>]*/calls>", line)]
    made = [line for line in by_them if BELOW.search(line) and not OPENS_TO_READ.search(line) and line not in told]
    assert len(made) == len(told) > 300


@pytest.mark.slow
@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("fault", list(FULL))
def test_no_point_of_a_full_sweep_loses_anything(tmp_path: Path, fault: str) -> None:
    code, rows = sweep(tmp_path, fault)
    for row in rows:
        print(row["fault"], row["operation"], row["points"], row["converged"])  # noqa: T201  (what a sweep is for)
    assert violations(rows) == []
    assert code == 0
    assert sum(row["points"] for row in rows) >= FULL[fault]
    assert all(row["converged"] == row["points"] for row in rows)


@pytest.mark.parametrize("fault", ["power", "card"])
def test_what_this_machine_cannot_do_is_said_and_not_passed_over(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    volumes.missing.cache_clear()
    with pytest.raises(pytest.skip.Exception, match="needs root"):
        sweep(tmp_path, fault)
    volumes.missing.cache_clear()


def test_the_faulty_disk_compiles_without_a_warning(tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("needs cc")
    flags = ("-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(tmp_path / "faulty_disk.so"))
    subprocess.run(["cc", *flags, str(CHECKOUT / "tests/faults/faulty_disk.c"), "-ldl"], check=True)
