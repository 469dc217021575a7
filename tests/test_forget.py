"""Forget: what is erased is in no file any more, and what is not stays as it was."""

from __future__ import annotations

import io
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from archive import last_answer, parts
from archive import settings as archive_settings
from archive.catalog.driver import connect_to_read, connect_to_write
from archive.catalog.reader import CatalogReader
from archive.originals import Originals
from archive.photos.reading import digest_of
from archive.residue import pieces_of_picture, pieces_of_vectors, search
from archive.segmenters.grid import GridSegmenter
from tests import coloured_photos
from tests.fakes import ColourEmbedder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from archive.settings import Settings
    from archive.types import Pixels, Vectors
    from tests.commands import Commands

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CANARY = "canary-of-the-name"


class WideEmbedder(ColourEmbedder):
    """The colours, and a row's own noise: vectors long and varied enough that each can be told from every other."""

    space = "wide@1"
    dim = 256

    def embed_images(self, crops: Sequence[Pixels]) -> Vectors:
        seeds = [int(crop.astype(np.int64).sum()) for crop in crops]
        noise = np.stack([np.random.default_rng(seed).normal(size=self.dim - 8) for seed in seeds])
        rows = np.hstack([ColourEmbedder.embed_images(_colours, crops), noise / 16]).astype(np.float32)
        return _unit(rows)

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        return _unit(np.pad(ColourEmbedder.embed_text(_colours, texts), ((0, 0), (0, self.dim - 8))))


_colours = ColourEmbedder()


def _unit(rows: NDArray[np.floating[Any]]) -> Vectors:
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def noisy(number: int) -> bytes:
    """A photo of which no stretch of bytes is like another's."""
    pixels = np.random.default_rng(number).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = f"{CANARY} of camera {number % 3}"
    exif.get_ifd(0x8769)[0x9003] = f"2026:11:20 12:{number:02}:00"
    exif.get_ifd(0x8769)[0x9011] = "+00:00"
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95, exif=exif)
    return buffer.getvalue()


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder = tmp_path / "card"
    folder.mkdir()
    for number in range(9):
        (folder / f"{CANARY}-{number}.jpg").write_bytes(noisy(number))
    return folder


@pytest.fixture
def filled(archive: Commands, card: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Nine photos in a shard, and a remembered question."""
    monkeypatch.setitem(parts.SEGMENTERS, "colours", GridSegmenter)
    monkeypatch.setitem(parts.EMBEDDERS, "colours", WideEmbedder)
    monkeypatch.setattr(archive_settings, "SEAL_AT", 16)
    assert archive("ingest", card).code == 0
    archive("query", "red")
    return archive


def everything(home: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file() and path.suffix != ".sqlite-shm"}


def rows_of(settings: Settings, photo: int) -> list[bytes]:
    with closing(connect_to_read(settings.catalog)) as connection:
        rows = connection.execute("SELECT vectors FROM packs WHERE photo_id = ?", (photo,)).fetchall()
    width = 2 * WideEmbedder.dim
    return [blob[start : start + width] for (blob,) in rows for start in range(0, len(blob), width)]


def digest(settings: Settings, photo: int) -> str:
    with CatalogReader.open(settings.catalog) as reader:
        return reader.photos([photo])[photo].digest


def canaries(settings: Settings, photo: int) -> list[bytes]:
    """What must be nowhere: digest, name, a stretch of the picture, every vector as the catalog and a shard hold it."""
    name = digest(settings, photo)
    content = Originals(settings.originals).read(name, ".jpg")
    rows = rows_of(settings, photo)
    floats = [np.frombuffer(row, "<f2").astype(np.float32) for row in rows]
    return [
        name.encode(),
        bytes.fromhex(name),
        f"{CANARY}-{photo - 1}".encode(),
        content[len(content) // 2 : len(content) // 2 + 48],
        *(row[:48] for row in rows),
        *((row / np.linalg.norm(row)).astype("<f2").tobytes()[:48] for row in floats),
        *(row.astype("<f4").tobytes()[:48] for row in floats),
    ]


def found(home: Path, wanted: list[bytes]) -> list[str]:
    return [name for name, content in everything(home).items() if any(piece in content for piece in wanted)]


def test_nothing_of_a_forgotten_photo_is_in_any_file(filled: Commands, home: Path, settings: Settings) -> None:
    wanted = canaries(settings, 4)
    assert len(found(home, wanted)) >= 2
    done = filled("forget", 4, "--yes", "--verify", "--json")
    assert done.code == 0, done.err
    assert found(home, wanted) == []
    assert not [path for path in home.rglob("*") if path.name.startswith(wanted[0].decode())]
    receipt = done.object
    assert (receipt["photos"], receipt["files"], receipt["purge"]) == (1, 1, "done")
    assert receipt["verified"]["residue"] == []
    assert receipt["verified"]["files"] >= 10


def test_what_is_not_forgotten_stays_as_it_was(filled: Commands, settings: Settings) -> None:
    before = filled("query", "red", "--all", "--limit", 20, "--json").object["hits"]
    assert filled("forget", 4, 7, "--yes").code == 0
    after = filled("query", "red", "--all", "--limit", 20, "--json").object["hits"]
    kept = [hit for hit in before if hit["photo"]["id"] not in {4, 7}]
    assert [(hit["photo"], hit["score"], hit["boxes"]) for hit in after] == [
        (hit["photo"], hit["score"], hit["boxes"]) for hit in kept
    ]
    assert filled("check", "--data").code == 0
    assert filled("status", "--json").object["answering"]["shards"] >= 1


def test_a_receipt_says_nothing_of_what_was_on_the_photos(filled: Commands, settings: Settings) -> None:
    name = digest(settings, 4)
    done = filled("forget", 4, "--yes", "--json")
    assert name not in done.out
    assert CANARY not in done.out


def test_a_forgotten_photo_that_is_still_on_the_card_is_not_taken_in_again_unless_asked(
    filled: Commands, card: Path, home: Path, settings: Settings
) -> None:
    name = digest(settings, 4)
    filled("forget", 4, "--yes")
    assert filled("ingest", card, "--dry-run").out.startswith("0 would be new, 8 known, 0 unreadable, 1 forgotten of 9")
    assert filled("ingest", card).out.startswith("0 new, 8 known, 0 unreadable, 1 forgotten of 9 files")
    assert name.encode() not in b"".join(everything(home).values())
    assert filled("ingest", card, "--even-forgotten").out.startswith("1 new, 8 known")
    assert filled("ingest", card).out.startswith("0 new, 9 known")
    assert filled("check", "--data").code == 0


def test_the_marks_of_what_was_forgotten_cannot_be_compared_between_archives(
    filled: Commands, card: Path, tmp_path: Path, settings: Settings
) -> None:
    other = archive_settings.Settings(tmp_path / "other", settings.weights)
    assert filled("ingest", card, "--home", other.home).code == 0
    marks = []
    for place in (settings, other):
        assert filled("forget", 4, "--yes", "--home", place.home).code == 0
        with closing(connect_to_read(place.catalog)) as connection:
            marks.append(connection.execute("SELECT mark FROM forgotten").fetchall())
    assert [len(rows) for rows in marks] == [1, 1]
    assert marks[0] != marks[1]


def test_while_a_reader_is_open_the_purge_is_pending_and_is_finished_later(
    filled: Commands, home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archive.catalog.purging.CHECKPOINT_PATIENCE_MS", 10)
    wanted = canaries(settings, 4)
    with CatalogReader.open(settings.catalog) as reader:
        assert len(reader.photos(range(10))) == 9
        done = filled("forget", 4, "--yes", "--json")
        assert (done.code, done.object["purge"]) == (0, "pending")
        assert "archive forget" in filled("check").out
        assert filled("forget", "--json").object["purge"] == "pending"
        assert {name.rpartition("/")[2] for name in found(home, wanted)} <= {"catalog.sqlite", "catalog.sqlite-wal"}
    assert filled("forget", "--json").object["purge"] == "done"
    assert found(home, wanted) == []
    assert "nothing is waiting" in filled("forget").err


def test_the_next_ingest_finishes_an_erasure_that_was_cut_off(
    filled: Commands, card: Path, home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = canaries(settings, 4)

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr("archive.erasure._erase_files", killed)
        assert filled("forget", 4, "--yes").code == 130
    assert found(home, wanted) != []
    assert "left by an interrupted run" not in filled("check").out
    assert filled("ingest", card).out.startswith("0 new, 8 known, 0 unreadable, 1 forgotten")
    assert found(home, wanted) == []


def test_a_time_range_and_a_camera_choose_what_goes(filled: Commands) -> None:
    done = filled("forget", "--after", "2026-11-20T12:07Z", "--yes", "--json")
    assert done.object["photos"] == 2
    cameras = {hit["photo"]["camera"] for hit in filled("query", "x", "--all", "--json").object["hits"]}
    camera = sorted(cameras)[0]
    assert filled("forget", "--camera", camera, "--yes", "--json").object["photos"] == 3
    assert filled("status", "--json").object["photos"] == 4


def test_a_photo_can_be_named_by_the_path_of_its_original(filled: Commands, home: Path) -> None:
    path = sorted((home / "originals").rglob("*.jpg"))[0]
    assert filled("forget", path, "--yes", "--json").object["photos"] == 1
    assert not path.exists()


def test_nothing_is_erased_before_somebody_says_yes(filled: Commands, home: Path) -> None:
    before = everything(home)
    done = filled("forget", 4)
    assert done.code == 2
    assert "say --yes" in done.err
    assert f"{CANARY}-3.jpg" in done.err
    assert everything(home) == before


def test_an_unknown_photo_or_two_ways_of_choosing_is_wrong_usage(filled: Commands) -> None:
    assert filled("forget", 99, "--yes").code == 2
    assert filled("forget", "nonsense", "--yes").code == 2
    assert filled("forget", 4, "--camera", "x", "--yes").code == 2
    assert filled("forget", "--yes").code == 2
    assert filled("forget", "--camera", "nobody", "--yes").code == 0


def test_a_catalog_that_is_not_sound_lets_nothing_be_erased(filled: Commands, home: Path, settings: Settings) -> None:
    with closing(connect_to_write(settings.catalog)) as connection:
        connection.execute("UPDATE packs SET crc = crc + 1 WHERE photo_id = 2")
    done = filled("forget", 4, "--yes")
    assert done.code == 3
    assert "archive repair" in done.err
    assert filled("status", "--json").object["photos"] == 9


def test_whatever_is_named_after_a_photo_goes_with_it(filled: Commands, home: Path, settings: Settings) -> None:
    name = digest(settings, 4)
    thumbnail = home / "thumbnails" / name[:2] / f"{name}-256.webp"
    thumbnail.parent.mkdir(parents=True)
    thumbnail.write_bytes(b"small")
    assert filled("forget", 4, "--yes", "--json").object["files"] == 2
    assert not thumbnail.exists()


def test_every_row_that_belongs_to_a_photo_goes_with_it(filled: Commands, settings: Settings) -> None:
    with closing(connect_to_read(settings.catalog)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            cascades = {
                row[3] for row in connection.execute(f"PRAGMA foreign_key_list({table})") if row[6] == "CASCADE"
            }
            assert {name for name in columns if "photo" in name} <= cascades, table


def test_what_was_taught_from_a_forgotten_photo_and_the_last_answer_go_with_it(
    filled: Commands, home: Path, settings: Settings
) -> None:
    hit = filled("query", "red", "--all", "--json").object["hits"][0]
    assert filled("teach", "thing", "--hit", hit["rank"]).code == 0
    with closing(connect_to_read(settings.catalog)) as connection:
        ((picture,),) = connection.execute("SELECT picture FROM exemplars").fetchall()
    wanted = [*canaries(settings, hit["photo"]["id"]), picture[len(picture) // 2 :][:48]]
    assert found(home, wanted[-1:])
    assert "looked for thing" in filled("query", "thing").err
    done = filled("forget", hit["photo"]["id"], "--yes", "--verify", "--json")
    assert done.code == 0, done.err
    assert done.object["verified"]["residue"] == []
    assert found(home, wanted) == []
    assert not (home / last_answer.NAME).exists()
    assert filled("teach", "other", "--hit", 1).code == 2
    assert "looked for thing" not in filled("query", "thing").err


def test_where_the_disk_is_full_a_shard_goes_and_its_photos_are_still_found(
    filled: Commands, home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = canaries(settings, 4)

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("archive.indexes.faiss_shards.FaissIndex.add", full)
        assert filled("forget", 4, "--yes").code == 0
    assert found(home, wanted) == []
    assert len(filled("query", "red", "--all", "--limit", 20, "--json").object["hits"]) == 8
    assert filled("reindex").code == 0
    assert filled("check").code == 0


def test_a_piece_is_found_at_every_place_of_a_file(tmp_path: Path) -> None:
    pieces = [*pieces_of_picture(noisy(1)), *pieces_of_vectors(_unit(np.random.default_rng(2).normal(size=(3, 64))))]
    assert len(pieces) >= 9
    random = np.random.default_rng(3)
    for number, piece in enumerate(pieces):
        for length in (70, 5_000, (1 << 20) + 40):
            content = bytearray(random.bytes(length))
            start = int(random.integers(0, length - 64)) if length < 1 << 20 else (1 << 20) - 30 + number % 6
            path = tmp_path / "file"
            path.write_bytes(content)
            assert list(search([path], pieces)) == []
            content[start : start + 64] = piece.content
            path.write_bytes(content)
            assert [residue.of_a_picture for residue in search([path], pieces)] == [piece.of_a_picture]


def test_residue_that_is_left_in_a_file_is_found_and_named(filled: Commands, home: Path, settings: Settings) -> None:
    content = Originals(settings.originals).read(digest(settings, 4), ".jpg")
    (home / "copy of mine.bin").write_bytes(b"head" + content)
    done = filled("forget", 4, "--yes", "--verify", "--json")
    assert done.code == 3
    assert done.object["verified"]["residue"] == [str(home / "copy of mine.bin")]


def test_two_photos_of_the_same_scene_are_two_photos(archive: Commands, tmp_path: Path) -> None:
    paths = coloured_photos.day(tmp_path / "card", 3, NOON)
    assert archive("ingest", tmp_path / "card").code == 0
    done = archive("forget", 1, "--yes", "--verify")
    assert done.code == 0, done.out
    assert archive("check", "--data").code == 0
    assert digest_of(paths[1].read_bytes()) in archive("query", "red", "--all", "--json").out


def still(folder: Path, *greens: int) -> list[Path]:
    """Photos that a camera which stands still takes, the same but for its noise; some show another thing as well."""
    folder.mkdir()
    paths = []
    for number in range(6):
        squares = {"red": (20, 20, 120, 120)} | ({"green": (200, 60, 290, 200)} if number in greens else {})
        clean = coloured_photos.pixels(squares, (800, 600)).astype(float)
        grain = np.random.default_rng(number).normal(0, 1.5, clean.shape)
        paths.append(folder / f"{number}.jpg")
        Image.fromarray((clean + grain).clip(0, 255).astype(np.uint8)).save(paths[-1], quality=95)
    return paths


@pytest.mark.parametrize(
    ("forgotten", "greens"), [([1], ()), ([2, 3, 4, 5, 6], ()), ([1, 3, 5], (2, 3)), ([2, 3, 4], (2, 3))]
)
def test_vectors_that_a_photo_shares_with_one_that_stays_are_no_residue(
    archive: Commands,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    forgotten: list[int],
    greens: tuple[int, ...],
) -> None:
    monkeypatch.setitem(parts.EMBEDDERS, "colours", WideEmbedder)
    monkeypatch.setattr(archive_settings, "SEAL_AT", 4)
    still(tmp_path / "card", *greens)
    assert archive("ingest", tmp_path / "card").code == 0
    assert set(rows_of(settings, 1)) & set(rows_of(settings, 2))
    done = archive("forget", *forgotten, "--yes", "--verify", "--json")
    assert (done.code, done.object["verified"]["residue"]) == (0, []), done.err
    hits = archive("query", "red", "--all", "--limit", 20, "--json").object["hits"]
    assert {hit["photo"]["id"] for hit in hits} == {1, 2, 3, 4, 5, 6} - set(forgotten)


def test_a_vector_that_no_photo_beside_it_has_is_residue_where_it_is_left(
    archive: Commands, tmp_path: Path, home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(parts.EMBEDDERS, "colours", WideEmbedder)
    still(tmp_path / "card", 2)
    assert archive("ingest", tmp_path / "card").code == 0
    before, own, after = (set(rows_of(settings, photo)) for photo in (2, 3, 4))
    (thing,) = own - before - after - {rows_of(settings, 3)[0]}
    (home / "copy.bin").write_bytes(thing)
    done = archive("forget", 3, "--yes", "--verify", "--json")
    assert (done.code, done.object["verified"]["residue"]) == (3, [str(home / "copy.bin")])
