"""What happens to an archive that no call returns an error for: bits flip, old catalogs return.

A query then answers as the oracle does, without the photos that are damaged, or says what is wrong; it is never wrong.
"""

from __future__ import annotations

import random
import shutil
from contextlib import closing
from typing import TYPE_CHECKING

from archive.catalog.copying import copy_catalog
from archive.catalog.driver import connect_to_write
from tests.faults.children import run
from tests.faults.operations import Place, Verdict, make_card, prepare
from tests.faults.oracle import differences, expected, unsound

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("catalog", "shard", "original")
PHOTOS = 12


def archive_at_rest(folder: Path) -> Place:
    """An archive of five photos, sealed into shards, all of it in its main files."""
    place = prepare(run, folder, "backup")
    with closing(connect_to_write(place.home / "catalog.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return place


def flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.chmod(0o600)
    path.write_bytes(content)


def rot(place: Place, folder: Path, kind: str, seed: int) -> Verdict:
    """Flip one bit of a file of that kind; what is wrong then."""
    shutil.rmtree(folder, ignore_errors=True)
    home = Place(shutil.copytree(place.folder, folder)).home
    files = {"catalog": [home / "catalog.sqlite"], "shard": sorted((home / "index").rglob("*.shard"))}
    files["original"] = sorted((home / "originals").rglob("*.jpg"))
    chance = random.Random(seed)
    flip(chance.choice(files[kind]), chance)
    truth = expected(place.photos)
    if kind != "catalog":
        wrong = differences(run, home, truth, {})
        found = run("check", "--data", "--home", home)
        return Verdict(wrong if found.code == 3 else [*wrong, "check found nothing"], [])
    # A flipped bit of a page may be in its free space, in a name, or in what SQLite itself stands on.
    asked = run("query", "red", "--all", "--home", home, "--json")
    if asked.code == 3:
        return Verdict([] if asked.err.count("\n") == 1 else [f"it said {asked.err}"], [])
    return Verdict(differences(run, home, {}, truth), [])


def older_catalogs(folder: Path) -> Place:
    """An archive that grew photo by photo, with the catalog as it was after each: `older/1.sqlite`, ..."""
    place = Place(folder)
    (folder / "older").mkdir(parents=True)
    for number in range(PHOTOS):
        make_card(place.card, [number])
        assert run("ingest", place.card, "--home", place.home).code == 0
        copy_catalog(place.home / "catalog.sqlite", folder / "older" / f"{number + 1}.sqlite")
    return place


def put_back(place: Place, folder: Path, photos: int) -> Verdict:
    """Restore the catalog of so many photos under the newest index; what is wrong then, and after the next ingest."""
    shutil.rmtree(folder, ignore_errors=True)
    here = Place(shutil.copytree(place.folder, folder))
    for name in ("catalog.sqlite-wal", "catalog.sqlite-shm"):
        (here.home / name).unlink(missing_ok=True)
    (here.folder / "older" / f"{photos}.sqlite").replace(here.home / "catalog.sqlite")
    paths = sorted(here.card.iterdir())
    after = differences(run, here.home, expected(paths[:photos]), {})
    done = run("ingest", "--home", here.home)  # the originals are there, only their rows are not
    again = [] if done.code == 0 else [f"the next ingest ended with {done.code}: {done.err}"]
    again += differences(run, here.home, expected(paths), {}) + unsound(run("check", "--data", "--home", here.home))
    return Verdict(after, again)
