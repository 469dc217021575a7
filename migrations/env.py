"""Where alembic meets the catalog.

`archive.catalog.upgrade` hands its own connection over: foreign keys off, a transaction already begun. A developer who
drafts a migration names a scratch catalog: `alembic -x catalog=PATH revision --autogenerate -m "..."`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import context  # noqa: TID253  (alembic is what loads this file)

from archive.catalog.engine import writing_engine
from archive.catalog.rows import Row

if TYPE_CHECKING:
    from sqlalchemy import Connection


def migrate(connection: Connection) -> None:
    """Run what alembic was asked to, inside the transaction that `connection` has begun."""
    context.configure(connection=connection, target_metadata=Row.metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    migrate(handed_over)
else:
    scratch = Path(context.get_x_argument(as_dictionary=True)["catalog"])
    with writing_engine(scratch, foreign_keys=False).begin() as own:
        migrate(own)
