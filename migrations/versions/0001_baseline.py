"""State, pairs, photos, sources, packs and shards.

Revision 0001, the first.
"""

import os
from datetime import UTC, datetime
from uuid import uuid4

import sqlalchemy as sa
from alembic import op  # noqa: TID253  (a migration runs only once alembic is loaded)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_pairs_and_state()
    _create_photos_and_sources()
    _create_packs_and_shards()


def _create_pairs_and_state() -> None:
    op.create_table(
        "pairs",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("segmenter", sa.Text(), nullable=False),
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("dim", NUMBER, nullable=False),
        sa.Column("segmenter_source", sa.Text(), nullable=False),
        sa.Column("embedder_source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pairs"),
        sa.UniqueConstraint("segmenter", "space", name="uq_pairs_segmenter_space"),
        sqlite_autoincrement=True,
    )
    state = op.create_table(
        "state",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("generation", NUMBER, nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("answering_pair", NUMBER, nullable=True),
        sa.Column("wanted_pair", NUMBER, nullable=True),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_state"),
        sa.CheckConstraint("id = 1", name=op.f("ck_state_one_row")),
        sa.ForeignKeyConstraint(["answering_pair"], ["pairs.id"], name="fk_state_answering_pair"),
        sa.ForeignKeyConstraint(["wanted_pair"], ["pairs.id"], name="fk_state_wanted_pair"),
    )
    born = datetime.now(UTC).isoformat(timespec="seconds")
    row = {"id": 1, "uuid": str(uuid4()), "generation": 0, "nonce": os.urandom(16), "created_at": born}
    op.bulk_insert(state, [row])


def _create_photos_and_sources() -> None:
    op.create_table(
        "photos",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("suffix", sa.Text(), nullable=False),
        sa.Column("size", NUMBER, nullable=False),
        sa.Column("captured_at_us", NUMBER, nullable=True),
        sa.Column("captured_at_source", sa.Text(), nullable=False),
        sa.Column("camera", sa.Text(), nullable=True),
        sa.Column("width", NUMBER, nullable=False),
        sa.Column("height", NUMBER, nullable=False),
        sa.Column("added_generation", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_photos"),
        sa.UniqueConstraint("digest", name="uq_photos_digest"),
        sa.CheckConstraint("length(digest) = 32", name=op.f("ck_photos_digest_is_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_photos_captured_at_us", "photos", ["captured_at_us"])
    op.create_index("ix_photos_camera_captured_at_us", "photos", ["camera", "captured_at_us"])
    op.create_table(
        "sources",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("photo_id", NUMBER, nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("path", sa.LargeBinary(), nullable=False),
        sa.Column("modified_us", NUMBER, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_sources"),
        sa.UniqueConstraint("photo_id", "path", name="uq_sources_photo_id_path"),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_sources_photo_id", ondelete="CASCADE"),
    )


def _create_packs_and_shards() -> None:
    op.create_table(
        "packs",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("photo_id", NUMBER, nullable=False),
        sa.Column("pair_id", NUMBER, nullable=False),
        sa.Column("count", NUMBER, nullable=False),
        sa.Column("crc", NUMBER, nullable=False),
        sa.Column("boxes", sa.LargeBinary(), nullable=False),
        sa.Column("confidences", sa.LargeBinary(), nullable=False),
        sa.Column("vectors", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_packs"),
        sa.UniqueConstraint("pair_id", "photo_id", name="uq_packs_pair_id_photo_id"),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_packs_photo_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["pair_id"], ["pairs.id"], name="fk_packs_pair_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_packs_scan", "packs", ["pair_id", "id", "photo_id", "count"])
    op.create_index("ix_packs_photo_id", "packs", ["photo_id"])
    op.create_table(
        "shards",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("pair_id", NUMBER, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("size", NUMBER, nullable=False),
        sa.Column("count", NUMBER, nullable=False),
        sa.Column("first_pack", NUMBER, nullable=False),
        sa.Column("last_pack", NUMBER, nullable=False),
        sa.Column("generation", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shards"),
        sa.UniqueConstraint("name", name="uq_shards_name"),
        sa.ForeignKeyConstraint(["pair_id"], ["pairs.id"], name="fk_shards_pair_id"),
    )
    op.create_index("ix_shards_pair_id", "shards", ["pair_id"])
