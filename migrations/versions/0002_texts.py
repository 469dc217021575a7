"""Remember text vectors, and the offset from UTC that a photo was taken at.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op  # noqa: TID253  (a migration runs only once alembic is loaded)

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "texts",
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("generation", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("space", "text", name="pk_texts"),
    )
    _rebuild_photos_with_offset()


def _rebuild_photos_with_offset() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.add_column("photos", sa.Column("captured_offset_minutes", NUMBER, nullable=True))
        op.create_check_constraint(
            op.f("ck_photos_offset_within_a_day"), "photos", "captured_offset_minutes BETWEEN -1440 AND 1440"
        )
        return
    # SQLite: a constraint can only come with a new table: every photo is copied. The new table has to be told to number
    # its rows on, and from where: it would count from its highest photo and give a deleted one's id away again.
    numbered = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'photos'")
    last = op.get_bind().execute(numbered).scalar_one_or_none()
    with op.batch_alter_table("photos", recreate="always", table_kwargs={"sqlite_autoincrement": True}) as photos:
        photos.add_column(sa.Column("captured_offset_minutes", NUMBER, nullable=True))
        photos.create_check_constraint(
            op.f("ck_photos_offset_within_a_day"), "captured_offset_minutes BETWEEN -1440 AND 1440"
        )
    if last is not None:
        op.execute("DELETE FROM sqlite_sequence WHERE name = 'photos'")
        row = sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('photos', :last)")
        op.execute(row.bindparams(last=last))
