"""Copying a catalog while others read and write it: one consistent state, without the pages that are free.

The copy has pages of today's size, whatever version made the catalog.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

from archive.catalog.driver import PAGE_SIZE, archive_errors, connect_to_read
from archive.disk import make_private_file, sync

if TYPE_CHECKING:
    from pathlib import Path


def copy_catalog(path: Path, copy: Path) -> None:
    """Write the newest committed state of the catalog at `path` to `copy`, durably; what stood there is lost.

    Raises:
        ArchiveError: it cannot be read or written, as on a full disk.
    """
    copy.unlink(missing_ok=True)
    make_private_file(copy)
    with archive_errors(path), closing(connect_to_read(path)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        connection.execute("VACUUM INTO CAST(? AS TEXT)", (os.fsencode(copy),))
    sync(copy)
