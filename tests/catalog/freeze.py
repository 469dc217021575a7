"""Write the database that a released schema left behind: `python -m tests.catalog.freeze 0002`.

A file of `databases/` is never written again once its schema was released; the script shows what is in it. It speaks
plain SQL, since today's rows are not those of then: three photos with four sources, three packs, one shard, and a
fourth photo that was deleted; from 0002 on a text that was asked, and local times.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from archive.catalog.driver import connect_to_write
from archive.catalog.packing import encode
from archive.catalog.upgrade import migrate, script_location
from archive.disk import make_private_file
from tests.catalog.samples import HEIGHT, PAIR, WIDTH, digest, pack

DATABASES = Path(__file__).parent / "databases"
PHOTOS = (1, 2, 3, 4)
DELETED = 4
TEXT = "my keys"


def freeze(path: Path, revision: str) -> None:
    """Make the catalog of a revision, 0001 or 0002, at `path`."""
    path.unlink(missing_ok=True)
    make_private_file(path)
    migrate(path, "0001", script_location())
    _fill(path)
    if revision != "0001":
        migrate(path, revision, script_location())
        _fill_0002(path)


def _fill(path: Path) -> None:
    with closing(connect_to_write(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "INSERT INTO pairs VALUES (1, ?, ?, ?, ?, ?, ?)",
            (PAIR.name, PAIR.segmenter, PAIR.space, PAIR.dim, PAIR.segmenter_source, PAIR.embedder_source),
        )
        for number in PHOTOS:
            packed = encode(pack(number, photo_id=number), 1)
            connection.execute(
                """INSERT INTO photos (id, digest, suffix, size, captured_at_us, captured_at_source, camera,
                                       width, height, added_generation)
                   VALUES (?, ?, '.jpg', ?, ?, 'exif', 'wearable', ?, ?, 1)""",
                (number, bytes.fromhex(digest(number)), 1000 + number, number * 1_000_000, WIDTH, HEIGHT),
            )
            connection.execute(
                "INSERT INTO sources VALUES (?, ?, ?, ?, NULL)",
                (number, number, b"%d.jpg" % number, b"card/%d.jpg" % number),
            )
            connection.execute(
                "INSERT INTO packs VALUES (?, ?, 1, ?, ?, ?, ?, ?)",
                (number, number, packed.segments, packed.crc, packed.boxes, packed.confidences, packed.vectors),
            )
        connection.execute("INSERT INTO sources VALUES (5, 1, ?, ?, 1)", (b"\xff.jpg", b"again/\xff.jpg"))
        connection.execute("INSERT INTO shards VALUES (1, 1, 'one.faiss', ?, 4096, 6, 1, 2, 1)", (bytes(32),))
        connection.execute("UPDATE state SET answering_pair = 1, wanted_pair = 1, generation = 7")
        connection.execute("DELETE FROM photos WHERE id = ?", (DELETED,))
        connection.execute("COMMIT")


def _fill_0002(path: Path) -> None:
    with closing(connect_to_write(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        vector = pack(9).vectors[1].astype("<f4").tobytes()
        connection.execute("INSERT INTO texts VALUES (?, ?, ?, 8)", (PAIR.space, TEXT, vector))
        connection.execute("UPDATE photos SET captured_offset_minutes = 60 WHERE id = 2")
        connection.execute("COMMIT")


if __name__ == "__main__":
    freeze(DATABASES / f"{sys.argv[1]}.sqlite", sys.argv[1])
