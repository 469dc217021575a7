"""Things that were taught, their exemplars, and the exemplars' vectors.

Revision 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op  # noqa: TID253  (a migration runs only once alembic is loaded)

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "things",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_things"),
        sa.UniqueConstraint("name", name="uq_things_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "exemplars",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("thing_id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Integer(), nullable=True),
        sa.Column("picture", sa.LargeBinary(), nullable=False),
        sa.Column("left", sa.Integer(), nullable=False),
        sa.Column("top", sa.Integer(), nullable=False),
        sa.Column("right", sa.Integer(), nullable=False),
        sa.Column("bottom", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_exemplars"),
        sa.ForeignKeyConstraint(["thing_id"], ["things.id"], name="fk_exemplars_thing_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_exemplars_photo_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_exemplars_thing_id", "exemplars", ["thing_id"])
    op.create_index("ix_exemplars_photo_id", "exemplars", ["photo_id"])
    op.create_table(
        "exemplar_vectors",
        sa.Column("exemplar_id", sa.Integer(), nullable=False),
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("exemplar_id", "space", name="pk_exemplar_vectors"),
        sa.ForeignKeyConstraint(
            ["exemplar_id"], ["exemplars.id"], name="fk_exemplar_vectors_exemplar_id", ondelete="CASCADE"
        ),
    )
