"""The commands that change an archive, each with what it needs to begin and what must be so after a fault in it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from archive.photos.reading import digest_of
from tests import coloured_photos
from tests.fakes import COLOURS, ColourEmbedder
from tests.faults.oracle import belongings, differences, expected, leftovers, not_whole, remains, unsound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from tests.commands import Outcome, Run

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PHOTOS = 5
SEAL_AT = 6
"""Vectors that make a shard: a few photos'."""


SIZE = (128, 96)
"""Of a photo: as few pixels as show a square, since a sweep sees each photo some thousand times."""

ERASING = ("forget", "backup more")
"""Operations after which nothing may be left of the first photo."""


class OtherEmbedder(ColourEmbedder):
    """The same vectors in a space of another name, to change to."""

    space = "colours@2"


@dataclass
class Place:
    """A prepared archive of its own: its home, the card, a folder for copies, and the photos of the card."""

    folder: Path
    photos: list[Path] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def card(self) -> Path:
        return self.folder / "card"

    @property
    def backup(self) -> Path:
        return self.folder / "disk"

    @property
    def restored(self) -> Path:
        return self.folder / "restored"


@dataclass(frozen=True)
class Told:
    """What a command had told before a fault ended it: digests that it kept and erased, by the catalog's own word.

    `code` is None where it was killed.
    """

    code: int | None = None
    words: str = ""
    kept: frozenset[str] = frozenset()
    erased: frozenset[str] = frozenset()


class Verdict(NamedTuple):
    """What is wrong after a fault, and what is once the operation was done again."""

    after: list[str]
    again: list[str]


class Operation(Protocol):
    """Something that is done to an archive."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    def prepare(self, run: Run, folder: Path) -> None:
        """Make the folder as it is before."""

    def act(self, run: Run, place: Place) -> Outcome:
        """Do it."""

    def judge(self, run: Run, place: Place, told: Told, *, ask_first: bool) -> Verdict:
        """Everything that is wrong after a fault, and after it was done again.

        Asking writes to the archive, too; where it is not to come before the next run, a copy is asked.
        """


Bounds = tuple[dict[str, float], dict[str, float], dict[str, float]]


@dataclass(frozen=True)
class Command:
    """A command of the archive. `bounds`: what must be found after a fault, what may be, and what must be at last."""

    name: str
    words: Callable[[Place], Sequence[object]]
    begin: Callable[[Run, Place], None]
    bounds: Callable[[dict[str, float]], Bounds]
    photos: int = PHOTOS

    def prepare(self, run: Run, folder: Path) -> None:
        """Make the card, and the archive that is there before."""
        make_card(folder / "card", range(self.photos))
        self.begin(run, Place(folder))

    def act(self, run: Run, place: Place) -> Outcome:
        """Run it, over the place's own archive."""
        return run(*self.words(place))

    def judge(self, run: Run, place: Place, told: Told, *, ask_first: bool) -> Verdict:
        """Compare with brute force over the card."""
        must, may, at_last = self.bounds(expected(sorted(place.card.iterdir())))
        wrong = unclear(told)
        if told.code == 0:  # it said that all was done
            must, may = at_last, {}
        known = must | may
        must = {digest: known[digest] for digest in (must.keys() | told.kept) - told.erased}
        may = {digest: score for digest, score in may.items() if digest not in told.erased}
        if self.name == "restore":
            pass
        elif (place.home / "catalog.sqlite").exists():
            asked = place.home if ask_first else shutil.copytree(place.home, place.folder / "asked")
            wrong += not_whole(place.home, must) + differences(run, asked, must, may)
        elif must:
            wrong.append("there is no archive, and there was one")
        if self.name == "backup more":
            wrong += worthless(run, place)
        return Verdict(wrong, self._again(run, place, at_last))

    def _again(self, run: Run, place: Place, at_last: dict[str, float]) -> list[str]:
        """Run it again after whatever stopped it; everything that is wrong then."""
        again = self.act(run, place)
        if self.name == "forget" and again.code == 2:  # it was erased the first time; what was left is finished now
            again = run("forget", "--home", place.home)
        if self.name == "restore" and again.code == 2:  # the archive was in its place; its index may not be
            again = run("reindex", "--home", place.restored)
        wrong = [] if again.code == 0 else [f"run again, it ended with {again.code}: {again.err}"]
        home = place.restored if self.name == "restore" else place.home
        if self.name in ERASING:
            first = digest_of((place.card / "IMG_0000.jpg").read_bytes())
            wrong += remains(place.home, first) + remains(place.backup, first)
        if "backup" in self.name:
            wrong += worthless(run, place)
        wrong += differences(run, home, at_last, {}) + unsound(run("check", "--data", "--home", home))
        if "ingest" in self.name and not wrong:
            wrong += belongings(home, place.card)
        return wrong + leftovers(place.home) + leftovers(place.backup) + leftovers(place.restored)


def worthless(run: Run, place: Place) -> list[str]:
    """What is wrong with the backup."""
    looked = run("restore", place.backup, "--dry-run", "--data", "--home", place.restored)
    return [] if looked.code == 0 else [f"the backup is no good: {looked.out}{looked.err}"]


def make_card(folder: Path, numbers: Iterable[int]) -> None:
    """A folder of small photos, each different: a square in one of the colours wanders."""
    folder.mkdir(parents=True, exist_ok=True)
    colours = [name for name in COLOURS if name != "grey"]
    for number in numbers:
        left, top = 4 + 9 * number % 80, 4 + 7 * number % 50
        squares = {colours[number % len(colours)]: (left, top, left + 40, top + 36)}
        taken = NOON + timedelta(minutes=number)
        (folder / f"IMG_{number:04d}.jpg").write_bytes(coloured_photos.jpeg(squares, taken, SIZE))


def unclear(told: Told) -> list[str]:
    """What is wrong with the words in which a command ended."""
    if told.code is None:
        return []
    said = [line for line in told.words.splitlines() if line.startswith("archive: ")]
    if told.code not in {0, 1, 3} or "Traceback" in told.words or "unexpected" in told.words:
        return [f"it ended with {told.code}: {told.words}"]
    return [] if told.code < 3 or len(said) == 1 else [f"it ended with 3 and said {told.words}"]


def _nothing(_run: Run, _place: Place) -> None:
    """A first ingest begins without an archive."""


def _ingested(run: Run, place: Place) -> None:
    assert run("ingest", place.card, "--home", place.home).code == 0


def _ingested_before_more_came(run: Run, place: Place) -> None:
    _ingested(run, place)
    make_card(place.card, range(PHOTOS, PHOTOS + 3))


def _to_embed_anew(run: Run, place: Place) -> None:
    _ingested(run, place)
    chosen = ("--segmenter", "colours", "--embedder", "other")
    assert run("models", "use", *chosen, "--home", place.home).code == 0


def _without_its_index(run: Run, place: Place) -> None:
    _ingested(run, place)
    shutil.rmtree(place.home / "index")


def _backed_up(run: Run, place: Place) -> None:
    _ingested(run, place)
    assert run("backup", place.backup, "--home", place.home).code == 0


def _changed_since_the_backup(run: Run, place: Place) -> None:
    _backed_up(run, place)
    assert run("forget", 1, "--yes", "--home", place.home).code == 0
    make_card(place.card, [PHOTOS])
    assert run("ingest", place.card, "--home", place.home).code == 0


def _damaged(run: Run, place: Place) -> None:
    _ingested(run, place)
    shard = min((place.home / "index").rglob("*.shard"))
    shard.write_bytes(shard.read_bytes()[:-10])
    stray = place.home / "originals" / "ab" / f"{'ab' * 32}.jpg"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"stray")


def _stay(every: dict[str, float]) -> Bounds:
    return every, {}, every


def _come(every: dict[str, float]) -> Bounds:
    return {}, every, every


def _come_to_the_first(every: dict[str, float]) -> Bounds:
    names = list(every)
    return {name: every[name] for name in names[:PHOTOS]}, every, every


def _go(every: dict[str, float]) -> Bounds:
    gone, *rest = every
    remaining = {name: every[name] for name in rest}
    return remaining, {gone: every[gone]}, remaining


def _stay_without_the_first(every: dict[str, float]) -> Bounds:
    remaining = _go(every)[0]
    return remaining, {}, remaining


COMMANDS = (
    Command("ingest", lambda place: ("ingest", place.card, "--home", place.home), _nothing, _come, PHOTOS + 1),
    Command(
        "ingest more",
        lambda place: ("ingest", place.card, "--home", place.home),
        _ingested_before_more_came,
        _come_to_the_first,
    ),
    Command("forget", lambda place: ("forget", 1, "--yes", "--home", place.home), _ingested, _go),
    Command("reindex", lambda place: ("reindex", "--home", place.home), _to_embed_anew, _stay),
    Command("index anew", lambda place: ("reindex", "--home", place.home), _without_its_index, _stay),
    Command("backup", lambda place: ("backup", place.backup, "--home", place.home), _ingested, _stay),
    Command(
        "backup more",
        lambda place: ("backup", place.backup, "--home", place.home),
        _changed_since_the_backup,
        _stay_without_the_first,
    ),
    Command("restore", lambda place: ("restore", place.backup, "--home", place.restored), _backed_up, _stay),
    Command("repair", lambda place: ("repair", "--data", "--yes", "--home", place.home), _damaged, _stay),
)


def prepare(run: Run, folder: Path, name: str) -> Place:
    """The archive as it is before the command of that name."""
    command = next(command for command in COMMANDS if command.name == name)
    replace(command, photos=PHOTOS).prepare(run, folder)
    return Place(folder, sorted((folder / "card").iterdir()))
