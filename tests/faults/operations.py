"""The commands that change an archive, each with what it needs to begin and what must be so at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from archive.photos.reading import digest_of
from tests import coloured_photos
from tests.fakes import ColourEmbedder
from tests.faults.oracle import differences, expected, unsound

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PHOTOS = 5


class OtherEmbedder(ColourEmbedder):
    """The same vectors in a space of another name, to change to."""

    space = "colours@2"


@dataclass
class Place:
    """A prepared archive of its own: its home, the card, a folder for copies, and what must be found in it."""

    folder: Path
    photos: list[Path] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def card(self) -> Path:
        return self.folder / "card"

    def words(self, operation: str) -> tuple[object, ...]:
        """The command line of an operation; what it works on was prepared."""
        return {
            "ingest": ("ingest", self.card, "--home", self.home),
            "forget": ("forget", 1, "--yes", "--home", self.home),
            "reindex": ("reindex", "--home", self.home),
            "backup": ("backup", self.folder / "disk", "--home", self.home),
            "restore": ("restore", self.folder / "disk", "--home", self.folder / "restored"),
            "repair": ("repair", "--data", "--yes", "--home", self.home),
        }[operation]


def prepare(archive: Commands, folder: Path, operation: str) -> Place:
    """An archive as it is before the operation."""
    place = Place(folder)
    place.photos = coloured_photos.day(place.card, PHOTOS, NOON)
    if operation == "ingest":
        return place
    assert archive("ingest", place.card, "--home", place.home).code == 0
    if operation == "reindex":
        chosen = ("--segmenter", "colours", "--embedder", "other")
        assert archive("models", "use", *chosen, "--home", place.home).code == 0
    if operation == "restore":
        assert archive(*place.words("backup")).code == 0
    if operation == "repair":
        (shard,) = (place.home / "index").rglob("*.shard")
        shard.write_bytes(shard.read_bytes()[:-10])
        stray = place.home / "originals" / "ab" / f"{'ab' * 32}.jpg"
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"stray")
    return place


def bounds(operation: str, place: Place) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """What must be found after a fault, what may be, and what must be once the command was run again."""
    every = expected(place.photos)
    first = {digest: every[digest] for digest in expected(place.photos[:1])}
    rest = {digest: score for digest, score in every.items() if digest not in first}
    if operation == "ingest":
        return {}, every, every
    if operation == "forget":
        return rest, first, rest
    return every, {}, every


def remains(home: Path, digest: str) -> list[str]:
    """The files that still know a forgotten photo's digest."""
    files = [path for path in home.rglob("*") if path.is_file()]
    pieces = (digest.encode(), bytes.fromhex(digest))
    knows = [path for path in files if any(piece in path.name.encode() + path.read_bytes() for piece in pieces)]
    return [f"{path.name} still knows the photo" for path in knows]


def unfinished(archive: Commands, place: Place, operation: str, at_last: dict[str, float]) -> list[str]:
    """Run an operation again after whatever stopped it; everything that is wrong then."""
    again = archive(*place.words(operation))
    if operation == "forget" and again.code == 2:  # it was erased the first time; what was left is finished by this
        again = archive("forget", "--home", place.home)
    if operation == "restore" and again.code == 2:  # the archive was in its place already; its index may not be
        again = archive("reindex", "--home", place.folder / "restored")
    wrong = [] if again.code == 0 else [f"run again, it ended with {again.code}: {again.err}"]
    home = place.folder / "restored" if operation == "restore" else place.home
    if operation == "forget":
        wrong += remains(home, digest_of((place.card / "IMG_0000.jpg").read_bytes()))
    return wrong + differences(archive, home, at_last, {}) + unsound(archive("check", "--data", "--home", home))
