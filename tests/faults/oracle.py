"""What an archive must hold and answer, worked out by brute force from the photos alone.

It shares with the product only what a photo looks like to the coloured parts: no catalog, no index, no search.
"""

from __future__ import annotations

import os
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from archive.catalog.driver import connect_to_read
from archive.observation import Observer
from archive.photos.reading import decode, digest_of
from archive.ranking import FRAME_SHARE
from tests.fakes import ColourEmbedder, ColourSegmenter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.commands import Outcome, Run

WORD = "red"
TOLERANCE = 2e-3
"""Vectors are stored with eleven bits."""

UNFINISHED = (".partial", ".new", "-journal", ".before-upgrade")


def expected(photos: Iterable[Path]) -> dict[str, float]:
    """The score of each photo for the word, by digest."""
    contents = [path.read_bytes() for path in photos]
    return {digest_of(content): score(content) for content in contents}


@cache
def score(content: bytes) -> float:
    """The score of one photo for the word."""
    query = ColourEmbedder().embed_text([WORD])[0]
    pack = Observer(ColourSegmenter(), ColourEmbedder()).observe(decode(content).pixels)
    frame, *others = (pack.vectors @ query).tolist()
    return float(FRAME_SHARE * frame + (1 - FRAME_SHARE) * max(others, default=frame))


def differences(archive: Run, home: Path, truth: dict[str, float], maybe: dict[str, float]) -> list[str]:
    """What the archive answers otherwise than it must: `truth` must be found, `maybe` may be, nothing else is."""
    asked = archive("query", WORD, "--all", "--limit", 1000, "--json", "--home", home)
    if asked.code not in {0, 1}:
        return [] if not truth and is_unborn(asked) else [f"query ended with {asked.code}: {asked.err}"]
    scores = {hit["photo"]["digest"]: hit["score"] for hit in asked.object["hits"]}
    wrong = [f"{digest} is lost" for digest in truth.keys() - scores.keys()]
    wrong += [f"{digest} should not be there" for digest in scores.keys() - truth.keys() - maybe.keys()]
    known = truth | maybe
    return wrong + [
        f"{digest} scores {score}, not {known[digest]}"
        for digest, score in scores.items()
        if digest in known and not np.isclose(score, known[digest], atol=TOLERANCE)
    ]


def not_whole(home: Path, digests: Iterable[str]) -> list[str]:
    """The originals that are not there, or are not what their name says."""
    there = {path.stem: path for path in (home / "originals").rglob("*.jpg")}
    lost = [digest for digest in digests if digest not in there or digest_of(there[digest].read_bytes()) != digest]
    return [f"the original {digest} is lost" for digest in lost]


def is_unborn(outcome: Outcome) -> bool:
    """Whether a command found no archive, since its first writer was cut off before there was one."""
    said = outcome.out + outcome.err
    return any(words in said for words in ("empty", "there is no archive", "left by a writer that was cut off"))


def unsound(outcome: Outcome) -> list[str]:
    """What a `check --data` found, where it found anything."""
    return [] if outcome.code == 0 else [f"check ended with {outcome.code}: {outcome.out}{outcome.err}"]


def remains(home: Path, digest: str) -> list[str]:
    """The files that still know a forgotten photo's digest."""
    files = [path for path in home.rglob("*") if path.is_file()]
    pieces = (digest.encode(), bytes.fromhex(digest))
    knows = [path for path in files if any(piece in path.name.encode() + path.read_bytes() for piece in pieces)]
    return [f"{path.name} still knows the photo" for path in knows]


def belongings(home: Path, card: Path) -> list[str]:
    """What the catalog has otherwise than an undisturbed ingest: where photos stood, or originals as the card has them.

    No photo may be there twice, and no file without a row.
    """
    truth: dict[str, set[bytes]] = {}
    for path in card.rglob("*"):
        if path.is_file():
            truth.setdefault(digest_of(path.read_bytes()), set()).add(os.fsencode(path.relative_to(card)))
    query = "SELECT p.digest, s.path FROM photos p LEFT JOIN sources s ON s.photo_id = p.id"
    with closing(connect_to_read(home / "catalog.sqlite")) as connection:
        rows = [(digest.hex(), path) for digest, path in connection.execute(query)]
    stored = {path.stem: path.read_bytes() for path in (home / "originals").rglob("*") if path.is_file()}
    altered = [f"{name} is not what its name says" for name, content in stored.items() if digest_of(content) != name]
    wrong = [] if sorted(rows) == sorted((key, path) for key in truth for path in truth[key]) else [f"rows are {rows}"]
    return wrong + altered + ([] if stored.keys() == truth.keys() else [f"originals are {sorted(stored)}"])


def leftovers(folder: Path) -> list[str]:
    """Files that a command which was cut off left, and the next run should have used up or cleared away."""
    names = [path.name for path in folder.rglob("*") if path.is_file()]
    return [f"left behind: {name}" for name in names if name.endswith(UNFINISHED) or name.startswith(".new-")]
