"""The wearable's card, end to end: written by the firmware's own code, taken in, timed, proved, and looked after."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from PIL import Image

from archive.catalog.driver import connect_to_read, connect_to_write
from archive.photos import clock_code
from tests import coloured_photos
from tests.firmware import fat
from tests.firmware.running import Plan, from_image, module, on_folder, play_on_micropython

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands

HOUR_MS = 3_600_000
FAST_PPM = 10_000  # 36 seconds in an hour, as others measured it
CONFIG = "interval = 3600\nsettle_ms = 0\nled = 0\n"
NTP = f"{CONFIG}wifi_ssid = home\nntp_every_min = 120\n"
NETWORK: Plan = {"set": {"network": True}}
NO_NETWORK: Plan = {"set": {"network": False}}
RESET: Plan = {"power_off": 90_000}
FRAMES_PER_PHOTO = 4


@pytest.fixture
def morning() -> int:
    """Thirteen hours ago, when the camera was put on."""
    return (int(time.time()) - 13 * 3600) * 1000


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """What the sensor sees, one after the other."""
    return [str(path) for path in coloured_photos.day(tmp_path / "pictures", 12, datetime(2026, 11, 20, tzinfo=UTC))]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return tmp_path / "card"


class Stored(NamedTuple):
    """What the catalog says of a photo."""

    captured_ms: int | None
    source: str
    error_ms: int | None
    number: int
    condition: str


def stored(home: Path) -> dict[str, Stored]:
    """Every photo of a session in the catalog, by digest."""
    with closing(connect_to_read(home / "catalog.sqlite")) as connection:
        rows = connection.execute(
            """SELECT digest, captured_at_us / 1000, captured_at_source, captured_error_ms, number, condition
               FROM photos WHERE session_id IS NOT NULL"""
        )
        return {digest.hex(): Stored(*columns) for digest, *columns in rows}


def assert_true(home: Path, *results: Plan) -> list[int]:
    """Every photo that was stored is in, and was taken when the archive says, within the error that it states."""
    known = stored(home)
    errors = []
    for entry in (entry for result in results for entry in result["stored"]):
        photo = known[entry["sha256"]]
        assert photo.source == "journal"
        assert photo.captured_ms is not None
        assert photo.error_ms is not None
        assert abs(photo.captured_ms - entry["true_ms"]) <= photo.error_ms
        errors.append(photo.error_ms)
    return errors


def photo_at(card: Path, number: int, session: int = 1) -> Path:
    return card / "ARCHIVE" / f"S{session:07d}" / f"{number // 200:03d}" / f"{number:08d}.JPG"


def damage(photo: Path) -> None:
    """Change one bit of the picture's own bytes, where it shows but the picture can still be read."""
    content = bytearray(photo.read_bytes())
    content[-40] ^= 4
    photo.write_bytes(bytes(content))


def test_a_clock_that_was_never_told_lies_between_the_last_ingest_and_this_one(
    archive: Commands, home: Path, card: Path, pictures: list[str], morning: int
) -> None:
    (card / "ARCHIVE").mkdir(parents=True)
    (card / "ARCHIVE" / "SYNC.TXT").write_text(f"utc_ms={morning - HOUR_MS} tz_min=60 sync=0badcafe\r\n")
    result = on_folder(card, [{"wake": 8}], CONFIG, pictures=pictures, true_ms=morning, drift_ppm=FAST_PPM)
    done = archive("ingest", card)
    assert done.code == 0
    assert "session 1: 8 shot, 8 in; " in done.out
    assert max(assert_true(home, result)) < 5 * HOUR_MS


def test_a_reset_in_the_middle_of_the_day_leaves_every_part_of_it_true(
    archive: Commands, home: Path, card: Path, pictures: list[str], morning: int
) -> None:
    steps = [NETWORK, {"wake": 3}, RESET, NO_NETWORK, {"wake": 3}, RESET, NETWORK, {"wake": 3}]
    result = on_folder(card, steps, NTP, pictures=pictures, true_ms=morning, drift_ppm=FAST_PPM)
    assert archive("ingest", card).code == 0
    assert max(assert_true(home, result)) < 2 * HOUR_MS
    order = [photo.captured_ms for photo in stored(home).values()]
    assert order == sorted(order, key=lambda moment: moment or 0)


@pytest.mark.parametrize("drift", [-FAST_PPM, FAST_PPM])
def test_a_clock_that_strays_36_seconds_an_hour_is_held_by_one_anchor_and_learned_from_two(
    archive: Commands, home: Path, card: Path, pictures: list[str], morning: int, drift: int
) -> None:
    steps = [NETWORK, {"wake": 5}, RESET, {"wake": 1}, NO_NETWORK, {"wake": 5}]
    result = on_folder(card, steps, NTP, pictures=pictures, true_ms=morning, drift_ppm=drift)
    assert archive("ingest", card).code == 0
    assert max(assert_true(home, result)) < 40_000


def test_a_new_time_zone_moves_no_photo(
    archive: Commands, home: Path, card: Path, pictures: list[str], morning: int
) -> None:
    first = on_folder(card, [NETWORK, {"wake": 5}], NTP + "tz_min = 60\n", pictures=pictures, true_ms=morning)
    settings = NTP + "tz_min = -300\n"
    second = on_folder(card, [NETWORK, {"wake": 5}], settings, pictures=pictures, true_ms=first["true_ms"])
    assert archive("ingest", card).code == 0
    assert_true(home, first, second)


def test_what_the_card_tells_reaches_the_answer_with_its_source_and_error(
    archive: Commands, card: Path, pictures: list[str], morning: int
) -> None:
    on_folder(card, [NETWORK, {"wake": 12}], NTP, pictures=pictures, true_ms=morning)
    archive("ingest", card)
    photo = archive("query", "red", "--json").object["hits"][0]["photo"]
    assert photo["captured_at_source"] == "journal"
    assert 0 < photo["captured_at_error_ms"] < HOUR_MS
    assert "time by journal, ± " in archive("query", "red").out


def test_a_card_image_of_the_real_file_system_is_read_ingested_and_queried(
    archive: Commands, home: Path, tmp_path: Path, pictures: list[str], morning: int
) -> None:
    image = fat.make(tmp_path / "card.img", 16, 40, cluster=4)
    steps = [NETWORK, {"wake": 12}, RESET, {"wake": 3}]
    settings = {"pictures": pictures, "true_ms": morning, "drift_ppm": FAST_PPM}
    card: Plan = {"image": str(image), "config": NTP}
    result = play_on_micropython({"card": card, "steps": steps, **settings}, tmp_path)
    done = archive("ingest", from_image(image, tmp_path / "card"))
    assert done.out.startswith("15 new, 0 known, 0 unreadable of 15 files")
    assert_true(home, result)
    assert archive("query", "green").code == 0


def test_missing_numbers_are_named_and_damaged_photos_kept_and_marked(
    archive: Commands, home: Path, card: Path, pictures: list[str], morning: int
) -> None:
    on_folder(card, [NETWORK, {"wake": 12}], NTP, pictures=pictures, true_ms=morning)
    for number in (3, 7, 8):
        photo_at(card, number).unlink()
    damage(photo_at(card, 5))
    photo_at(card, 12).touch()  # the power failed while the thirteenth was written
    done = archive("ingest", card)
    assert done.code == 0
    assert done.out.startswith("9 new, 0 known, 0 unreadable of 10 files")
    assert "session 1: 12 shot, 9 in, missing 3, 7-8; " in done.out
    assert "damaged: " in done.err
    assert "unfinished: " in done.err
    conditions = {photo.number: photo.condition for photo in stored(home).values()}
    assert {number for number, condition in conditions.items() if condition == "damaged"} == {5}
    assert archive("status", "--json").object["damaged"] == 1
    report = archive("ingest", card, "--json").object
    assert report["sessions"][0]["missing"] == [3, 7, 8]
    assert [path.rpartition("/")[2] for path in report["unfinished"]] == ["00000012.JPG"]


def test_a_picture_that_the_journal_announced_but_nobody_can_read_is_no_photo(
    archive: Commands, card: Path, pictures: list[str], morning: int
) -> None:
    on_folder(card, [NETWORK, {"wake": 3}], NTP, pictures=pictures, true_ms=morning)
    photo_at(card, 1).write_bytes(b"")
    done = archive("ingest", card)
    assert done.code == 1
    assert done.out.startswith("2 new, 0 known, 1 unreadable of 3 files")


def test_nothing_is_written_to_a_card_unasked_and_a_dry_run_writes_nothing_at_all(
    archive: Commands, home: Path, card: Path, pictures: list[str], morning: int
) -> None:
    on_folder(card, [NETWORK, {"wake": 4}], NTP, pictures=pictures, true_ms=morning)
    before = {path: path.read_bytes() for path in card.rglob("*") if path.is_file()}
    told = archive("ingest", card, "--dry-run", "--free", "--sync-clock")
    assert told.code == 0
    assert "4 photos, " in told.out
    assert "would be deleted from it" in told.out
    assert not home.exists()
    archive("ingest", card)
    assert {path: path.read_bytes() for path in card.rglob("*") if path.is_file()} == before


def test_a_card_is_freed_of_what_is_proved_to_be_in_and_of_nothing_else(
    archive: Commands, home: Path, card: Path, pictures: list[str], morning: int
) -> None:
    on_folder(card, [NETWORK, {"wake": 6}], NTP, pictures=pictures, true_ms=morning)
    (card / "DCIM").mkdir()
    other = coloured_photos.write(card / "DCIM" / "mine.jpg", {"red": (0, 0, 40, 40)})
    damage(photo_at(card, 2))
    done = archive("ingest", card, "--free", "--yes", "--json")
    assert done.code == 0
    assert done.object["cards"][0] | {"freed_bytes": 0} == {
        "path": str(card), "verified": 5, "left": 1, "freed": 5, "freed_bytes": 0, "synced": False, "ejected": False,
    }  # fmt: skip
    assert sorted(card.rglob("*.JPG")) == [photo_at(card, 2)]
    assert other.exists()
    assert (card / "ARCHIVE" / "S0000001" / "LOG.TXT").exists()
    assert archive("check", "--data").code == 0
    again = archive("ingest", card)
    assert "session 1: 6 shot, 6 in; " in again.out


def test_a_session_is_forgotten_with_the_last_of_its_photos_and_stays_on_the_card(
    archive: Commands, home: Path, card: Path, pictures: list[str], morning: int
) -> None:
    on_folder(card, [NETWORK, {"wake": 4}], NTP, pictures=pictures, true_ms=morning)
    archive("ingest", card)
    ids = [hit["photo"]["id"] for hit in archive("query", "red", "--all", "--json").object["hits"]]
    assert archive("forget", *ids[:3], "--yes", "--verify").code == 0
    assert len(timing(home)["sessions"]) == 1
    assert archive("forget", ids[3], "--yes", "--verify").code == 0
    assert timing(home) == {"sessions": [], "anchors": []}
    told = archive("ingest", card, "--dry-run", "--free", "--json").object
    assert (told["new"], told["forgotten"]) == (0, 4)
    assert (told["cards"][0]["freed"], told["cards"][0]["left"]) == (0, 4)
    again = archive("ingest", card, "--free", "--yes", "--json").object
    assert (again["new"], again["forgotten"], again["cards"][0]["freed"]) == (0, 4, 0)
    assert archive("ingest", card, "--even-forgotten").out.startswith("4 new, ")
    assert len(stored(home)) == 4


def timing(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """What the catalog knows of the clocks of sessions."""
    with closing(connect_to_read(home / "catalog.sqlite")) as connection:
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in ("sessions", "anchors")}


def test_a_freed_card_goes_on_in_its_session(
    archive: Commands, home: Path, card: Path, pictures: list[str], morning: int
) -> None:
    first = on_folder(card, [NETWORK, {"wake": 5}], NTP, pictures=pictures, true_ms=morning)
    archive("ingest", card, "--free", "--yes")
    second = on_folder(card, [NETWORK, {"wake": 5}], NTP, pictures=pictures, true_ms=first["true_ms"])
    done = archive("ingest", card)
    assert done.out.startswith("5 new, 0 known")
    assert "missing" not in done.out
    assert_true(home, first, second)


def test_a_card_is_not_touched_where_an_original_is_not_what_it_was(
    archive: Commands, home: Path, card: Path, pictures: list[str], morning: int
) -> None:
    on_folder(card, [NETWORK, {"wake": 4}], NTP, pictures=pictures, true_ms=morning)
    archive("ingest", card)
    original = next((home / "originals").rglob("*.jpg"))
    original.chmod(0o600)
    content = bytearray(original.read_bytes())
    content[-9] ^= 1
    original.write_bytes(bytes(content))
    done = archive("ingest", card, "--free", "--yes", "--sync-clock")
    assert done.code == 3
    assert "was altered" in done.err
    assert len(list(card.rglob("*.JPG"))) == 4
    assert not (card / "ARCHIVE" / "SYNC.TXT").exists()


def test_freeing_asks_first(archive: Commands, card: Path, pictures: list[str], morning: int) -> None:
    on_folder(card, [NETWORK, {"wake": 2}], NTP, pictures=pictures, true_ms=morning)
    done = archive("ingest", card, "--free")
    assert done.code == 2
    assert "--yes" in done.err
    assert len(list(card.rglob("*.JPG"))) == 2


def test_only_a_card_of_the_wearable_can_be_looked_after(archive: Commands, tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    coloured_photos.day(folder, 1, datetime(2026, 11, 20, tzinfo=UTC))
    for option in ("--free", "--sync-clock", "--eject"):
        done = archive("ingest", folder, option, "--yes")
        assert done.code == 2, option
        assert done.err.count("\n") <= 3
    assert len(list(folder.iterdir())) == 1


def test_what_sync_clock_writes_bounds_the_sessions_to_come(
    archive: Commands, home: Path, card: Path, pictures: list[str]
) -> None:
    (card / "ARCHIVE").mkdir(parents=True)
    assert archive("ingest", card, "--sync-clock").code == 0
    sync, utc_ms, _ = module("archivecam.config").parse_sync((card / "ARCHIVE" / "SYNC.TXT").read_bytes())
    assert len(sync) == 8
    assert abs(utc_ms - time.time() * 1000) < 60_000
    on_folder(card, [{"wake": 2}], CONFIG, pictures=pictures, true_ms=utc_ms + 1000)
    assert f"synced={utc_ms}" in (card / "ARCHIVE" / "S0000001" / "LOG.TXT").read_text()


def test_a_typed_start_times_a_session_and_moves_the_photos_that_are_in(
    archive: Commands, home: Path, card: Path, pictures: list[str], morning: int
) -> None:
    result = on_folder(card, [{"wake": 5}], CONFIG, pictures=pictures, true_ms=morning, drift_ppm=FAST_PPM)
    done = archive("ingest", card)
    assert "time unknown, tell it with --starts 1=TIME" in done.out
    assert {photo.captured_ms for photo in stored(home).values()} == {None}
    begun = datetime.fromtimestamp(morning / 1000, UTC) + timedelta(seconds=50)
    told = archive("ingest", card, "--starts", begun.isoformat())
    assert told.code == 0
    assert "5 photos that came in before got a better time" in told.err
    assert_true(home, result)
    later = archive("ingest", "--starts", f"1={(begun - timedelta(minutes=1)).isoformat()}")
    assert later.code == 0
    assert_true(home, result)


def test_a_start_that_cannot_be_is_refused(archive: Commands, card: Path, pictures: list[str], morning: int) -> None:
    on_folder(card, [NETWORK, {"wake": 3}, RESET, {"wake": 3}], NTP, pictures=pictures, true_ms=morning)
    for start, said in (("08:10", "say which session"), ("9=08:10", "say which session"), ("1=3d", "otherwise")):
        done = archive("ingest", card, "--starts", start)
        assert done.code == 2, start
        assert said in done.err
    assert archive("ingest", card, "--starts", "x=08:10").code == 2


def screen(folder: Path, utc_ms: int) -> str:
    """A photo of a desk with a screen on it, which shows the clock a little askew."""
    modules = np.where(clock_code.code(utc_ms, 60), 20, 235).astype(np.uint8)
    shown = Image.fromarray(np.kron(modules, np.ones((5, 5), np.uint8))).rotate(7, expand=True, fillcolor=90)
    desk = Image.new("RGB", (640, 480), (90, 80, 70))
    desk.paste(shown.convert("RGB"), (220, 140))
    path = folder / f"screen-{utc_ms}.jpg"
    desk.save(path, "JPEG", quality=80)
    return str(path)


def test_a_clock_that_the_camera_saw_times_its_whole_session(
    archive: Commands, home: Path, card: Path, tmp_path: Path, pictures: list[str], morning: int
) -> None:
    settings = {"true_ms": morning, "drift_ppm": FAST_PPM, "shots_per_picture": FRAMES_PER_PHOTO}
    rehearsal = on_folder(tmp_path / "rehearsal", [{"wake": 9}], CONFIG, pictures=pictures, **settings)
    # The code was drawn up to a second before the shutter opened.
    seen = screen(tmp_path, rehearsal["stored"][6]["true_ms"] - 800)
    result = on_folder(card, [{"wake": 6}], CONFIG, pictures=pictures, **settings)
    archive("ingest", card)
    assert {photo.captured_ms for photo in stored(home).values()} == {None}
    again = tmp_path / "later"
    result = on_folder(again, [{"wake": 9}], CONFIG, pictures=[*pictures[:6], seen, *pictures[7:]], **settings)
    done = archive("ingest", again)
    assert done.out.startswith("3 new, 6 known")
    assert "the time was read from a clock in 1 photo" in done.err
    errors = assert_true(home, result)
    assert min(errors) == 1000
    assert max(errors) < HOUR_MS


def test_photos_away_from_their_card_are_timed_by_their_own_notes(
    archive: Commands, home: Path, card: Path, tmp_path: Path, pictures: list[str], morning: int
) -> None:
    result = on_folder(card, [NETWORK, {"wake": 5}], NTP, pictures=pictures, true_ms=morning, drift_ppm=FAST_PPM)
    loose = tmp_path / "loose"
    loose.mkdir()
    for number in range(5):
        (loose / f"copy {number}.jpg").write_bytes(photo_at(card, number).read_bytes())
    assert archive("ingest", loose).code == 0
    assert_true(home, result)
    assert archive("ingest", card).out.startswith("0 new, 5 known")
    assert_true(home, result)


def test_photos_that_came_in_before_sessions_were_known_are_placed_by_the_next_run(
    archive: Commands, home: Path, card: Path, pictures: list[str], morning: int
) -> None:
    result = on_folder(card, [NETWORK, {"wake": 5}], NTP, pictures=pictures, true_ms=morning)
    archive("ingest", card)
    with closing(connect_to_write(home / "catalog.sqlite")) as connection:
        connection.execute(
            "UPDATE photos SET session_id = NULL, number = NULL, mono_ms = NULL, captured_at_us = 0, condition = NULL"
        )
    done = archive("ingest", card)
    assert "5 photos that came in before got a better time" in done.err
    assert_true(home, result)


def test_times_move_all_together_or_not_at_all(
    archive: Commands, home: Path, card: Path, pictures: list[str], morning: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_folder(card, [{"wake": 5}], CONFIG, pictures=pictures, true_ms=morning)
    archive("ingest", card)
    before = stored(home)
    start = ("--starts", datetime.fromtimestamp(morning / 1000, UTC).isoformat())

    def fail(*_: object) -> int:
        raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr("archive.catalog.writer.upsert_session", fail)
        assert archive("ingest", card, *start).code == 3
    assert stored(home) == before
    assert archive("ingest", card, *start).code == 0
    assert None not in {photo.captured_ms for photo in stored(home).values()}


def test_a_card_of_the_first_sketch_counts_local_seconds(
    archive: Commands, home: Path, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        local = datetime(2024, 6, 1, 12, 30, tzinfo=UTC)
        coloured_photos.write(card / "Pictures" / f"{int(local.timestamp())}.jpg", {"red": (9, 9, 90, 90)})
        assert archive("ingest", card).code == 0
        hit = archive("query", "red", "--all", "--json").object["hits"][0]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert hit["photo"]["captured_at"] == "2024-06-01T10:30:00Z"
    assert hit["photo"]["captured_at_source"] == "name"


def test_a_card_whose_power_was_cut_gives_up_every_photo_that_was_stored_and_no_other(
    archive: Commands, home: Path, tmp_path: Path, pictures: list[str], morning: int
) -> None:
    image = fat.make(tmp_path / "card.img", 16, 6)
    base = image.read_bytes()
    card: Plan = {"image": str(image), "config": CONFIG, "log": str(tmp_path / "writes")}
    steps = [{"wake": 3}, RESET, {"wake": 3}]
    result = play_on_micropython({"card": card, "steps": steps, "pictures": pictures, "true_ms": morning}, tmp_path)
    writes = fat.writes(tmp_path / "writes")
    written = {entry["sha256"] for entry in result["stored"]}
    for cut in np.linspace(len(writes) // 4, len(writes), 8, dtype=int).tolist():
        root = tmp_path / f"cut-{cut}"
        fat.extract(fat.Image(base, dict(writes[:cut])), root)
        done = archive("ingest", root)
        assert done.code == 0, done.err
        known = stored(home)
        assert {entry["sha256"] for entry in result["stored"] if entry["writes"] <= cut} <= known.keys()
        assert known.keys() <= written
        assert {photo.condition for photo in known.values()} <= {"whole"}
    assert stored(home).keys() == written
    assert archive("check", "--data").code == 0
