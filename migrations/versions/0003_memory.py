"""What was taught, sessions of the wearable, what shows little, what was forgotten, and whose everything is.

Things with their exemplars and the exemplars' vectors; sessions with their anchors, and where each photo stands in its
session; marks of photos; what is being erased, and what forgotten photos are recognised by; how much each pair holds.

Revision 0003, after 0002.
"""

import os

import sqlalchemy as sa
from alembic import op  # noqa: TID253  (a migration runs only once alembic is loaded)

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NOBODY = sa.text("0")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_things()
    _create_sessions()
    _place_photos()
    _create_marks()
    _create_forgetting()
    _give_photos_wearers()
    _create_tallies()


def _create_things() -> None:
    op.create_table(
        "things",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("wearer", NUMBER, server_default=NOBODY, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_things"),
        sa.UniqueConstraint("wearer", "name", name="uq_things_wearer_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "exemplars",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("thing_id", NUMBER, nullable=False),
        sa.Column("photo_id", NUMBER, nullable=True),
        sa.Column("picture", sa.LargeBinary(), nullable=False),
        sa.Column("left", NUMBER, nullable=False),
        sa.Column("top", NUMBER, nullable=False),
        sa.Column("right", NUMBER, nullable=False),
        sa.Column("bottom", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_exemplars"),
        sa.ForeignKeyConstraint(["thing_id"], ["things.id"], name="fk_exemplars_thing_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_exemplars_photo_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_exemplars_thing_id", "exemplars", ["thing_id"])
    op.create_index("ix_exemplars_photo_id", "exemplars", ["photo_id"])
    op.create_table(
        "exemplar_vectors",
        sa.Column("exemplar_id", NUMBER, nullable=False),
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("exemplar_id", "space", name="pk_exemplar_vectors"),
        sa.ForeignKeyConstraint(
            ["exemplar_id"], ["exemplars.id"], name="fk_exemplar_vectors_exemplar_id", ondelete="CASCADE"
        ),
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("sleep", sa.Text(), nullable=False),
        sa.Column("last_mono_ms", NUMBER, nullable=False),
        sa.Column("begun_after_ms", NUMBER, nullable=True),
        sa.Column("begun_before_ms", NUMBER, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("device", "number", "nonce", name="uq_sessions_device_number_nonce"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "anchors",
        sa.Column("session_id", NUMBER, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("mono_ms", NUMBER, nullable=False),
        sa.Column("utc_ms", NUMBER, nullable=False),
        sa.Column("error_ms", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "source", "mono_ms", name="pk_anchors"),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name="fk_anchors_session_id", ondelete="CASCADE"),
    )


def _place_photos() -> None:
    # SQLite adds a nullable column, also one with a foreign key, without touching a row; alembic would copy all photos.
    number = "INTEGER" if op.get_bind().dialect.name == "sqlite" else "BIGINT"
    op.execute(
        f"ALTER TABLE photos ADD COLUMN session_id {number} CONSTRAINT fk_photos_session_id REFERENCES sessions (id)"
    )
    for name, kind in (("number", NUMBER), ("mono_ms", NUMBER), ("captured_error_ms", NUMBER)):
        op.add_column("photos", sa.Column(name, kind, nullable=True))
    op.add_column("photos", sa.Column("condition", sa.Text(), nullable=True))
    op.create_index("ix_photos_session_id_number", "photos", ["session_id", "number"])


def _create_marks() -> None:
    op.create_table(
        "marks",
        sa.Column("photo_id", NUMBER, nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("photo_id", "mark", name="pk_marks"),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name="fk_marks_photo_id", ondelete="CASCADE"),
    )


def _create_forgetting() -> None:
    op.create_table(
        "erasures",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
    )
    op.create_table(
        "forgotten",
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mark", name="pk_forgotten"),
    )
    keys = op.create_table(
        "mark_keys",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mark_keys"),
        sa.CheckConstraint("id = 1", name=op.f("ck_mark_keys_one_row")),
    )
    op.bulk_insert(keys, [{"id": 1, "key": os.urandom(32)}])


TALLYING = (
    """CREATE TRIGGER tally_added_pack AFTER INSERT ON packs BEGIN
         INSERT INTO tallies (pair_id, packs, segments, changed, erased)
         VALUES (NEW.pair_id, 1, NEW.count, randomblob(16), randomblob(16))
         ON CONFLICT (pair_id) DO UPDATE
         SET packs = packs + 1, segments = segments + NEW.count, changed = excluded.changed;
       END""",
    """CREATE TRIGGER tally_erased_pack AFTER DELETE ON packs BEGIN
         UPDATE tallies
         SET packs = packs - 1, segments = segments - OLD.count, changed = randomblob(16), erased = randomblob(16)
         WHERE pair_id = OLD.pair_id;
       END""",
)


def _create_tallies() -> None:
    op.create_table(
        "tallies",
        sa.Column("pair_id", NUMBER, nullable=False),
        sa.Column("packs", NUMBER, nullable=False),
        sa.Column("segments", NUMBER, nullable=False),
        sa.Column("changed", sa.LargeBinary(), nullable=False),
        sa.Column("erased", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pair_id", name="pk_tallies"),
        sa.ForeignKeyConstraint(["pair_id"], ["pairs.id"], name="fk_tallies_pair_id", ondelete="CASCADE"),
    )
    if op.get_bind().dialect.name != "sqlite":
        return  # without the triggers the table stays empty, and whoever reads it counts the packs themselves
    op.execute(
        """INSERT INTO tallies
           SELECT pair_id, count(*), sum(count), randomblob(16), randomblob(16) FROM packs GROUP BY pair_id"""
    )
    # A later migration that rebuilds `packs` drops its triggers and must make them again.
    for trigger in TALLYING:
        op.execute(trigger)


def _give_photos_wearers() -> None:
    op.create_table(
        "wearers",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_wearers"),
        sa.UniqueConstraint("name", name="uq_wearers_name"),
        sqlite_autoincrement=True,
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    last = _last_photo() if is_sqlite else None
    # In SQLite one file can become two people's photo only in a new table: every photo is copied.
    with op.batch_alter_table("photos", table_kwargs={"sqlite_autoincrement": True}) as photos:
        photos.add_column(sa.Column("wearer", NUMBER, server_default=NOBODY, nullable=False))
        photos.drop_constraint("uq_photos_digest", type_="unique")
        photos.create_unique_constraint("uq_photos_digest_wearer", ["digest", "wearer"])
    op.create_index("ix_photos_wearer_captured_at_us", "photos", ["wearer", "captured_at_us"])
    if last is not None:
        # It would number on from its highest photo, and give a deleted one's id away again.
        op.execute("DELETE FROM sqlite_sequence WHERE name = 'photos'")
        row = sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES ('photos', :last)")
        op.execute(row.bindparams(last=last))


def _last_photo() -> int | None:
    numbered = sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'photos'")
    last: int | None = op.get_bind().execute(numbered).scalar_one_or_none()
    return last
