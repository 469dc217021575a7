"""Whose photos a reader sees. Views stand before the tables, so no statement of the catalog can forget to ask.

A statement names its tables without a schema, and both databases look for them in a schema of ours first: SQLite in
that of the connection's own temporary views, PostgreSQL in one of views that ask a setting of the connection. Nothing
stands before the tables of a reader that may see everything, so an archive of one wearer pays nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from archive.catalog.dialect import without_hints
from archive.errors import WearerUnknown

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

SCHEMA = "archive_scoped"
SETTING = "archive.wearers"

_OWN = "SELECT * FROM {schema}.{table} t WHERE t.wearer {these}"
_OF_A_PHOTO = """SELECT * FROM {schema}.{table} t
    WHERE EXISTS (SELECT 1 FROM {schema}.photos p WHERE p.id = t.photo_id AND p.wearer {these})"""
_OF_A_THING = """SELECT * FROM {schema}.{table} t
    WHERE EXISTS (SELECT 1 FROM {schema}.things o WHERE o.id = t.thing_id AND o.wearer {these})"""

VIEWS = {
    "photos": _OWN,
    "things": _OWN,
    "sources": _OF_A_PHOTO,
    "packs": _OF_A_PHOTO,
    "marks": _OF_A_PHOTO,
    "exemplars": _OF_A_THING,
}
"""What stands before each table in which something of one wearer is; a test holds every table to being named."""

SHARED = {
    "state": "which archive it is",
    "pairs": "models",
    "shards": "names of files, and numbers",
    "tallies": "how many there are of everybody; a reader for some counts for itself",
    "wearers": "their names, asked for by name alone",
    "texts": "found again only by the words themselves",
    "sessions": "numbers of cameras; met through photos alone",
    "anchors": "clocks; met through sessions alone",
    "exemplar_vectors": "met through exemplars alone",
    "erasures": "digests of what is being erased; read by writers alone",
    "forgotten": "marks, of which nobody can tell what they stand for",
    "mark_keys": "read by writers alone",
    "alembic_version": "the schema's number",
}
"""The tables that have no view, and why they need none."""


class Scope(NamedTuple):
    """The wearers that a reader sees, by name. With `in_index`, the index keeps them apart by itself."""

    names: tuple[str, ...]
    in_index: bool = False


def wearer_id(connection: sqlite3.Connection, name: str) -> int | None:
    """The id of the wearer of that name."""
    row = connection.execute("SELECT id FROM wearers WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def everybody(connection: sqlite3.Connection) -> tuple[int, ...]:
    """The id of everybody whose photos are told apart, and 0, whose are nobody's in particular."""
    return (0, *(int(number) for (number,) in connection.execute("SELECT id FROM wearers ORDER BY id").fetchall()))


def wearers(connection: sqlite3.Connection, names: Sequence[str]) -> tuple[int, ...]:
    """Their ids.

    Raises:
        WearerUnknown: the archive knows nobody of that name.
    """
    ids = []
    for name in names:
        if (found := wearer_id(connection, name)) is None:
            import shlex

            command = f"archive ingest FOLDER --wearer {shlex.quote(name)}"
            raise WearerUnknown(f"the archive has no photos of {name!r}; take them in with: {command}")
        ids.append(found)
    return tuple(sorted(set(ids)))


def narrowed(connection: sqlite3.Connection, ids: Sequence[int]) -> sqlite3.Connection:
    """A connection to SQLite that sees these wearers alone, from now on."""
    these = f"IN ({', '.join(str(int(number)) for number in ids)})"
    for table, view in VIEWS.items():
        connection.execute(f"CREATE TEMP VIEW {table} AS {view.format(schema='main', table=table, these=these)}")
    return cast("sqlite3.Connection", _Hintless(connection))


def narrow_postgres(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Let a connection to PostgreSQL see these wearers alone, from now on."""
    path = f"SELECT set_config('search_path', '{SCHEMA}, ' || current_setting('search_path'), false)"
    connection.execute(path)
    connection.execute(
        f"SELECT set_config('{SETTING}', ?, false)", (f"{{{','.join(str(int(number)) for number in ids)}}}",)
    )


def postgres_views(schema: str) -> list[str]:
    """The statements that make the views of PostgreSQL before the tables of a schema; without the setting they fail."""
    these = f"= ANY (CAST(current_setting('{SETTING}') AS bigint[]))"
    quoted = '"' + schema.replace('"', '""') + '"'
    views = (view.format(schema=quoted, table=table, these=these) for table, view in VIEWS.items())
    return [
        f"CREATE SCHEMA {SCHEMA}",
        *(f"CREATE VIEW {SCHEMA}.{table} AS {view}" for table, view in zip(VIEWS, views, strict=True)),
    ]


class _Hintless:
    """A connection to SQLite whose statements may name an index; views have none."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(without_hints(sql), parameters)

    def close(self) -> None:
        """Let go of the view and the file."""
        self._connection.close()
