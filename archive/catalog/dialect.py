"""The catalog's SQL for PostgreSQL: it is written for SQLite, and rewritten here where the two differ.

A list of ids is one parameter in both: `json_each` unfolds it for SQLite, `unnest` for PostgreSQL.
"""

from __future__ import annotations

import re
from functools import cache

_HINT = re.compile(r" INDEXED BY \w+")

_RULES = (
    (re.compile(r"%"), "%%"),  # a sign of its own to the driver; before the placeholders become one
    (_HINT, ""),  # its planner knows how long a table is
    (
        re.compile(r"json_each\(\?\) wanted\s+CROSS JOIN (\w+) (\w+)\s+ON"),
        r"unnest(CAST(translate(?, '[]', '{}') AS bigint[])) AS wanted(value) JOIN \1 \2 ON",
    ),
    (re.compile(r"group_concat\((\w+)\)"), r"string_agg(CAST(\1 AS text), ',')"),
    (re.compile(r"\?"), "%s"),
)


@cache
def without_hints(sql: str) -> str:
    """The same statement without the index that a table is to be read by."""
    return _HINT.sub("", sql)


@cache
def for_postgres(sql: str) -> str:
    """The same statement for PostgreSQL, with the driver's placeholders."""
    for pattern, replacement in _RULES:
        sql = pattern.sub(replacement, sql)
    return sql
