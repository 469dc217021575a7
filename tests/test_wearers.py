"""Several people's photos in one archive: each command, and the page, is about those of the wearers it names."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archive import changeover, configuration, parts
from archive.cli import share
from archive.web.library import Library
from tests import coloured_photos
from tests.fakes import TurnedEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable

    from archive.catalog.postgres import Postgres
    from archive.settings import Settings
    from tests.commands import Commands, Outcome

MORNING = datetime(2026, 11, 20, 8, tzinfo=UTC)
SQUARE = (40, 60, 120, 130)


@dataclass(frozen=True)
class Shared:
    """The command line over an archive of two wearers, and the digests of the photos of each."""

    archive: Commands
    settings: Settings
    digests: dict[str, set[str]]
    options: tuple[str, ...]

    def __call__(self, *arguments: object) -> Outcome:
        return self.archive(*arguments, *self.options)

    def ids(self, name: str) -> list[int]:
        photos = self("query", "red", "--all", "--json", "--limit", 99, "--wearer", name).object["hits"]
        return [hit["photo"]["id"] for hit in photos]


def card(folder: Path, first: int, colour: str) -> set[str]:
    """Eight photos, four of which show a square of that colour and one a red one; their digests."""
    for number in range(first, first + 8):
        squares = {colour: SQUARE} if number % 2 else {"red": SQUARE} if number == first else {}
        dot = {"white": (number * 3, 0, number * 3 + 2, 2)}
        coloured_photos.write(folder / f"{number}.jpg", squares | dot, MORNING + timedelta(minutes=number))
    return {sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.cluster)])
def shared(request: pytest.FixtureRequest, archive: Commands, settings: Settings, tmp_path: Path) -> Shared:
    """Anna has blue things and Ben has green ones, each has one red thing, and one file belongs to both."""
    options: tuple[str, ...] = ()
    if request.param == "postgres":
        database: Callable[[], Postgres] = request.getfixturevalue("database")
        config = tmp_path / "cluster.toml"
        config.write_text(f"metadata = {json.dumps(database().url)}\n")
        options = ("--config", str(config))
        settings = settings._replace(cluster=configuration.read(config))
    both = coloured_photos.write(tmp_path / "both.jpg", {"yellow": SQUARE}, MORNING)
    digests = {"anna": card(tmp_path / "anna", 10, "blue"), "ben": card(tmp_path / "ben", 30, "green")}
    for name, owned in digests.items():
        assert archive("ingest", tmp_path / name, both, "--wearer", name, *options).code == 0
        owned.add(sha256(both.read_bytes()).hexdigest())
    return Shared(archive, settings, digests, options)


def digests_in(told: object) -> set[str]:
    """Every sha256 that stands anywhere in an object."""
    if isinstance(told, dict):
        return set().union(*map(digests_in, told.values()), digests_in(list(told)))
    if isinstance(told, list):
        return set().union(*map(digests_in, told))
    return {told} if isinstance(told, str) and len(told) == 64 else set()


@pytest.mark.parametrize(
    "asked",
    [
        ("green",),
        ("red", "--all", "--limit", "99"),
        ("red", "--limit", "99", "--sort", "newest"),
        ("green", "--after", "2026-11-20T08:00Z", "--before", "2026-11-21", "--all"),
        ("--like", "ben/31.jpg@40,60,120,130", "--all"),
        ("green", "--not", "blue", "--all"),
        ("keys", "--all"),
    ],
    ids=" ".join,
)
def test_no_query_shows_another_wearers_photo(
    shared: Shared, asked: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shared("teach", "keys", tmp_path / "ben" / "31.jpg@40,60,120,130", "--wearer", "ben").code == 0
    answer = shared("query", *asked, "--json", "--wearer", "anna").object
    shown = digests_in(answer)
    assert shown <= shared.digests["anna"]
    assert "--all" not in asked or shown
    assert answer["searched"]["photos"] <= 9
    assert answer["taught"] == []


def test_the_first_card_of_a_wearer_can_be_rehearsed(shared: Shared, tmp_path: Path) -> None:
    told = shared("ingest", tmp_path / "anna", "--dry-run", "--json", "--wearer", "carl")
    assert (told.code, told.object["new"]) == (0, 8)
    refused = shared("query", "red", "--wearer", "carl")
    assert (refused.code, "archive ingest FOLDER --wearer carl" in refused.err) == (2, True)


def test_both_may_be_seen_where_both_are_named(shared: Shared) -> None:
    answer = shared("query", "red", "--all", "--limit", 99, "--json", "--wearer", "anna", "--wearer", "ben").object
    assert digests_in(answer) == shared.digests["anna"] | shared.digests["ben"]
    assert answer["searched"]["photos"] == 18


def test_a_hit_of_another_wearers_answer_cannot_be_pointed_at(shared: Shared) -> None:
    assert shared("query", "green", "--wearer", "ben").code == 0
    pointed = shared("query", "--like-hit", "1", "--wearer", "anna")
    assert pointed.code == 2
    assert "no longer in the archive" in pointed.err
    assert shared("teach", "mine", "--hit", "1", "--wearer", "anna").code == 2


def test_what_one_taught_another_neither_sees_nor_forgets(shared: Shared, tmp_path: Path) -> None:
    shared("teach", "keys", tmp_path / "ben" / "31.jpg", "--wearer", "ben")
    assert shared("teach", "list", "--json", "--wearer", "anna").object == {"things": []}
    assert shared("teach", "show", "keys", "--wearer", "anna").code == 2
    assert shared("teach", "remove", "keys", "--wearer", "anna").code == 2
    assert shared("teach", "keys", tmp_path / "anna" / "11.jpg", "--wearer", "anna").out.startswith("keys: 1 picture;")
    assert len(shared("teach", "list", "--json", "--wearer", "ben").object["things"]) == 1


def test_the_status_counts_ones_own_photos(shared: Shared) -> None:
    assert shared("status", "--json", "--wearer", "ben").object["photos"] == 9


def test_another_wearers_photos_cannot_be_forgotten(shared: Shared) -> None:
    (theirs, *_) = shared.ids("ben")
    refused = shared("forget", theirs, "--yes", "--wearer", "anna")
    assert refused.code == 2
    assert "there is no photo" in refused.err
    assert shared("forget", "--after", "2026-11-20", "--yes", "--wearer", "anna").code == 0
    assert len(shared.ids("ben")) == 9


def test_a_file_that_two_have_stays_when_one_forgets_it(shared: Shared, tmp_path: Path) -> None:
    digest = sha256((tmp_path / "both.jpg").read_bytes()).hexdigest()
    shared("forget", digest, "--yes", "--wearer", "anna")
    assert shared("check", "--data").code == 0
    hits = shared("query", "yellow", "--json", "--wearer", "ben").object["hits"]
    assert hits[0]["photo"]["digest"] == digest
    told = shared("forget", digest, "--yes", "--wearer", "ben")
    assert told.code == 0, told.err
    assert list((shared.settings.originals / digest[:2]).glob(f"{digest}*")) == []
    again = shared("ingest", tmp_path / "both.jpg", "--json", "--wearer", "anna").object
    assert (again["new"], again["forgotten"]) == (0, 1)


def test_nothing_is_searched_for_of_a_file_that_another_has_too(shared: Shared, tmp_path: Path) -> None:
    digest = sha256((tmp_path / "both.jpg").read_bytes()).hexdigest()
    for name in ("anna", "ben"):
        done = shared("forget", digest, "--yes", "--verify", "--json", "--wearer", name)
        assert (done.code, done.object["verified"]["residue"]) == (0, []), done.err


def test_a_residue_of_a_file_that_nobody_has_any_more_is_found(shared: Shared, tmp_path: Path) -> None:
    digest = sha256((tmp_path / "both.jpg").read_bytes()).hexdigest()
    (shared.settings.home / "copy.bin").write_bytes(bytes.fromhex(digest))
    assert shared("forget", digest, "--yes", "--verify", "--wearer", "anna").code == 0
    assert shared("forget", digest, "--yes", "--verify", "--wearer", "ben").code == 3


def test_a_backup_keeps_no_original_that_a_wearer_forgot(shared: Shared, tmp_path: Path) -> None:
    if shared.options:
        pytest.skip("a server is backed up by its own tools")
    kept = tmp_path / "disk"
    assert shared("backup", kept).code == 0
    photo = shared("query", "red", "--all", "--json", "--wearer", "anna").object["hits"][0]["photo"]
    assert shared("forget", photo["id"], "--yes", "--wearer", "anna").code == 0
    assert shared("backup", kept, "--json").object["erased"] == 1
    assert not [path for path in kept.rglob("*") if photo["digest"] in path.name]


def test_what_one_forgot_another_is_still_told_would_be_new(shared: Shared, tmp_path: Path) -> None:
    if shared.options:
        pytest.skip("there, somebody must be named")
    (photo, *_) = shared.ids("anna")
    assert shared("forget", photo, "--yes", "--wearer", "anna").code == 0
    for words in (["--dry-run"], []):
        told = shared("ingest", tmp_path / "anna", "--json", *words).object
        assert told["forgotten"] == 0


def test_the_page_and_the_api_show_the_photos_of_the_wearer_that_is_served(shared: Shared) -> None:
    theirs = shared.ids("ben")
    library = Library(shared.settings._replace(wearers=("anna",)))
    page = library.page(None, 99)
    assert {photo.digest for photo in page.photos} == shared.digests["anna"]
    assert library.summary()[0].photos == 9
    for photo in theirs:
        assert library.photo(photo) is None
        assert library.thumbnail(photo) is None
        assert library.view(photo) is None
        assert library.segments(photo) == []
        assert library.marks(photo) == []
    (around, *_) = page.photos
    near = library.around(around, 99)
    assert {photo.digest for photo in (*near.before, *near.after)} <= shared.digests["anna"]


@pytest.mark.cluster
def test_where_many_peoples_photos_are_somebody_must_be_named(
    archive: Commands, database: Callable[[], Postgres], tmp_path: Path
) -> None:
    config = tmp_path / "cluster.toml"
    config.write_text(f"metadata = {json.dumps(database().url)}\n")
    coloured_photos.day(tmp_path / "card", 2, MORNING)
    for command in (("query", "red"), ("ingest", tmp_path / "card"), ("status",), ("forget", "1", "--yes")):
        told = archive(*command, "--config", config)
        assert told.code == 2
        assert "nobody is named whose photos are meant" in told.err
    config.write_text(f'metadata = {json.dumps(database().url)}\nwearer = "anna"\nallowed = ["anna"]\n')
    assert archive("ingest", tmp_path / "card", "--config", config).code == 0
    assert archive("query", "red", "--config", config).code in {0, 1}
    forbidden = archive("query", "red", "--wearer", "ben", "--config", config)
    assert forbidden.code == 2
    assert "does not allow the wearer 'ben'" in forbidden.err


@pytest.mark.parametrize("named", [True, False])
def test_the_pair_is_changed_for_everybody_whoever_is_named(
    shared: Shared, named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(parts.EMBEDDERS, "turned", TurnedEmbedder)
    if named:
        config = tmp_path / "annas.toml"
        kept = Path(shared.options[1]).read_text() if shared.options else ""
        config.write_text(f'{kept}wearer = "anna"\n')
        shared = replace(shared, options=("--config", str(config)))
    assert shared("models", "use", "--segmenter", "colours", "--embedder", "turned").code == 0
    assert changeover.is_waiting(shared.settings)
    told = shared("reembed", "--drop-old", "--json")
    assert told.code == 0, told.err
    assert (told.object["embedded"], told.object["switched"]) == (18, True)
    assert (told.object["dropped"]["pairs"], told.object["dropped"]["photos"]) == (1, 18)
    assert not changeover.is_waiting(shared.settings)
    assert shared("query", "red", "--json", "--wearer", "ben").object["searched"]["space"] == "turned@1"
    assert shared("check").code == 0


def test_an_ingest_of_one_wearer_goes_on_with_everybodys_re_embedding(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(parts.EMBEDDERS, "turned", TurnedEmbedder)
    monkeypatch.setattr(share, "LEAST_SECONDS", 600.0)
    assert shared("models", "use", "--segmenter", "colours", "--embedder", "turned").code == 0
    extra = coloured_photos.write(tmp_path / "extra.jpg", {"red": SQUARE}, MORNING)
    done = shared("ingest", extra, "--wearer", "anna")
    assert "19 photos embedded with custom; it has seen all" in done.err
