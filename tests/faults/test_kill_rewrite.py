"""A catalog of an earlier version is written anew in today's pages, and killed in the middle: it is as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from archive.catalog.checking import check_catalog
from archive.catalog.driver import PAGE_SIZE
from archive.catalog.upgrade import bring_to_head
from tests.catalog.samples import new_photo, pack, writing
from tests.catalog.test_upgrade import TABLES, page_size, rows, thawed
from tests.faults.test_kill import KILLED, require_strace

if TYPE_CHECKING:
    from pathlib import Path

REWRITING = """
import sys
from pathlib import Path
from tests.catalog.samples import writing
with writing(Path(sys.argv[1])) as catalog:
    catalog.rewrite()
"""


@pytest.mark.parametrize(
    ("call", "number"),
    [*(("pwrite64", number) for number in (2, 60, 120, 150)), ("fsync", 3), ("unlink", 1)],
)
def test_a_catalog_that_was_killed_while_its_pages_were_changed_loses_nothing(
    tmp_path: Path, call: str, number: int
) -> None:
    require_strace()
    path = thawed("0002", tmp_path / "home" / "catalog.sqlite")
    bring_to_head(path)
    kept = {table: rows(path, table) for table in TABLES}
    tracer = ("strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}")
    inject = ("-e", f"inject={call}:signal=SIGKILL:when={number}")
    done = subprocess.run([*tracer, *inject, sys.executable, "-c", REWRITING, str(path)], check=False)
    assert done.returncode in {KILLED, 128 - KILLED}
    with writing(path) as catalog:  # whoever writes next recovers it
        assert catalog.photo_count() == 3
    assert {table: rows(path, table) for table in TABLES} == kept
    assert check_catalog(path, deep=True) == []
    with writing(path) as catalog:
        catalog.rewrite()
        catalog.add_photo(new_photo(9), 1, pack(9))
    assert page_size(path) == PAGE_SIZE
