"""Remember what is being erased, recognise what was forgotten, and mark photos that show little.

Revision 0003, after 0002.
"""

import os

import sqlalchemy as sa
from alembic import op  # noqa: TID253  (a migration runs only once alembic is loaded)

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
    )
    op.create_table(
        "forgotten",
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mark", name="pk_forgotten"),
    )
    op.create_table(
        "marks",
        sa.Column("photo_id", sa.Integer(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("photo_id", "mark", name="pk_marks"),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_marks_photo_id", ondelete="CASCADE"),
    )
    keys = op.create_table(
        "mark_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mark_keys"),
        sa.CheckConstraint("id = 1", name=op.f("ck_mark_keys_one_row")),
    )
    op.bulk_insert(keys, [{"id": 1, "key": os.urandom(32)}])
