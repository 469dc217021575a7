"""Sessions of the wearable with their anchors, and where each photo stands in its session.

Revision 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op  # noqa: TID253  (a migration runs only once alembic is loaded)

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("sleep", sa.Text(), nullable=False),
        sa.Column("last_mono_ms", sa.Integer(), nullable=False),
        sa.Column("begun_after_ms", sa.Integer(), nullable=True),
        sa.Column("begun_before_ms", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("device", "number", "nonce", name="uq_sessions_device_number_nonce"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "anchors",
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("mono_ms", sa.Integer(), nullable=False),
        sa.Column("utc_ms", sa.Integer(), nullable=False),
        sa.Column("error_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "source", "mono_ms", name="pk_anchors"),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name="fk_anchors_session_id", ondelete="CASCADE"),
    )
    _place_photos()


def _place_photos() -> None:
    # SQLite adds a nullable column, also one with a foreign key, without touching a row; alembic would copy all photos.
    op.execute(
        "ALTER TABLE photos ADD COLUMN session_id INTEGER CONSTRAINT fk_photos_session_id REFERENCES sessions (id)"
    )
    for name, kind in (("number", sa.Integer()), ("mono_ms", sa.Integer()), ("captured_error_ms", sa.Integer())):
        op.add_column("photos", sa.Column(name, kind, nullable=True))
    op.add_column("photos", sa.Column("condition", sa.Text(), nullable=True))
    op.create_index("ix_photos_session_id_number", "photos", ["session_id", "number"])
