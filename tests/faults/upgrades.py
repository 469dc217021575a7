"""The upgrade of every catalog that a released version left behind, as something that a fault can end."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from archive.catalog.checking import check_catalog
from archive.catalog.revisions import HEAD
from archive.catalog.upgrade import copy_before_upgrade
from tests.catalog.test_upgrade import FROZEN, TABLES, revision, rows
from tests.faults.operations import Place, Told, Verdict, unclear

if TYPE_CHECKING:
    from tests.commands import Outcome, Run


@dataclass(frozen=True)
class Upgrade:
    """The first command that writes brings the catalog to today's schema; this one has nothing else to do."""

    frozen: Path

    @property
    def name(self) -> str:
        """Which upgrade it is."""
        return f"upgrade from {self.frozen.stem}"

    def prepare(self, _run: Run, folder: Path) -> None:
        """The catalog as its version left it."""
        home = Place(folder).home
        home.mkdir(mode=0o700, parents=True)
        shutil.copy(self.frozen, home / "catalog.sqlite")

    def act(self, run: Run, place: Place) -> Outcome:
        """Open it to write."""
        return run("forget", "--home", place.home)

    def judge(self, run: Run, place: Place, told: Told, *, ask_first: bool) -> Verdict:
        """Every row is there with every value, in the old schema or in today's; at last in today's."""
        path = place.home / "catalog.sqlite"
        after = unclear(told)
        if ask_first or told.code == 0:
            after += self._lost(path)
            stored = revision(path)
            if stored not in ({HEAD} if told.code == 0 else {HEAD, self.frozen.stem}):
                after.append(f"it is of schema {stored}")
        done = self.act(run, place)
        again = [] if done.code == 0 else [f"run again, it ended with {done.code}: {done.err}"]
        again += [] if revision(path) == HEAD else [f"it stayed at schema {revision(path)}"]
        again += self._lost(path) + [found.message for found in check_catalog(path, deep=True)]
        return Verdict(after, again + ["the copy is still there"] * copy_before_upgrade(path).exists())

    def _lost(self, path: Path) -> list[str]:
        wrong = []
        for table in TABLES:
            before, after = frozen_rows(self.frozen, table), rows(path, table)
            if len(before) != len(after) or any(row | kept != row for row, kept in zip(after, before, strict=True)):
                wrong.append(f"{table} are not what they were")
        return wrong


@cache
def frozen_rows(frozen: Path, table: str) -> list[dict[str, Any]]:
    """What a released version left behind, read from a copy: SQLite puts files beside what it reads."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / frozen.name
        shutil.copy(frozen, copy)
        return rows(copy, table)


UPGRADES = tuple(Upgrade(frozen) for frozen in FROZEN)
