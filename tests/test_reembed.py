"""Changing the pair in the background of normal use: a little at a time, and nothing is ever answered from both."""

from __future__ import annotations

import json
import os
import threading
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

import pytest

from archive import bootstrap, changeover, pace, parts, reembedding
from archive import settings as archive_settings
from archive.catalog.driver import connect_to_read
from archive.catalog.lock import BRIEFLY, LOCK_NAME, is_held, writer_lock
from archive.cli import share
from archive.errors import ArchiveBusy
from tests import coloured_photos
from tests.fakes import TurnedEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from archive.settings import Settings
    from archive.types import Pixels, Vectors
    from tests.commands import Commands

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PHOTOS = 12
CHOICE = ("--segmenter", "colours", "--embedder", "turned")


class Interrupting(TurnedEmbedder):
    """Does something in the middle of a turn, as other processes do."""

    at: ClassVar[int] = 3
    seen: ClassVar[int] = 0
    act: ClassVar[Callable[[], object]]

    def embed_images(self, crops: Sequence[Pixels]) -> Vectors:
        Interrupting.seen += 1
        if Interrupting.seen == Interrupting.at:
            Interrupting.act()
        return super().embed_images(crops)


@pytest.fixture(autouse=True)
def _all_in_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a turn may hold fewer photos, which is right and no test's affair."""
    monkeypatch.setattr(reembedding, "TURN_SECONDS", 600.0)
    monkeypatch.setattr(share, "LEAST_SECONDS", 600.0)
    monkeypatch.setattr(share, "MOST_SECONDS", 600.0)


@pytest.fixture
def filled(archive: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """An archive of twelve photos that another pair was chosen for."""
    monkeypatch.setitem(parts.EMBEDDERS, "turned", TurnedEmbedder)
    coloured_photos.day(tmp_path / "card", PHOTOS, NOON)
    assert archive("ingest", tmp_path / "card").code == 0
    assert archive("models", "use", *CHOICE).code == 0
    return archive


@pytest.fixture
def interrupting(filled: Commands, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], Commands]:
    """Has something done while the third photo is looked at."""

    def arm(act: Callable[[], object]) -> Commands:
        Interrupting.seen, Interrupting.act = 0, staticmethod(act)
        monkeypatch.setitem(parts.EMBEDDERS, "turned", Interrupting)
        return filled

    return arm


def answers(archive: Commands) -> tuple[str, dict[int, float]]:
    """The space that answers, and every photo with its score for red."""
    told = archive("query", "red", "--all", "--limit", 100, "--json").object
    return told["searched"]["space"], {hit["photo"]["id"]: hit["score"] for hit in told["hits"]}


def packs(settings: Settings, space: str) -> int:
    with closing(connect_to_read(settings.catalog)) as connection:
        query = "SELECT count(*) FROM packs k JOIN pairs p ON p.id = k.pair_id WHERE p.space = ?"
        return int(connection.execute(query, (space,)).fetchone()[0])


def test_it_goes_on_in_steps_and_ends_in_the_same_answers_from_the_new_pair(
    filled: Commands, settings: Settings
) -> None:
    before = answers(filled)
    first = filled("reembed", "--photos", 5, "--json").object
    assert (first["embedded"], first["pending"], first["answers"]) == (5, 7, False)
    assert first["seconds_left"] > 0
    assert answers(filled) == before
    second = filled("reembed", "--json").object
    assert (second["embedded"], second["pending"], second["switched"]) == (7, 0, True)
    space, scores = answers(filled)
    assert (before[0], space) == ("colours@1", "turned@1")
    assert scores == pytest.approx(before[1], abs=2e-3)
    assert packs(settings, "colours@1") == packs(settings, "turned@1") == PHOTOS
    assert filled("check", "--data").code == 0
    assert "nothing is left to do" in filled("reembed").out


def test_a_query_never_reads_a_vector_of_the_pair_that_is_not_ready(
    filled: Commands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red of the one space is green of the other: a mixture would rank the green photos first."""
    monkeypatch.setattr(archive_settings, "SEAL_AT", 6)
    before = answers(filled)
    for photos in (4, 4, 3):
        filled("reembed", "--photos", photos)
        assert answers(filled) == before
    assert filled("reembed").code == 0
    assert list((settings.shards / "2").iterdir()), "the new pair has shards before it answers"
    space, scores = answers(filled)
    assert space == "turned@1"
    assert scores == pytest.approx(before[1], abs=2e-3)


def test_the_switch_is_the_only_commit_that_changes_the_answering_pair(
    filled: Commands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever commit a crash comes after, an archive answers with a pair that has seen everything."""
    from archive.catalog.writer import Catalog

    states = []
    kept = Catalog._write

    def watched(catalog: Catalog) -> object:
        with closing(connect_to_read(settings.catalog)) as connection:
            pair = connection.execute("SELECT answering_pair FROM state").fetchone()[0]
            count = connection.execute("SELECT count(*) FROM packs WHERE pair_id = ?", (pair,)).fetchone()[0]
            states.append((pair, count))
        return kept(catalog)

    monkeypatch.setattr(Catalog, "_write", watched)
    filled("reembed")
    monkeypatch.undo()
    assert len(states) > PHOTOS
    assert {count for _, count in states} == {PHOTOS}
    with bootstrap.reading(settings) as reader:
        assert reader.answering() == reader.wanted()


def test_ctrl_c_keeps_what_was_seen_before_and_says_so(
    interrupting: Callable[[Callable[[], object]], Commands], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reembedding, "TURN_PHOTOS", 1)
    monkeypatch.setattr(changeover, "TURN_PHOTOS", 1)
    archive = interrupting(stop)
    stopped = archive("reembed")
    assert stopped.code == 130
    assert stopped.out.startswith("2 photos embedded with custom")
    assert packs(settings, "turned@1") == 2
    assert answers(archive)[0] == "colours@1"
    assert archive("reembed").out.startswith("10 photos embedded")


def test_a_photo_that_is_forgotten_while_it_is_looked_at_is_not_brought_back(
    interrupting: Callable[[Callable[[], object]], Commands], settings: Settings
) -> None:
    def forget() -> None:
        from archive import custody
        from archive.erasure import Which

        assert custody.forget(settings, custody.to_forget(settings, Which(["2"])), verify=True).residue == []

    archive = interrupting(forget)
    assert archive("reembed", "--json").object["switched"]
    assert packs(settings, "turned@1") == PHOTOS - 1
    assert answers(archive)[0] == "turned@1"
    assert 2 not in answers(archive)[1]
    assert archive("check", "--data").code == 0


def test_a_photo_that_comes_in_meanwhile_is_embedded_before_the_switch(
    interrupting: Callable[[Callable[[], object]], Commands], settings: Settings, tmp_path: Path
) -> None:
    extra = coloured_photos.write(tmp_path / "extra.jpg", {"yellow": (0, 0, 90, 90)}, NOON)

    def ingest() -> None:
        from archive import ingest, ingest_report

        with bootstrap.ingesting(settings, archive_settings.PairChoice()) as destination:
            ingest.ingest(extra, destination, ingest_report.Report(), changeover._Nobody())

    archive = interrupting(ingest)
    told = archive("reembed", "--json").object
    assert (told["embedded"], told["pending"], told["switched"]) == (PHOTOS + 1, 0, True)
    assert packs(settings, "colours@1") == packs(settings, "turned@1") == PHOTOS + 1


def test_another_choice_meanwhile_ends_the_work_of_the_old_one(
    interrupting: Callable[[Callable[[], object]], Commands], settings: Settings
) -> None:
    def choose() -> None:
        bootstrap.use_pair(settings, archive_settings.PairChoice("colours", "colours"))

    archive = interrupting(choose)
    done = archive("reembed")
    assert done.code == 3
    assert "another pair was chosen meanwhile" in done.err
    assert answers(archive)[0] == "colours@1"
    assert "nothing is left to do" in archive("reembed").out


def test_a_writer_is_never_kept_waiting_while_photos_are_looked_at(
    interrupting: Callable[[Callable[[], object]], Commands], settings: Settings
) -> None:
    def write() -> None:
        with writer_lock(settings.home):  # without patience
            pass

    assert interrupting(write)("reembed", "--json").object["switched"]


def test_what_was_taught_is_known_to_the_new_pair_before_it_answers(filled: Commands, tmp_path: Path) -> None:
    picture = coloured_photos.write(tmp_path / "keys.jpg", {"blue": (100, 100, 160, 150)})
    assert filled("teach", "my keys", f"{picture}@100,100,160,150").code == 0
    before = filled("query", "my keys", "--json").object
    filled("reembed", "--photos", PHOTOS - 1)
    assert filled("query", "my keys", "--json").object["hits"] == before["hits"]
    assert filled("reembed", "--json").object["switched"]
    after = filled("query", "my keys", "--json").object
    assert after["searched"]["space"] == "turned@1"
    assert [hit["photo"]["id"] for hit in after["hits"]] == [hit["photo"]["id"] for hit in before["hits"]]


def test_originals_that_cannot_be_read_are_named_once_and_do_not_stop_it_for_ever(filled: Commands, home: Path) -> None:
    sorted((home / "originals").rglob("*.jpg"))[0].unlink()
    done = filled("reembed")
    assert done.code == 1
    assert done.err.count("not embedded: photo") == 1
    assert answers(filled)[0] == "turned@1"


def test_where_many_originals_cannot_be_read_the_old_pair_goes_on_answering(filled: Commands, home: Path) -> None:
    for path in sorted((home / "originals").rglob("*.jpg"))[:3]:
        path.unlink()
    assert filled("reembed").code == 1
    assert answers(filled)[0] == "colours@1"


def test_an_ingest_goes_on_with_a_share_of_it_and_says_so_in_one_line(filled: Commands, tmp_path: Path) -> None:
    extra = coloured_photos.write(tmp_path / "extra.jpg", {"yellow": (0, 0, 90, 90)}, NOON)
    done = filled("ingest", extra)
    assert done.code == 0
    said = [line for line in done.err.splitlines() if "re-embedding" in line]
    done_all = "13 photos embedded with custom; it has seen all that can be read and answers from now on"
    assert said == [f"meanwhile re-embedding: {done_all}"]
    assert answers(filled)[0] == "turned@1"


def test_an_ingest_leaves_it_where_that_is_asked_for_and_where_nothing_came_in(
    filled: Commands, tmp_path: Path, settings: Settings
) -> None:
    extra = coloured_photos.write(tmp_path / "extra.jpg", {"yellow": (0, 0, 90, 90)}, NOON)
    assert "re-embedding" not in filled("ingest", extra, "--no-reembed").err
    assert "re-embedding" not in filled("ingest", extra).err
    assert packs(settings, "turned@1") == 0


def test_ctrl_c_in_an_ingests_share_takes_nothing_back(
    interrupting: Callable[[Callable[[], object]], Commands], tmp_path: Path
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    archive = interrupting(stop)
    extra = coloured_photos.write(tmp_path / "extra.jpg", {"yellow": (0, 0, 90, 90)}, NOON)
    done = archive("ingest", extra)
    assert done.code == 0
    assert "1 new" in done.out
    assert "all photos are in" in done.err


def test_status_says_how_far_it_is_and_how_long_it_takes(filled: Commands, settings: Settings) -> None:
    assert "12 photos to embed with custom: archive reembed" in filled("status").out
    filled("reembed", "--photos", 6)
    words = filled("status").out
    assert "6 photos to embed" in words
    assert "segments outside are searched one by one" in words.partition("wanted")[0]
    assert "one by one" not in words.partition("wanted")[2]
    assert "segments not in it yet" in words.partition("wanted")[2]
    path = settings.home / pace.NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": 30.0}))  # tenths of a second are told
    told = filled("status", "--json").object["reembedding"]
    assert told["pending"] == 6
    assert told["seconds_left"] == pytest.approx(6 / told["photos_per_second"], rel=0.1)
    assert told["going_on"]
    assert told["done_at"] is not None
    assert "being done now" in filled("status").out
    path.write_text(json.dumps({**json.loads(path.read_text()), "at": 0.0}))
    assert "some of it is done after each ingest" in filled("status").out
    assert "6 photos wait to be observed by custom; run: archive reembed" in filled("check").out


def test_a_pace_that_makes_no_sense_is_no_pace(settings: Settings, home: Path) -> None:
    home.mkdir()
    pace.note(home, 1, 10, 2.0)
    pace.note(home, 1, 10, 3.0)
    known = pace.read(home)
    assert known is not None
    assert known.photos_per_second == pytest.approx(19 / 4.8)
    assert (home / pace.NAME).stat().st_mode & 0o777 == 0o600
    pace.note(home, 2, 4, 4.0)
    of_the_other = pace.read(home)
    assert of_the_other is not None
    assert of_the_other.photos_per_second == 1.0
    (home / pace.NAME).write_text("half a fi")
    assert pace.read(home) is None


def test_a_backup_of_a_half_re_embedded_archive_goes_on_where_it_was(
    filled: Commands, tmp_path: Path, home: Path
) -> None:
    filled("reembed", "--photos", 5)
    before = answers(filled)
    assert filled("backup", tmp_path / "disk").code == 0
    there = ("--home", tmp_path / "other")
    assert filled("restore", tmp_path / "disk", *there).code == 0
    assert filled("check", "--data", *there).code == 0
    restored = filled("query", "red", "--all", "--limit", 100, "--json", *there).object
    assert {hit["photo"]["id"]: hit["score"] for hit in restored["hits"]} == before[1]
    told = filled("reembed", "--json", *there).object
    assert (told["embedded"], told["switched"]) == (PHOTOS - 5, True)


def test_forgetting_takes_a_photo_out_of_both_pairs(
    filled: Commands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_settings, "SEAL_AT", 4)
    filled("reembed", "--photos", 6)
    done = filled("forget", 2, 9, "--yes", "--verify", "--json").object
    assert done["verified"]["residue"] == []
    assert (packs(settings, "colours@1"), packs(settings, "turned@1")) == (10, 5)
    assert filled("reembed", "--json").object["embedded"] == 5
    assert filled("check", "--data").code == 0


def test_the_old_pair_is_dropped_only_when_asked_and_its_space_on_the_disk_comes_back(
    filled: Commands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_settings, "SEAL_AT", 4)
    filled("reindex")
    assert packs(settings, "colours@1") == PHOTOS
    before = answers(filled)
    told = filled("reembed", "--drop-old", "--json").object["dropped"]
    assert (told["pairs"], told["photos"]) == (1, PHOTOS)
    assert told["bytes"] > 0
    assert packs(settings, "colours@1") == 0
    assert not (settings.shards / "1").exists()
    assert answers(filled) == before
    assert filled("check", "--data").code == 0
    assert "nothing was dropped" in filled("reembed", "--drop-old").out


def test_what_a_dropped_pair_left_in_the_index_goes_with_the_next_drop_or_erasure(
    filled: Commands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an older version left it that was stopped between the pair's last row and its folder."""
    filled("reembed", "--drop-old")
    for command in (("reembed", "--drop-old"), ("forget", 2, "--yes")):
        left = settings.shards / "1"
        left.mkdir(parents=True)
        (left / "a.shard").write_bytes(b"vectors")
        (settings.shards / "notes").mkdir(exist_ok=True)
        assert filled(*command).code == 0
        assert not left.exists()
        assert (settings.shards / "notes").exists()


def test_a_drop_that_is_cut_off_leaves_no_index_without_its_pair(
    filled: Commands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from archive.catalog.writer import Catalog

    monkeypatch.setattr(archive_settings, "SEAL_AT", 4)
    filled("reindex")
    filled("models", "use", "--segmenter", "colours", "--embedder", "colours")
    filled("models", "use", *CHOICE)
    there = []

    def cut_off(_catalog: Catalog, pair_id: int, _most: int) -> int:
        there.append((settings.shards / str(pair_id)).exists())
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "drop_pair", cut_off)
        assert filled("reembed", "--drop-old").code == 130
    assert there == [False]
    assert packs(settings, "colours@1") == PHOTOS
    assert filled("reembed", "--drop-old", "--json").object["dropped"]["pairs"] == 1


def test_neither_the_pair_that_answers_nor_the_chosen_one_is_ever_dropped(filled: Commands, settings: Settings) -> None:
    filled("reembed", "--photos", 5, "--drop-old")
    assert (packs(settings, "colours@1"), packs(settings, "turned@1")) == (PHOTOS, 5)
    assert answers(filled)[0] == "colours@1"


def test_going_back_to_the_pair_before_takes_no_time_while_it_is_kept(filled: Commands) -> None:
    before = answers(filled)
    filled("reembed")
    assert "wait" not in filled("models", "use", "--segmenter", "colours", "--embedder", "colours").out
    assert answers(filled) == before


def test_two_do_not_look_at_the_same_photos(
    filled: Commands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changeover, "PATIENCE", 0.0)
    with writer_lock(settings.home, name=changeover.LOCK_NAME):
        assert filled("reembed").code == 75


def test_it_waits_for_another_writer_and_tells_that_it_does(
    filled: Commands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed = threading.Event()
    held = writer_lock(settings.home)
    held.__enter__()

    def free(_seconds: float) -> None:
        freed.set()
        held.__exit__(None, None, None)

    monkeypatch.setattr(changeover, "sleep", free)
    done = filled("reembed")
    assert freed.is_set()
    assert "waiting for it" in done.err
    assert done.out.startswith("12 photos embedded")


def test_one_that_holds_the_lock_briefly_is_waited_for_but_not_by_a_query(home: Path) -> None:
    with writer_lock(home, briefly=True):
        assert (home / LOCK_NAME).read_text() == f"{os.getpid()} {BRIEFLY}"
        assert not is_held(home)
        with pytest.raises(ArchiveBusy, match=f"process {os.getpid()} is writing"), writer_lock(home):
            pass
    with writer_lock(home):
        assert is_held(home)
    assert not is_held(home)


@pytest.mark.parametrize("words", [("--for", "soon"), ("--for", "0m"), ("--photos", "0")])
def test_a_bound_that_is_none_is_wrong_usage(filled: Commands, words: tuple[str, str]) -> None:
    assert filled("reembed", *words).code == 2


def test_an_empty_archive_says_what_to_do_first(archive: Commands, home: Path) -> None:
    done = archive("reembed")
    assert done.code == 3
    assert "archive ingest" in done.err


def test_turns_are_made_one_for_each_word(filled: Commands, settings: Settings) -> None:
    said: list[str] = []
    changeover.serve_turns(settings, iter(["\n", "\n"]), said.append)
    assert said == ["done", "done"]
    assert answers(filled)[0] == "turned@1"


def test_a_turn_gives_way_to_a_writer(filled: Commands, settings: Settings) -> None:
    said: list[str] = []
    with writer_lock(settings.home):
        changeover.serve_turns(settings, iter(["\n"]), said.append)
    assert said == ["busy"]
