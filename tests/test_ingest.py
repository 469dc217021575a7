"""Ingest through the command line: photos in, once, whatever else lies on the card."""

from __future__ import annotations

import shutil
import signal
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from archive import parts, room, settings
from archive.arrivals import Arrival, Arrivals
from archive.catalog.lock import writer_lock
from archive.originals import Originals
from archive.photos.reading import digest_of
from tests import coloured_photos
from tests.commands import heed_ctrl_c
from tests.fakes import ColourSegmenter
from tests.paths import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from archive.types import Pixels, Region
    from tests.commands import Commands

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A card with six photos, a minute apart."""
    folder = tmp_path / "card"
    coloured_photos.day(folder / "DCIM", 6, NOON)
    return folder


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder, with its bytes and time of change."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_every_photo_is_in_and_the_summary_counts_them(archive: Commands, card: Path) -> None:
    done = archive("ingest", card)
    assert done.code == 0
    assert done.out.startswith("6 new, 0 known, 0 unreadable of 6 files")


def test_a_second_run_does_nothing_and_says_so(archive: Commands, card: Path, home: Path) -> None:
    archive("ingest", card)
    before = archive("status", "--json").object
    again = archive("ingest", card)
    assert again.code == 0
    assert again.out.startswith("0 new, 6 known, 0 unreadable of 6 files")
    assert "nothing was done" in again.err
    assert archive("status", "--json").object == before


def test_the_card_is_left_exactly_as_it_was(archive: Commands, card: Path) -> None:
    before = snapshot(card)
    archive("ingest", card)
    assert snapshot(card) == before


def test_a_renamed_copy_is_the_same_photo_found_in_another_place(archive: Commands, card: Path) -> None:
    archive("ingest", card)
    copy = card / "DCIM" / "copy of a photo.jpg"
    copy.write_bytes((card / "DCIM" / "IMG_0000.jpg").read_bytes())
    assert archive("ingest", card).out.startswith("0 new, 7 known")
    status = archive("status", "--json").object
    assert (status["photos"], status["sources"]) == (6, 7)


def test_bad_files_are_named_counted_and_never_end_the_run(archive: Commands, card: Path) -> None:
    (card / "DCIM" / "IMG_0001a.jpg").write_bytes(b"")
    (card / "DCIM" / "IMG_0001b\n\x1b[2J.jpg").write_bytes(b"no picture")
    done = archive("ingest", card)
    assert done.code == 1
    assert done.out.startswith("6 new, 0 known, 2 unreadable of 8 files")
    lines = [line for line in done.err.splitlines() if line.startswith("unreadable: ")]
    assert len(lines) == 2
    assert "\x1b" not in done.err


def test_json_reports_the_same_counts(archive: Commands, card: Path) -> None:
    (card / "bad.jpg").write_bytes(b"no picture")
    report = archive("ingest", card, "--json").object
    assert (report["new"], report["known"], report["dry_run"]) == (6, 0, False)
    assert [bad["path"].rpartition("/")[2] for bad in report["unreadable"]] == ["bad.jpg"]


def test_a_dry_run_tells_and_writes_nothing(archive: Commands, card: Path, home: Path) -> None:
    told = archive("ingest", card, "--dry-run")
    assert (told.code, told.out[:19]) == (0, "6 would be new, 0 k")
    assert not home.exists()
    archive("ingest", card)
    assert archive("ingest", card, "--dry-run").out.startswith("0 would be new, 6 known")


def test_single_files_and_several_sources_are_taken(archive: Commands, card: Path, tmp_path: Path) -> None:
    other = coloured_photos.write(tmp_path / "other.jpg", {"red": (0, 0, 50, 50)}, NOON)
    done = archive("ingest", card / "DCIM" / "IMG_0003.jpg", other)
    assert done.out.startswith("2 new")


def test_a_source_that_is_not_there_is_wrong_usage(archive: Commands, tmp_path: Path) -> None:
    done = archive("ingest", tmp_path / "nowhere")
    assert done.code == 2
    assert "cannot be read: No such file" in done.err


def test_weights_that_are_not_on_disk_are_named_with_the_command_that_fetches_them(
    archive: Commands, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARCHIVE_EMBEDDER")
    done = archive("ingest", card, "--segmenter", "grid", "--embedder", "standard")
    assert done.code == 3
    assert done.err.count("\n") == 1
    assert "archive models pull standard" in done.err


def test_everything_in_the_home_is_the_owner_s_alone(archive: Commands, card: Path, home: Path) -> None:
    archive("ingest", card)
    for path in [home, *home.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o077 == 0, f"{path} has mode {mode:o}"


def test_originals_are_the_bytes_of_the_card(archive: Commands, card: Path, home: Path) -> None:
    archive("ingest", card)
    kept = sorted(path.read_bytes() for path in (home / "originals").rglob("*.jpg"))
    assert kept == sorted(path.read_bytes() for path in (card / "DCIM").iterdir())


def test_an_original_without_a_row_is_adopted(archive: Commands, card: Path, home: Path) -> None:
    archive("ingest", card / "DCIM" / "IMG_0000.jpg")
    content = (card / "DCIM" / "IMG_0001.jpg").read_bytes()
    Originals(home / "originals").put(content, digest_of(content), ".jpg", None)
    assert "left by an interrupted run" in archive("check").out
    assert archive("ingest").out.startswith("1 new")
    assert archive("check").out.startswith("the archive is whole")


def test_a_photo_adopted_without_its_card_keeps_its_name_and_the_time_that_the_name_tells(
    archive: Commands, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = tmp_path / "card"
    coloured_photos.write(card / "DCIM" / "20260102_030405.jpg", {"red": (0, 0, 50, 50)})
    with monkeypatch.context() as killed:
        killed.setattr("archive.catalog.writer.Catalog.add_photo", stop)
        assert archive("ingest", card).code == 130
    card.rename(tmp_path / "pulled")
    assert archive("ingest").out.startswith("1 new")
    (hit,) = archive("query", "red", "--all", "--json").object["hits"]
    assert (hit["photo"]["name"], hit["photo"]["captured_at_source"]) == ("20260102_030405.jpg", "name")
    assert not (home / "arrivals").exists()


def stop(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_the_names_of_a_run_are_kept_while_a_photo_of_it_waits_for_its_row(
    archive: Commands, card: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr("archive.catalog.writer.Catalog.add_photo", stop)
        assert archive("ingest", card).code == 130
    other = coloured_photos.write(tmp_path / "other.jpg", {"red": (0, 0, 50, 50)}, NOON)
    assert archive("ingest", other).code == 0
    waiting = Arrivals(home / "arrivals").all()
    assert [arrival.path for arrival in waiting.values()] == [b"DCIM/IMG_0000.jpg"]
    assert archive("ingest").out.startswith("1 new")
    assert not (home / "arrivals").exists()


def test_half_a_line_that_a_power_cut_left_hides_no_other_name(tmp_path: Path) -> None:
    arrivals = Arrivals(tmp_path / "arrivals")
    arrivals.note(Arrival("aa", b"\xff.jpg", 1.5))
    with (tmp_path / "arrivals").open("ab") as file:
        file.write(b'["bb", "2e6a')
    arrivals.note(Arrival("cc", b"DCIM/c.jpg", None))
    assert arrivals.all() == {"aa": Arrival("aa", b"\xff.jpg", 1.5), "cc": Arrival("cc", b"DCIM/c.jpg", None)}


def test_a_stray_file_under_a_digest_that_is_not_its_own_is_named_and_not_taken_in(
    archive: Commands, card: Path, home: Path
) -> None:
    archive("ingest", card)
    stray = home / "originals" / "ab" / f"{'ab' * 32}.jpg"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes((card / "DCIM" / "IMG_0001.jpg").read_bytes())
    checked = archive("check")
    assert checked.code == 3
    assert "is not the photo that its name says" in checked.out
    done = archive("ingest")
    assert (done.code, done.out[:5]) == (1, "0 new")
    assert "archive repair" in done.err


def test_a_second_writer_is_told_that_the_archive_is_busy(archive: Commands, card: Path, home: Path) -> None:
    home.mkdir(mode=0o700)
    with writer_lock(home):
        done = archive("ingest", card)
    assert done.code == 75


def test_other_parts_than_the_archive_has_are_refused(archive: Commands, card: Path) -> None:
    archive("ingest", card)
    done = archive("ingest", card, "--segmenter", "grid")
    assert done.code == 2
    assert "archive models use" in done.err


def coloured_ingest(card: Path, *, tracer: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """The real command in a process of its own."""
    command = [*tracer, sys.executable, "-m", "tests.coloured_archive", "ingest", str(card)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=CHECKOUT, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed_ctrl_c)


def test_ctrl_c_keeps_what_was_done_and_the_next_run_goes_on(archive: Commands, tmp_path: Path, home: Path) -> None:
    card = tmp_path / "long"
    coloured_photos.day(card, 150, NOON)
    process = coloured_ingest(card)
    while not list((home / "originals").rglob("*.jpg")):
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "running it again goes on" in err
    assert archive("check").code == 0
    done = int(out.split(" new")[0]) if out else 0
    assert done < 150
    again = archive("ingest", card)
    assert again.code == 0
    assert archive("status", "--json").object["photos"] == 150


def test_a_card_that_goes_away_ends_the_run_with_its_own_code(
    archive: Commands, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PullsTheCard(ColourSegmenter):
        def segment(self, pixels: Pixels) -> list[Region]:
            if card.exists():
                card.rename(card.with_name("pulled"))
            return super().segment(pixels)

    with monkeypatch.context() as pulled:
        pulled.setitem(parts.SEGMENTERS, "colours", PullsTheCard)
        done = archive("ingest", card)
    assert done.code == 4
    assert "run the same command again" in done.err
    kept = int(done.out.split(" new")[0])
    assert 1 <= kept < 6
    card.with_name("pulled").rename(card)
    assert archive("ingest", card).out.startswith(f"{6 - kept} new, {kept} known")


def test_an_original_that_went_missing_is_restored_from_the_card(archive: Commands, card: Path, home: Path) -> None:
    archive("ingest", card)
    lost, cut, *_ = sorted((home / "originals").rglob("*.jpg"))
    lost.unlink()
    cut.chmod(0o600)
    cut.write_bytes(cut.read_bytes()[:100])
    assert archive("check").code == 3
    assert archive("ingest", card).out.startswith("0 new, 6 known")
    assert archive("check", "--data").code == 0


def test_a_mistyped_source_ends_the_run_before_anything_is_begun(archive: Commands, card: Path, home: Path) -> None:
    done = archive("ingest", card, card / "typo")
    assert done.code == 2
    assert not home.exists()


def test_a_folder_named_like_a_part_is_not_taken_for_it(
    archive: Commands, card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere" / "colours").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert archive("ingest", card).code == 0
    assert archive("query", "red").code == 0


def test_photos_that_cannot_fit_are_refused_before_the_first_is_copied(
    archive: Commands, card: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free(number: int) -> None:
        usage = shutil.disk_usage(card)._replace(free=number)
        monkeypatch.setattr("archive.room.shutil.disk_usage", lambda _folder: usage)

    free(room.RESERVE + 5 * room.BESIDES)
    done = archive("ingest", card)
    assert done.code == 3
    assert "6 photos need about" in done.err
    assert not list((home / "originals").rglob("*.jpg"))
    free(room.RESERVE + 7 * room.BESIDES)
    assert archive("ingest", card).code == 0
    free(0)
    assert archive("ingest", card).out.startswith("0 new, 6 known")


def test_an_index_that_cannot_be_written_keeps_every_photo(
    archive: Commands, card: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SEAL_AT", 4)
    home.mkdir(mode=0o700)
    (home / "index").touch()
    done = archive("ingest", card)
    assert done.code == 3
    assert "archive reindex" in done.err
    assert archive("query", "red").code == 0
    (home / "index").unlink()
    assert archive("reindex").out.endswith("1 shards written\n")
    assert archive("check").code == 0
