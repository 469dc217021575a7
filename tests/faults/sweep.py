"""The full sweeps of faults, with their counts: `python -m tests.faults.sweep [--class kill] [--points 100]`.

It ends with 1 where anything was lost, wrong, or left undone; every such point is named on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from archive import parts, settings
from tests.coloured_archive import install
from tests.faults import disk, faults
from tests.faults.operations import SEAL_AT, OtherEmbedder
from tests.faults.volumes import keep_mounts_apart

if TYPE_CHECKING:
    from tests.faults.points import Row

IN_MEMORY = Path("/dev/shm")
HEAD = ("fault", "operation", "points", "violations", "converged", "seconds")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.sweep", description=__doc__.splitlines()[0])
    parser.add_argument("--class", dest="classes", action="append", choices=list(faults.CLASSES), help="only this one")
    parser.add_argument("--operation", action="append", help="only on this one, as the table names it")
    parser.add_argument("--points", type=int, help="so many of each operation's points, chosen by chance; else all")
    parser.add_argument("--seed", type=int, default=1, help="of that chance")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table, with every violation, here too")
    careless = "let the archive sync nothing but SQLite's own files, to see that a power cut shows it"
    parser.add_argument("--careless", action="store_true", help=careless)
    return parser.parse_args()


def begin(*, careless: bool = False) -> None:
    """Make this process one whose children run commands over the coloured parts, each in an archive of its own."""
    if careless:
        os.fsync = lambda fd: None
    install()
    parts.EMBEDDERS["other"] = OtherEmbedder
    settings.SEAL_AT = SEAL_AT
    os.environ["ARCHIVE_HOME"] = os.environ["ARCHIVE_WEIGHTS"] = os.devnull
    os.umask(0o077)
    keep_mounts_apart()


def line(values: tuple[object, ...]) -> str:
    fault, operation, *numbers = map(str, values)
    return f"{fault:14}{operation:20}" + "".join(f"{number:>12}" for number in numbers)


def told(row: Row) -> str:
    violations = row.violations or []
    for violation in violations:
        print(violation, file=sys.stderr)
    counts = (row.points, len(violations), row.converged, f"{row.seconds:.0f}")
    return line((row.fault, row.operation, *counts))


def main() -> int:
    wanted = arguments()
    begin(careless=wanted.careless)
    chance = faults.Chance(wanted.points, wanted.seed, frozenset(wanted.operation or ()))
    rows: list[Row] = []
    print(line(HEAD), flush=True)
    with TemporaryDirectory(prefix="faults-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as folder:
        for name in wanted.classes or faults.CLASSES:
            if reason := faults.missing(name):
                print(f"{name}: not tried, for it {reason}", file=sys.stderr)
                continue
            for row in faults.CLASSES[name](Path(folder), chance):
                print(told(row), flush=True)
                rows.append(row)
    violations = [violation for row in rows for violation in row.violations or ()]
    points, converged = sum(row.points for row in rows), sum(row.converged for row in rows)
    seconds = sum(row.seconds for row in rows)
    print(line(("all", "", points, len(violations), converged, f"{seconds:.0f}")))
    if wanted.json:
        wanted.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    return 1 if violations else 0


if __name__ == "__main__":
    disk.run_again_with_it("tests.faults.sweep")
    sys.exit(main())
