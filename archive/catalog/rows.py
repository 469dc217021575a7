"""The tables of the catalog at its newest revision. A change here needs a migration; a test compares the two."""

# No `from __future__ import annotations`: SQLAlchemy reads these annotations when the classes are made.
from typing import ClassVar

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, MetaData, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


NUMBER = BigInteger().with_variant(Integer(), "sqlite")
"""Whole numbers of 64 bits: SQLite's own, and in PostgreSQL not the 32 bits of its INTEGER."""


NOBODY = text("0")


class Row(DeclarativeBase):
    """What all rows share."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[object, object]] = {str: Text, int: NUMBER}


class StateRow(Row):
    """Exactly one row. `generation` counts commits; `nonce` is new in each, so a restored copy cannot pass for now."""

    __tablename__ = "state"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str]
    generation: Mapped[int]
    nonce: Mapped[bytes]
    answering_pair: Mapped[int | None] = mapped_column(ForeignKey("pairs.id"))
    wanted_pair: Mapped[int | None] = mapped_column(ForeignKey("pairs.id"))
    created_at: Mapped[str]


class PairRow(Row):
    """A segmenter and an embedder; see `archive.types.Pair`."""

    __tablename__ = "pairs"
    __table_args__ = (UniqueConstraint("segmenter", "space"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    segmenter: Mapped[str]
    space: Mapped[str]
    dim: Mapped[int]
    segmenter_source: Mapped[str]
    embedder_source: Mapped[str]


class PhotoRow(Row):
    """One original. Its id is never used again, not even after it was deleted: shards and segment ids rest on that.

    captured_at_us           microseconds since 1970 in UTC, null where the time is unknown
    captured_offset_minutes  local time's distance east of UTC, where the photo says it
    captured_error_ms        the most by which the time may be wrong, null where nobody can tell
    added_generation         the commit that brought it
    session_id, number, mono_ms   which photo of which session of the wearable it is, and the session's clock then
    condition                whole or damaged, by the digest that the wearable gave its photo; null where it gave none
    wearer                   whose it is; two wearers may have the same file, each as a photo of his own
    """

    __tablename__ = "photos"
    __table_args__ = (
        UniqueConstraint("digest", "wearer"),
        CheckConstraint("length(digest) = 32", name="digest_is_sha256"),
        CheckConstraint("captured_offset_minutes BETWEEN -1440 AND 1440", name="offset_within_a_day"),
        Index(None, "captured_at_us"),
        Index(None, "camera", "captured_at_us"),
        Index(None, "session_id", "number"),
        Index(None, "wearer", "captured_at_us"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[bytes]
    suffix: Mapped[str]
    size: Mapped[int]
    captured_at_us: Mapped[int | None]
    captured_at_source: Mapped[str]
    camera: Mapped[str | None]
    width: Mapped[int]
    height: Mapped[int]
    added_generation: Mapped[int]
    captured_offset_minutes: Mapped[int | None]
    captured_error_ms: Mapped[int | None]
    session_id: Mapped[int | None] = mapped_column(ForeignKey("sessions.id"))
    number: Mapped[int | None]
    mono_ms: Mapped[int | None]
    condition: Mapped[str | None]
    wearer: Mapped[int] = mapped_column(server_default=NOBODY)


class WearerRow(Row):
    """Somebody who wears a camera. Nobody in particular, whose photos most archives hold, has no row and the id 0."""

    __tablename__ = "wearers"
    __table_args__ = (UniqueConstraint("name"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class SessionRow(Row):
    """A session of the wearable; see `archive.sessions.Session`. Ids ascend in the order in which sessions were met."""

    __tablename__ = "sessions"
    __table_args__ = (UniqueConstraint("device", "number", "nonce"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    device: Mapped[str]
    number: Mapped[int]
    nonce: Mapped[str]
    sleep: Mapped[str]
    last_mono_ms: Mapped[int]
    begun_after_ms: Mapped[int | None]
    begun_before_ms: Mapped[int | None]


class AnchorRow(Row):
    """A moment at which a session's clock met the world's; see `archive.sessions.Anchor`."""

    __tablename__ = "anchors"

    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    mono_ms: Mapped[int] = mapped_column(primary_key=True)
    utc_ms: Mapped[int]
    error_ms: Mapped[int]


class SourceRow(Row):
    """A place where a photo was found. Names are bytes, as the system gave them: not every name is text."""

    __tablename__ = "sources"
    __table_args__ = (UniqueConstraint("photo_id", "path"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    photo_id: Mapped[int] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"))
    name: Mapped[bytes]
    path: Mapped[bytes]
    modified_us: Mapped[int | None]


class PackRow(Row):
    """All segments of one photo under one pair; `archive.catalog.packing` says what the blobs hold.

    The scan index carries everything that is asked about packs without reading their vectors.
    """

    __tablename__ = "packs"
    __table_args__ = (
        UniqueConstraint("pair_id", "photo_id"),
        Index("ix_packs_scan", "pair_id", "id", "photo_id", "count"),
        Index(None, "photo_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    photo_id: Mapped[int] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"))
    pair_id: Mapped[int] = mapped_column(ForeignKey("pairs.id"))
    count: Mapped[int]
    crc: Mapped[int]
    boxes: Mapped[bytes]
    confidences: Mapped[bytes]
    vectors: Mapped[bytes]


class TallyRow(Row):
    """How much a pair has observed, kept by triggers on `packs`: a query need not count a million rows.

    changed  random, new whenever a pack is added or goes
    erased   random, new whenever one goes: until then, what stands between two packs stays as it is
    """

    __tablename__ = "tallies"

    pair_id: Mapped[int] = mapped_column(ForeignKey("pairs.id", ondelete="CASCADE"), primary_key=True)
    packs: Mapped[int]
    segments: Mapped[int]
    changed: Mapped[bytes]
    erased: Mapped[bytes]


class ShardRow(Row):
    """A file of the index, named here only after it is durable. It covers the packs first_pack to last_pack."""

    __tablename__ = "shards"
    __table_args__ = (UniqueConstraint("name"), Index(None, "pair_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    pair_id: Mapped[int] = mapped_column(ForeignKey("pairs.id"))
    name: Mapped[str]
    sha256: Mapped[bytes]
    size: Mapped[int]
    count: Mapped[int]
    first_pack: Mapped[int]
    last_pack: Mapped[int]
    generation: Mapped[int]


class MarkRow(Row):
    """Something that may keep a photo from showing a thing; see `archive.types.Mark`. Most photos have none."""

    __tablename__ = "marks"

    photo_id: Mapped[int] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True)
    mark: Mapped[str] = mapped_column(primary_key=True)


class ErasureRow(Row):
    """A photo whose rows are gone and whose files are going; without a digest, that SQLite's log must be emptied."""

    __tablename__ = "erasures"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[bytes | None]


class ForgottenRow(Row):
    """What a photo that was forgotten is recognised by; see `archive.catalog.erasing`."""

    __tablename__ = "forgotten"

    mark: Mapped[bytes] = mapped_column(primary_key=True)


class MarkKeyRow(Row):
    """Exactly one row: the key of the marks."""

    __tablename__ = "mark_keys"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[bytes]


class TextRow(Row):
    """The vector of a text that was asked before: float32. The oldest by `generation` are dropped."""

    __tablename__ = "texts"

    space: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(primary_key=True)
    vector: Mapped[bytes]
    generation: Mapped[int]


class ThingRow(Row):
    """A thing that a wearer taught, by the name that a query of his may say."""

    __tablename__ = "things"
    __table_args__ = (UniqueConstraint("wearer", "name"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    wearer: Mapped[int] = mapped_column(server_default=NOBODY)


class ExemplarRow(Row):
    """One picture of a taught thing: a JPEG of the box and what surrounds it, and the box in that picture.

    The picture is kept so that another pair can embed it. One that shows a photo of the archive goes with that photo.
    """

    __tablename__ = "exemplars"
    __table_args__ = (Index(None, "thing_id"), Index(None, "photo_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    thing_id: Mapped[int] = mapped_column(ForeignKey("things.id", ondelete="CASCADE"))
    photo_id: Mapped[int | None] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"))
    picture: Mapped[bytes]
    left: Mapped[int]
    top: Mapped[int]
    right: Mapped[int]
    bottom: Mapped[int]


class ExemplarVectorRow(Row):
    """The vector of an exemplar in one space: float32."""

    __tablename__ = "exemplar_vectors"

    exemplar_id: Mapped[int] = mapped_column(ForeignKey("exemplars.id", ondelete="CASCADE"), primary_key=True)
    space: Mapped[str] = mapped_column(primary_key=True)
    vector: Mapped[bytes]
