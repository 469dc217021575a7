"""A made-up archive of any size: `python -m benchmarks.synthetic SEGMENTS` makes one and prints where it is.

Its rows, packs and shards are written by the product's own code; only originals are missing, since no figure here needs
them. The vectors are made up in the space of the built-in pair, which needs no weights but those that come along: each
segment shows one of 20,000 things (the more familiar, the more often), which are classes of the network or made of
what words mean, in some colours; photos stand in scenes of eighty. What a query finds means nothing, but how many
photos come near it is like in life: words for everyday things clear the bar in hundreds of photos, others in none.

Archives are kept in a folder of the system's temporary files, and made again for another schema or `VERSION`.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np

from archive import bootstrap, indexing, parts, shelving
from archive.catalog.engine import writing_engine
from archive.catalog.inserts import insert_marks, insert_pack, insert_photo, insert_source
from archive.catalog.revisions import HEAD
from archive.catalog.writer import NewPhoto
from archive.embedders import joint_space
from archive.settings import PairChoice, Settings
from archive.types import CaptureSource, CaptureTime, Mark, Pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from archive.protocols import TextEmbedder

    Floats = NDArray[np.float32]

VERSION = 7
"""To be counted up when what is made here changes."""
SEGMENTS = 20
"""Of each photo, the whole frame among them."""
OUTSIDE = 200
"""Photos that came after the last shard was sealed."""
EVERY = timedelta(seconds=10)
SCENE = 80
"""Photos of one scene: nine million photos of a wearer make some eighty thousand events."""
MARKED = 5
"""One photo of so many is marked: here, as nearly the same as the one before."""
THINGS = 20_000
CLASSES = 80
WIDTH, HEIGHT = 1600, 1200
WORDS = (
    "mug", "keys", "book", "bottle", "phone", "shoe", "bag", "lamp", "screwdriver", "passport", "scissors", "wallet",
    "umbrella", "bicycle", "dog", "street", "kitchen", "window", "plant", "glasses", "ticket", "medicine", "charger",
)  # fmt: skip
PER_COMMIT = 1_000
NEWEST = datetime(2026, 11, 1, 18, tzinfo=UTC)


class World(NamedTuple):
    """What there is to see: of each thing its class (or -1), what it means (things, 163), and how often it is met."""

    classes: NDArray[np.int64]
    meanings: Floats
    shares: NDArray[np.float64]


def archive(segments: int) -> Settings:
    """An archive of that many segments, made now unless it was before."""
    folder = Path(tempfile.gettempdir()) / "archive-benchmarks" / f"{segments}-{HEAD}-{VERSION}"
    settings = Settings(folder / "home", folder / "weights")
    if not folder.exists():
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as partial:
            made = Path(partial) / "made"
            make(Settings(made / "home", made / "weights"), segments // SEGMENTS)
            if not folder.exists():  # another process may have made it meanwhile
                made.rename(folder)
    return settings


def make(settings: Settings, photos: int, picture: bytes | None = None) -> None:
    """Make an archive of that many photos, the last of them outside every shard; with a picture, all show that one."""
    sealed = max(photos - OUTSIDE, 0)
    with bootstrap.writing(settings) as catalog:
        seeing, pair = parts.observer(settings, PairChoice(name="pocket"), None)
        pair_id = catalog.ensure_pair(pair)
        bootstrap.settle(catalog, seeing, pair_id)
        made = _photos(photos, seeing.embedder)
        _insert(settings, pair_id, made, sealed, picture)
        shelving.shelve(catalog, indexing.index(settings, catalog, pair_id, pair), pair_id, settings.seal_at)
        _insert(settings, pair_id, made, photos - sealed, picture)
        catalog.checkpoint()


def _insert(
    settings: Settings, pair_id: int, made: Iterator[tuple[Pack, datetime]], count: int, picture: bytes | None
) -> None:
    """Insert so many photos, many in one transaction: an ingest has one for each, and this is no ingest."""
    originals = bootstrap.originals(settings)
    engine = writing_engine(settings.catalog)
    for start in range(0, count, PER_COMMIT):
        with engine.begin() as connection:
            for _ in range(min(PER_COMMIT, count - start)):
                pack, taken = next(made)
                content = (picture or b"") + pack.photo_id.to_bytes(8, "big")  # what follows a JPEG's end is not read
                new = _new_photo(pack.photo_id, content, taken)
                if picture is not None:
                    path = originals.path(new.digest, new.suffix)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
                photo_id = insert_photo(connection, new, generation=1)
                insert_source(connection, photo_id, new.name, new.path, None)
                insert_marks(connection, photo_id, [Mark.DUPLICATE] if photo_id % MARKED == 0 else [])
                insert_pack(connection, pack, pair_id)
    engine.dispose()


def _photos(count: int, embedder: TextEmbedder) -> Iterator[tuple[Pack, datetime]]:
    """Packs with the ids of the photos to come, and when those were taken; all that is drawn is drawn from one seed."""
    random = np.random.default_rng(8)
    world = _world(random, embedder)
    boxes = np.tile(np.array((400, 300, 900, 800), np.int32), (SEGMENTS, 1))
    boxes[0] = (0, 0, WIDTH, HEIGHT)
    sure = np.linspace(1, 0.3, SEGMENTS, dtype=np.float32)
    for start in range(0, count, SCENE):
        for place, rows in enumerate(_scene(random, world)[: count - start]):
            taken = NEWEST - EVERY * (count - start - place)
            yield Pack(start + place + 1, boxes, sure, rows), taken


def _world(random: np.random.Generator, embedder: TextEmbedder) -> World:
    words = embedder.embed_text(WORDS)[:, joint_space.MEANING]
    mixed = random.dirichlet(np.full(len(WORDS), 0.15), THINGS) @ joint_space.unit(words)
    noise = random.normal(size=(THINGS, words.shape[1])) / np.sqrt(words.shape[1])
    shares = 1 / (np.arange(THINGS) + 10)
    return World(
        classes=np.where(random.random(THINGS) < 0.2, random.integers(0, CLASSES, THINGS), -1),
        meanings=joint_space.unit((mixed + noise).astype(np.float32)),
        shares=shares / shares.sum(),
    )


def _scene(random: np.random.Generator, world: World) -> Floats:
    """Unit rows (photos, segments, dim) of one scene: its photos share half of the things in it."""
    at_hand = random.choice(THINGS, 2 * SEGMENTS, p=world.shares)
    passing = random.choice(THINGS, (SCENE, SEGMENTS), p=world.shares)
    stays = random.random((SCENE, SEGMENTS)) < 0.5
    things = np.where(stays, random.choice(at_hand, (SCENE, SEGMENTS)), passing).ravel()
    seen = np.flatnonzero(world.classes[things] >= 0)
    evidence = (0.04 * random.random((len(things), CLASSES))).astype(np.float32)
    evidence[seen, world.classes[things[seen]]] = random.beta(1.5, 3, len(seen))
    noise = random.normal(size=(len(things), world.meanings.shape[1])).astype(np.float32)
    meanings = world.meanings[things] + noise / np.float32(np.sqrt(2 * world.meanings.shape[1]))
    hues = random.dirichlet(np.full(joint_space.HUES.stop - joint_space.HUES.start, 0.3), len(things))
    rows = joint_space.picture_rows(*_framed(evidence, hues.astype(np.float32), meanings))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.reshape(SCENE, SEGMENTS, -1)


def _framed(evidence: Floats, hues: Floats, meanings: Floats) -> tuple[Floats, Floats, Floats]:
    """The same, with the first segment of each photo showing what the others show together: it is the whole frame."""
    for values, together in ((evidence, np.max), (hues, np.mean), (meanings, np.mean)):
        photos = values.reshape(SCENE, SEGMENTS, -1)
        photos[:, 0] = together(photos[:, 1:], axis=1)
    return evidence, hues, meanings


def _new_photo(number: int, content: bytes, taken: datetime) -> NewPhoto:
    return NewPhoto(
        digest=sha256(content).hexdigest(),
        suffix=".jpg",
        size=len(content),
        capture=CaptureTime(taken, CaptureSource.EXIF, None),
        camera="made up",
        width=WIDTH,
        height=HEIGHT,
        name=f"{number}.jpg".encode(),
        path=f"{number}.jpg".encode(),
        modified=None,
    )


def main() -> None:
    """Make the archive of a size and say where it is."""
    click.echo(archive(int(sys.argv[1])).home)


if __name__ == "__main__":
    main()
