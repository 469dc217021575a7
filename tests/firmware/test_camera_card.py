"""Reading a card: what counts as whole, and what a damaged one still tells."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from archive.errors import SourceVanished
from archive.photos import camera_card
from archive.photos.camera_card import Condition
from tests.firmware import running
from tests.firmware.running import module, on_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A JPEG as a sensor gives it: 160 by 120 pixels, no metadata but JFIF."""
    path = tmp_path / "frame.jpg"
    pixels = random.Random(3).randbytes(160 * 120 * 3)
    Image.frombytes("RGB", (160, 120), pixels).save(path, "JPEG", quality=80)
    return path


@pytest.fixture
def stored(tmp_path: Path, picture: Path) -> bytes:
    """A photo that the firmware stored with a known clock."""
    return store(tmp_path / "card", picture, "frame = VGA\nrotate = 90\ntz_min = -210\n")


def store(root: Path, picture: Path, config: str) -> bytes:
    on_folder(root, [{"told": True}], config, pictures=[str(picture)], true_ms=1_790_000_000_000)
    return (root / "ARCHIVE" / "S0000001" / "000" / "00000000.JPG").read_bytes()


def test_a_stored_photo_is_whole_and_gives_the_frame_back(stored: bytes, picture: Path) -> None:
    condition, note = camera_card.examine(stored)
    assert condition is Condition.WHOLE
    assert note is not None
    assert note.number == 0
    assert camera_card.frame_of(stored) == picture.read_bytes()
    assert len(stored) - len(picture.read_bytes()) + 2 == stored.index(picture.read_bytes()[2:])
    assert stored.index(picture.read_bytes()[2:]) % 512 == 0


def tags_of(content: bytes) -> dict[str, object]:
    """Every EXIF tag that Pillow finds, by its name."""
    exif = Image.open(BytesIO(content)).getexif()
    return {ExifTags.TAGS[tag]: value for tag, value in [*exif.items(), *exif.get_ifd(ExifTags.IFD.Exif).items()]}


def test_pillow_reads_every_tag(stored: bytes) -> None:
    Image.open(BytesIO(stored)).load()
    tags = tags_of(stored)
    comment, unique, part = (tags.pop(name) for name in ("UserComment", "ImageUniqueID", "SubsecTimeOriginal"))
    assert isinstance(comment, bytes)
    assert comment.startswith(b"ASCII\0\0\0archive-cam/1 dev=a0b1c2d3e4f5 ses=1 ")
    assert re.fullmatch(r"a0b1c2d3e4f5[0-9a-f]{8}000001000000", str(unique))
    assert tags.pop("SubsecTime") == tags.pop("SubsecTimeDigitized") == part == "980"
    tags.pop("ExifOffset")
    moment = "2026:09:21 10:43:20"
    assert tags == {
        "Make": "archive", "Model": "ESP32-CAM OV2640", "Software": "archive-fw 1.0.0", "Orientation": 6,
        "DateTime": moment, "DateTimeOriginal": moment, "DateTimeDigitized": moment,
        "OffsetTime": "-03:30", "OffsetTimeOriginal": "-03:30", "OffsetTimeDigitized": "-03:30",
        "BodySerialNumber": "a0b1c2d3e4f5", "ExifImageWidth": 640, "ExifImageHeight": 480,
    }  # fmt: skip


def test_a_photo_of_an_unset_clock_has_no_date_at_all(tmp_path: Path, picture: Path) -> None:
    on_folder(tmp_path / "card", [{"wake": 1}], pictures=[str(picture)])
    content = (tmp_path / "card" / "ARCHIVE" / "S0000001" / "000" / "00000000.JPG").read_bytes()
    assert not {name for name in tags_of(content) if "Time" in name}


def test_any_changed_or_missing_byte_of_the_frame_is_noticed(stored: bytes) -> None:
    start = 4 + int.from_bytes(stored[4:6], "big")
    for at in range(start, len(stored), 97):
        changed = stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :]
        assert camera_card.examine(changed)[0] is Condition.DAMAGED
        assert camera_card.examine(stored[:at])[0] is Condition.DAMAGED
    assert camera_card.examine(stored + b"\0")[0] is Condition.DAMAGED


def test_photos_of_other_cameras_are_foreign_and_fragments_incomplete(picture: Path, stored: bytes) -> None:
    assert camera_card.examine(picture.read_bytes()) == (Condition.FOREIGN, None)
    for fragment in (b"", b"\xff\xd8\xff", picture.read_bytes()[:-40], stored[:100]):
        assert camera_card.examine(fragment) == (Condition.INCOMPLETE, None)


@given(st.binary(max_size=600))
@settings(max_examples=300, deadline=None)
def test_no_bytes_break_the_reader(content: bytes) -> None:
    condition, _ = camera_card.examine(b"\xff\xd8\xff\xe1\x01\xfcExif\0\0archive-cam/1 dev=" + content)
    assert condition in {Condition.INCOMPLETE, Condition.FOREIGN}


def test_a_photo_that_cannot_be_read_keeps_its_place_and_its_journal_time(tmp_path: Path) -> None:
    on_folder(tmp_path, [{"wake": 3}])
    path = tmp_path / "ARCHIVE" / "S0000001" / "000" / "00000001.JPG"
    path.write_bytes(b"")
    (session,) = running.sessions_of(tmp_path)
    photo = session.photos[1]
    assert (photo.path, photo.note) == (path, None)
    before, mono, after = (session.mono_of(photo) or 0 for photo in session.photos)
    assert before < mono < after


def test_a_note_that_rotted_moves_no_time(tmp_path: Path) -> None:
    on_folder(tmp_path, [{"set": {"network": True}}, {"wake": 5}], "wifi_ssid = home\nsettle_ms = 0\n")
    (before,) = running.sessions_of(tmp_path)
    path = before.photos[2].path
    rotten = re.sub(rb"(mono=)\d", rb"\g<1>9", path.read_bytes(), count=1)
    path.write_bytes(re.sub(rb"(utc=\d{9})\d", rb"\g<1>0", rotten, count=1))
    (after,) = running.sessions_of(tmp_path)
    assert after.photos[2].note != before.photos[2].note
    assert after.anchors == before.anchors
    assert [after.mono_of(photo) for photo in after.photos] == [before.mono_of(photo) for photo in before.photos]


def test_journal_lines_with_a_wrong_crc_are_counted_and_passed_over(tmp_path: Path) -> None:
    on_folder(tmp_path, [{"wake": 4}])
    log = tmp_path / "ARCHIVE" / "S0000001" / "LOG.TXT"
    lines = log.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"P 1", b"P 7")
    log.write_bytes(b"".join(lines) + b"\xff\x00 torn")
    (session,) = running.sessions_of(tmp_path)
    assert session.journal.bad_lines == 2
    assert sorted(session.journal.announced) == [0, 2, 3]
    assert session.missing == ()


def test_a_card_shown_in_small_letters_is_the_same_card(tmp_path: Path) -> None:
    on_folder(tmp_path / "card", [{"wake": 2}])
    for path in sorted((tmp_path / "card").rglob("*"), reverse=True):
        path.rename(path.with_name(path.name.lower()))
    assert camera_card.is_card(tmp_path / "card")
    (session,) = running.sessions_of(tmp_path / "card")
    assert len(session.photos) == len(session.journal.announced) == 2


def test_a_folder_of_other_things_is_no_card(tmp_path: Path) -> None:
    (tmp_path / "ARCHIVE").mkdir()
    assert not camera_card.is_card(tmp_path)
    assert not camera_card.is_old_photo(tmp_path / "ARCHIVE" / "1717245000.jpg", tmp_path)
    assert not camera_card.is_card(tmp_path / "gone")


def test_a_card_that_goes_away_while_it_is_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_folder(tmp_path, [{"wake": 1}])

    def pulled(_: Path) -> bytes:
        tmp_path.rename(tmp_path.with_name("pulled"))
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pathlib.Path.read_bytes", pulled)
    with pytest.raises(SourceVanished, match="put it back"):
        running.sessions_of(tmp_path)


def test_a_journal_that_cannot_be_read_costs_no_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_folder(tmp_path, [{"wake": 2}])

    def damaged(_: Path) -> bytes:
        raise OSError(5, "Input/output error")

    named: list[str] = []
    monkeypatch.setattr("pathlib.Path.read_bytes", damaged)
    (session,) = camera_card.read(tmp_path, lambda path, _: named.append(path.name))
    assert named == ["LOG.TXT"]
    assert len(session.photos) == 2
    assert session.key.device == "a0b1c2d3e4f5"


def test_what_is_written_to_sync_txt_is_what_the_firmware_reads() -> None:
    now = datetime(2026, 9, 21, 12, 0, tzinfo=timezone(timedelta(minutes=-210)))
    words = module("archivecam.config").parse_sync(camera_card.sync_text(now, "0badcafe"))
    assert words == ("0badcafe", int(now.astimezone(UTC).timestamp() * 1000), -210)
