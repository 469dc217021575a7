from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive.catalog.driver import sqlite_module
from archive.catalog.inserts import insert_photo
from archive.catalog.reader import CatalogReader, Counts
from archive.catalog.texts import remember_text
from archive.errors import ArchiveError, CatalogDamaged
from archive.types import CaptureSource, Shard
from tests.catalog.freeze import DATABASES
from tests.catalog.samples import DIM, OTHER_PAIR, PAIR, digest, fill, new_photo, noon, pack, writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive.catalog.driver import Place

NOBODY = 65_534


def ids(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, dtype=np.int64)


def test_without_an_archive_the_message_says_how_to_begin_one(path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"there is no archive at .*; run: archive ingest"):
        CatalogReader.open(path)
    assert not path.parent.exists()


def test_a_creation_that_never_finished_is_no_archive(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with pytest.raises(ArchiveError, match="there is no archive at"):
        CatalogReader.open(path)


def test_an_older_catalog_is_not_read_and_the_message_says_what_upgrades_it(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes((DATABASES / "0001.sqlite").read_bytes())
    with pytest.raises(ArchiveError, match=r"older version \(schema 0001.*run: archive ingest"):
        CatalogReader.open(path)


def test_a_reader_sees_what_the_writer_wrote(place: Place) -> None:
    pair_id = fill(place, photos=3)
    with CatalogReader.open(place) as reader:
        assert reader.answering() == reader.wanted() == (pair_id, PAIR)
        assert reader.photo_count() == 3
        assert reader.photo_id(digest(2)) == 2
        assert reader.photo_id(digest(99)) is None
        assert [(photo.id, size) for photo, size in reader.every_photo()] == [(1, 1001), (2, 1002), (3, 1003)]
        assert reader.photos([3, 1, 99])[3].captured_at == noon(3)
        assert sorted(reader.photos([3, 1, 99])) == [1, 3]


def test_a_reader_sees_nothing_of_a_transaction_that_is_not_committed(place: Place) -> None:
    pair_id = fill(place, photos=1)
    with writing(place) as catalog:
        with catalog._write() as generation:
            insert_photo(catalog._connection, new_photo(2), generation)
            with CatalogReader.open(place) as reader:
                assert reader.photo_count() == 1
                assert reader.state.generation == generation - 1
        with CatalogReader.open(place) as reader:
            assert reader.photo_count() == 2
            catalog.add_photo(new_photo(3), pair_id, pack(3))
            assert reader.photo_count() == 2


def test_counts_are_those_of_the_pair_and_of_the_photos_asked_for(place: Place) -> None:
    pair_id = fill(place, photos=4)
    with CatalogReader.open(place) as reader:
        assert reader.counts(pair_id) == Counts(4, 12)
        assert reader.counts(pair_id, ids(2, 3, 99)) == Counts(2, 6)
        assert reader.counts(pair_id, ids()) == Counts(0, 0)
        assert reader.counts(pair_id + 1) == Counts(0, 0)


@pytest.fixture
def album(place: Place) -> Place:
    """Photos 1 to 4 taken on January 1 to 4, the even ones by `left`; 5 and 6 (by `left`) at an unknown time."""
    with writing(place) as catalog:
        pair_id = catalog.ensure_pair(PAIR)
        for number in range(1, 7):
            camera = "left" if number % 2 == 0 else "right"
            taken = noon(number) if number < 5 else None
            catalog.add_photo(new_photo(number, taken, camera), pair_id, pack(number))
    return place


def test_without_a_filter_every_photo_is_allowed(album: Place) -> None:
    with CatalogReader.open(album) as reader:
        allowed = reader.photos_between(None, None)
        assert allowed.ids is None
        assert allowed.untimed == 0


@pytest.mark.parametrize(
    ("after", "before", "camera", "photos", "untimed"),
    [
        (2, None, None, [2, 3, 4], 2),
        (None, 2, None, [1], 2),
        (2, 4, None, [2, 3], 2),
        (4, 2, None, [], 2),
        (None, None, "left", [2, 4, 6], 0),
        (2, None, "left", [2, 4], 1),
        (None, 3, "left", [2], 1),
        (None, None, "nobody's", [], 0),
    ],
)
def test_a_filter_takes_its_start_and_not_its_end(
    album: Place, after: int | None, before: int | None, camera: str | None, photos: list[int], untimed: int
) -> None:
    with CatalogReader.open(album) as reader:
        allowed = reader.photos_between(noon(after) if after else None, noon(before) if before else None, camera)
    assert allowed.ids is not None
    assert allowed.ids.dtype == np.int64
    assert allowed.ids.tolist() == photos
    assert allowed.untimed == untimed


def test_packs_are_those_after_one_up_to_another_and_of_the_photos_asked_for(place: Place) -> None:
    pair_id = fill(place, photos=150)  # more than one page
    with CatalogReader.open(place) as reader:
        assert [pack_id for pack_id, _ in reader.packs(pair_id)] == list(range(1, 151))
        assert [pack_id for pack_id, _ in reader.packs(pair_id, 140, last_pack=143)] == [141, 142, 143]
        asked = ids(*range(1, 150, 2))
        assert [stored.photo_id for _, stored in reader.packs(pair_id, 10, asked)] == list(range(11, 150, 2))
        assert list(reader.packs(pair_id, photos=ids())) == []


def test_packs_of_photos_are_keyed_by_photo(place: Place) -> None:
    pair_id = fill(place, photos=3)
    with CatalogReader.open(place) as reader:
        found = reader.packs_of(pair_id, ids(3, 1, 99))
    assert sorted(found) == [1, 3]
    assert np.allclose(found[3].vectors, pack(3).vectors, atol=1e-3)


def test_unsealed_packs_are_those_that_no_shard_covers(place: Place) -> None:
    pair_id = fill(place, photos=6)
    with writing(place) as catalog:
        catalog.replace_shards(pair_id, [Shard("s", "00" * 32, 1, 9, 2, 4)], [])
    with CatalogReader.open(place) as reader:
        assert [pack_id for pack_id, _ in reader.unsealed_packs(pair_id)] == [1, 5, 6]
        assert [pack_id for pack_id, _ in reader.unsealed_packs(pair_id, ids(2, 5))] == [5]


def test_a_hundred_thousand_ids_are_one_question(place: Place) -> None:
    pair_id = fill(place, photos=3)
    many = np.arange(1, 100_001)
    with CatalogReader.open(place) as reader:
        assert reader.counts(pair_id, many) == Counts(3, 9)
        assert sorted(reader.photos(many)) == [1, 2, 3]
        assert sorted(reader.packs_of(pair_id, many)) == [1, 2, 3]
        assert len(list(reader.packs(pair_id, photos=many))) == 3


def test_the_summary_adds_up(album: Place) -> None:
    with writing(album) as catalog:
        catalog.set_answering(1)
        other = catalog.ensure_pair(OTHER_PAIR)
        catalog.add_pack(pack(1, photo_id=1), other)
        catalog.set_wanted(other)
        catalog.replace_shards(1, [Shard("s", "00" * 32, 4096, 6, 1, 2)], [])
        catalog.add_source(1, b"again.jpg", b"again.jpg", None)
    with CatalogReader.open(album) as reader:
        summary = reader.summary()
    assert summary.photos == 6
    assert summary.captured_by == {CaptureSource.EXIF: 4, CaptureSource.UNKNOWN: 2}
    assert (summary.first, summary.last) == (noon(1), noon(4))
    assert (summary.sources, summary.original_bytes) == (7, 6021)
    assert summary.database_bytes >= (album.stat().st_size if isinstance(album, Path) else 1)
    assert summary.answering is not None
    assert (summary.answering.photos, summary.answering.pending, summary.answering.segments) == (6, 0, 18)
    assert (summary.answering.unsealed, summary.answering.shards, summary.answering.shard_bytes) == (12, 1, 4096)
    assert summary.wanted is not None
    assert (summary.wanted.pair, summary.wanted.photos, summary.wanted.pending) == (OTHER_PAIR, 1, 5)
    assert summary.bytes_per_segment == (summary.database_bytes + 4096) / (18 + summary.wanted.segments)


def test_an_empty_archive_has_a_summary(place: Place) -> None:
    with writing(place):
        pass
    with CatalogReader.open(place) as reader:
        summary = reader.summary()
    assert (summary.photos, summary.first, summary.answering, summary.wanted) == (0, None, None, None)
    assert summary.bytes_per_segment is None


def test_a_lost_page_is_damage_and_not_a_traceback(path: Path) -> None:
    fill(path, photos=40)
    with path.open("r+b") as file:
        file.seek(16_384)
        file.write(bytes(path.stat().st_size - 16_384))
    with pytest.raises(CatalogDamaged, match="run: archive check"), CatalogReader.open(path) as reader:
        list(reader.every_photo())


def test_an_error_of_ours_passes_a_reader_unchanged(place: Place) -> None:
    fill(place, photos=1)
    with pytest.raises(KeyError, match="mine"), CatalogReader.open(place):
        raise KeyError("mine")


@pytest.fixture
def somebody() -> int:
    """The id of a user whom folders can be closed to, which they cannot to root."""
    if os.geteuid() != 0:
        return os.geteuid()
    mapped = Path("/proc/self/uid_map")
    if mapped.exists() and not any(
        int(first) <= NOBODY < int(first) + int(count)
        for first, _, count in map(str.split, mapped.read_text().splitlines())
    ):
        pytest.skip("needs a second user, and this user namespace has only root")
    return NOBODY


@contextmanager
def acting_as(user: int) -> Iterator[None]:
    before = os.getresuid()
    if user == before[1]:
        yield
        return
    os.setresuid(user, user, before[2])
    try:
        yield
    finally:
        os.setresuid(*before)


@contextmanager
def read_only_home(user: int) -> Iterator[Path]:
    """An archive in a folder where that user may read and not write."""
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        home = Path(parent) / "home"
        fill(home / "catalog.sqlite", photos=2)
        for file in (home, *home.iterdir()):
            os.chown(file, user, -1)
        home.chmod(0o500)
        try:
            yield home
        finally:
            home.chmod(0o700)


def test_an_archive_on_a_read_only_disk_answers(somebody: int) -> None:
    with read_only_home(somebody) as home, acting_as(somebody):
        assert [file.name for file in sorted(home.iterdir())] == ["catalog.sqlite", "writer.lock"]
        with pytest.raises(PermissionError):
            (home / "new").touch()
        with CatalogReader.open(home / "catalog.sqlite") as reader:
            assert reader.photo_count() == 2


KILLED_WITH_A_LOG = """
import os, signal, sys
from pathlib import Path
from tests.catalog.samples import new_photo, pack, writing
with writing(Path(sys.argv[1])) as catalog:
    catalog.add_photo(new_photo(9), 1, pack(9))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_log_that_a_killed_writer_left_is_read_on_a_read_only_disk_or_the_archive_refused(somebody: int) -> None:
    with read_only_home(somebody) as home:
        catalog, shared_memory = home / "catalog.sqlite", home / "catalog.sqlite-shm"
        home.chmod(0o700)
        subprocess.run([sys.executable, "-c", KILLED_WITH_A_LOG, str(catalog)], check=False)
        for file in home.iterdir():
            os.chown(file, somebody, -1)
        home.chmod(0o500)
        with acting_as(somebody), CatalogReader.open(catalog) as reader:
            assert reader.photo_count() == 3
        home.chmod(0o700)
        shared_memory.unlink()
        home.chmod(0o500)
        # Reading the main file alone would show the archive as it was before its last commits.
        with acting_as(somebody), pytest.raises(ArchiveError, match="whether the disk is read-only"):
            CatalogReader.open(catalog)


def test_a_query_on_a_read_only_disk_remembers_nothing_and_does_not_fail(somebody: int) -> None:
    with read_only_home(somebody) as home, acting_as(somebody):
        (home / "catalog.sqlite").chmod(0o400)
        assert not remember_text(home / "catalog.sqlite", home, "space", "keys", np.ones((1, DIM), np.float32))


ANSWERS_AND_LISTS_IMPORTS = """
import sys
from pathlib import Path
from archive.catalog.reader import CatalogReader
from archive.catalog.texts import remember_text
with CatalogReader.open(Path(sys.argv[1])) as reader:
    list(reader.packs(1)); reader.photos([1]); reader.text_vector("s", "t"); reader.summary()
print(sorted({"sqlalchemy", "alembic"} & set(sys.modules)))
"""


def test_answering_loads_neither_sqlalchemy_nor_alembic(path: Path) -> None:
    fill(path, photos=1)
    done = subprocess.run(
        [sys.executable, "-c", ANSWERS_AND_LISTS_IMPORTS, str(path)], check=True, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"


def test_a_reader_lets_go_of_its_file(path: Path) -> None:
    fill(path, photos=1)
    with CatalogReader.open(path) as reader:
        pass
    with pytest.raises(sqlite_module().ProgrammingError):
        reader.photo_count()


def test_the_latest_of_some_photos_come_first_and_those_of_unknown_time_last(place: Place) -> None:
    with writing(place) as catalog:
        pair_id = catalog.ensure_pair(PAIR)
        for number, day in ((1, 3), (2, None), (3, 1), (4, 2), (5, 4)):
            catalog.add_photo(new_photo(number, None if day is None else noon(day)), pair_id, pack(number))
    with CatalogReader.open(place) as reader:
        assert reader.latest([1, 2, 3, 4, 9], 10) == [1, 4, 3, 2]
        assert reader.latest([1, 3, 4], 2) == [1, 4]


def test_whole_photos_alone_have_the_vectors_that_their_packs_begin_with(place: Place) -> None:
    pair_id = fill(place, photos=3)
    with CatalogReader.open(place) as reader:
        frames, packs = reader.frames_of(pair_id, [1, 3, 99]), reader.packs_of(pair_id, [1, 3])
    assert sorted(frames) == [1, 3]
    for photo, frame in frames.items():
        assert np.array_equal(frame, packs[photo].vectors[0])


def test_vectors_of_segments_are_those_of_their_packs_and_missing_ones_are_left_out(place: Place) -> None:
    with writing(place) as catalog:
        pair_id = catalog.ensure_pair(PAIR)
        for number in (1, 2, 3):
            catalog.add_photo(new_photo(number), pair_id, pack(number, segments=3 + number))
    with CatalogReader.open(place) as reader:
        packs = reader.packs_of(pair_id, [1, 2, 3])
        wanted = ids(1 << 10, 1 << 10 | 2, 2 << 10 | 4, 2 << 10 | 7, 3 << 10 | 1, 9 << 10)
        there, vectors = reader.vectors_of(pair_id, DIM, wanted)
        nothing, none = reader.vectors_of(pair_id, DIM, ids())
    assert (len(nothing), none.shape) == (0, (0, PAIR.dim))
    order = np.argsort(there)
    assert there[order].tolist() == wanted[[0, 1, 2, 4]].tolist()
    expected = np.stack([packs[1].vectors[0], packs[1].vectors[2], packs[2].vectors[4], packs[3].vectors[1]])
    np.testing.assert_allclose(vectors[order], expected, atol=1e-6)


def test_a_vector_that_bit_rot_has_altered_is_left_out(path: Path) -> None:
    with writing(path) as catalog:
        pair_id = catalog.ensure_pair(PAIR)
        catalog.add_photo(new_photo(1), pair_id, pack(1, segments=3))
    with closing(sqlite_module().connect(path)) as connection, connection:
        (content,) = connection.execute("SELECT vectors FROM packs").fetchone()
        rotten = content[: 2 * DIM] + b"\x00\x7e" + content[2 * DIM + 2 :]
        connection.execute("UPDATE packs SET vectors = ?", (rotten,))
    with CatalogReader.open(path) as reader:
        there, _ = reader.vectors_of(pair_id, DIM, ids(1 << 10, 1 << 10 | 1, 1 << 10 | 2))
    assert sorted(there.tolist()) == [1 << 10, 1 << 10 | 2]
