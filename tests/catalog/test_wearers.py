"""A reader that may see some wearers sees nothing of another one, whatever it is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from archive.catalog.browsing import Place as Moment
from archive.catalog.reader import CatalogReader
from archive.catalog.rows import Row
from archive.catalog.scoping import SHARED, VIEWS, Scope
from archive.errors import UsageError
from archive.sessions import Session, SessionKey, SessionPlace
from archive.things import NewExemplar
from archive.types import ORDINAL_BITS, Box, Mark, Shard
from tests.catalog.samples import DIM, PAIR, digest, new_photo, noon, pack, writing

if TYPE_CHECKING:
    from archive.catalog.driver import Place

NAMES = ("anna", "ben", "carl")
SESSION = SessionKey("device", 1, "nonce")
PHOTOS = 24


@dataclass(frozen=True)
class World:
    """Photos that chance has given to three wearers; some files belong to two of them."""

    place: Place
    pair_id: int
    owned: dict[str, set[int]]
    digests: dict[str, set[str]]

    def ids(self, names: tuple[str, ...]) -> set[int]:
        return set().union(*(self.owned[name] for name in names))


@pytest.fixture(params=range(3))
def world(place: Place, request: pytest.FixtureRequest) -> World:
    random = np.random.default_rng(request.param)
    owned: dict[str, set[int]] = {name: set() for name in NAMES}
    digests: dict[str, set[str]] = {name: set() for name in NAMES}
    with writing(place) as catalog:
        pair_id = catalog.ensure_pair(PAIR)
        catalog.set_answering(pair_id)
        (session,) = catalog.keep_sessions([Session(SESSION, "light", 0, ())], {})
        for number in range(1, PHOTOS + 1):
            for name in random.choice(NAMES, size=random.integers(1, 3), replace=False).tolist():
                catalog.write_for(name)
                new = new_photo(number, noon(number % 7 + 1) if number % 5 else None, camera=f"{name}'s camera")
                new = replace(new, marks=(next(iter(Mark)),), place=SessionPlace(session, number, number))
                photo = catalog.add_photo(new, pair_id, pack(number))
                owned[name].add(photo)
                digests[name].add(new.digest)
        for name in NAMES:
            catalog.write_for(name)
            vector = np.ones((1, DIM), np.float32)
            picture = NewExemplar(name.encode(), Box(0, 0, 1, 1), min(owned[name]), PAIR.space, vector)
            catalog.teach("keys", [picture])
        packs = [number for number, _ in catalog.packs(pair_id)]
        catalog.replace_shards(pair_id, [Shard("s", "00" * 32, 1, 3 * 9, packs[0], packs[8])], [])
    return World(place, pair_id, owned, digests)


def test_each_table_is_either_narrowed_or_said_to_hold_nothing_of_one_wearer() -> None:
    assert set(Row.metadata.tables) | {"alembic_version"} == set(VIEWS) | set(SHARED)


@pytest.mark.parametrize("names", [("anna",), ("ben",), ("anna", "carl")], ids="+".join)
def test_whatever_a_reader_is_asked_it_shows_its_wearers_photos_alone(world: World, names: tuple[str, ...]) -> None:
    own, everybodys = world.ids(names), sorted(world.ids(NAMES))
    pair_id = world.pair_id
    with CatalogReader.open(world.place, Scope(names)) as reader:
        every = np.array(everybodys, np.int64)
        assert set(reader.photos(everybodys)) == own
        assert {photo.id for photo, _ in reader.every_photo()} == own
        assert reader.photo_count() == len(own)
        assert {photo.id for photo in reader.photos_earlier(None, 99)} == own
        assert {photo.id for photo in reader.photos_later(Moment(None, 0), 99)} <= own
        assert sum(reader.days(noon(-9), noon(99)).values()) <= len(own)
        assert set(reader.cameras(99)) == {f"{name}'s camera" for name in names}
        assert set(reader.marks(everybodys)) == own
        assert set(_listed(reader.photos_between(None, None).ids)) == own
        assert set(_listed(reader.photos_between(noon(1), noon(99)).ids)) <= own
        assert set(reader.packs_of(pair_id, everybodys)) == own
        assert set(reader.frames_of(pair_id, everybodys)) == own
        assert (
            set(reader.vectors_of(world.pair_id, DIM, np.array(everybodys) << ORDINAL_BITS)[0] >> ORDINAL_BITS) == own
        )
        assert {one.photo_id for _, one in reader.packs(pair_id)} == own
        assert {one.photo_id for _, one in reader.packs(pair_id, photos=every)} == own
        assert {one.photo_id for one in reader.first_packs(pair_id, 0, 10**6, 99)} == own
        assert {one.photo_id for _, one in reader.unsealed_packs(pair_id)} <= own
        counted = reader.counts(pair_id)
        assert (counted.photos, counted.segments) == (len(own), 3 * len(own))
        assert reader.counts(pair_id, every) == counted
        assert len(reader.examples(pair_id, [photo << ORDINAL_BITS for photo in everybodys])) == len(own)
        assert reader.session_numbers(SESSION) == {
            number for number in range(1, PHOTOS + 1) if any(digest(number) in world.digests[name] for name in names)
        }
        told = [one.photo_id for thing in reader.things(PAIR.space) for one in thing.exemplars]
        assert sorted(told) == sorted(min(world.owned[name]) for name in names)  # type: ignore[type-var]
        summary = reader.summary()
        assert (summary.photos, summary.sources) == (len(own), len(own))
        assert summary.answering is not None
        assert (summary.answering.photos, summary.answering.pending) == (len(own), 0)
        for number in range(1, PHOTOS + 1):
            found = reader.photo_id(digest(number))
            assert (found is None) == (not any(digest(number) in world.digests[name] for name in names))
            assert found is None or found in own


def test_who_may_see_everything_sees_everything(world: World) -> None:
    with CatalogReader.open(world.place) as reader:
        assert {photo.id for photo, _ in reader.every_photo()} == world.ids(NAMES)
        assert reader.photos_between(None, None).ids is None


def test_an_index_that_keeps_wearers_apart_needs_no_list_of_their_photos(world: World) -> None:
    with CatalogReader.open(world.place, Scope(("anna",), in_index=True)) as reader:
        assert reader.photos_between(None, None).ids is None
        assert {one.photo_id for _, one in reader.packs(world.pair_id)} == world.owned["anna"]


def test_nobody_of_that_name_is_said_so(world: World) -> None:
    with pytest.raises(UsageError, match="no photos of 'dora'"):
        CatalogReader.open(world.place, Scope(("anna", "dora")))


def test_forgetting_is_of_one_wearer_alone(world: World) -> None:
    (both,) = sorted(world.digests["anna"] & world.digests["ben"])[:1]
    with writing(world.place) as catalog:
        catalog.write_for("anna")
        photo = catalog.photo_id(both)
        assert photo is not None
        catalog.erase([photo])
        assert catalog.photo_id(both) is None
        assert catalog.is_forgotten(both)
        assert catalog.is_held(both)
        catalog.write_for("ben")
        assert catalog.photo_id(both) is not None
        assert not catalog.is_forgotten(both)


def test_the_owners_of_packs_are_those_of_their_photos(world: World) -> None:
    with writing(world.place) as catalog:
        owners = catalog.owners(world.pair_id, 1, 10**6)
    with CatalogReader.open(world.place, Scope(("ben",))) as reader:
        assert reader.wearers is not None
        (ben,) = reader.wearers
    assert owners is not None
    assert {photo for photo, owner in owners.items() if owner == ben} == world.owned["ben"]


def _listed(ids: np.ndarray[tuple[int], np.dtype[np.int64]] | None) -> list[int]:
    assert ids is not None
    listed: list[int] = ids.tolist()
    return listed
