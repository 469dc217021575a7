"""What an archive must hold and answer, worked out by brute force from the photos alone.

It shares with the product only what a photo looks like to the coloured parts: no catalog, no index, no search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archive.observation import Observer
from archive.photos.reading import decode, digest_of
from archive.ranking import FRAME_SHARE
from tests.fakes import ColourEmbedder, ColourSegmenter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.commands import Commands, Outcome

WORD = "red"
TOLERANCE = 2e-3
"""Vectors are stored with eleven bits."""


def expected(photos: Iterable[Path]) -> dict[str, float]:
    """The score of each photo for the word, by digest."""
    observer = Observer(ColourSegmenter(), ColourEmbedder())
    query = ColourEmbedder().embed_text([WORD])[0]
    scores = {}
    for path in photos:
        content = path.read_bytes()
        frame, *others = (observer.observe(decode(content).pixels).vectors @ query).tolist()
        scores[digest_of(content)] = FRAME_SHARE * frame + (1 - FRAME_SHARE) * max(others, default=frame)
    return scores


def differences(archive: Commands, home: Path, truth: dict[str, float], maybe: dict[str, float]) -> list[str]:
    """What the archive answers otherwise than it must: `truth` must be found, `maybe` may be, nothing else is."""
    asked = archive("query", WORD, "--all", "--limit", 1000, "--json", "--home", home)
    if asked.code not in {0, 1}:
        return [] if not truth and "empty" in asked.err + asked.out else [f"query ended with {asked.code}: {asked.err}"]
    scores = {hit["photo"]["digest"]: hit["score"] for hit in asked.object["hits"]}
    wrong = [f"{digest} is lost" for digest in truth.keys() - scores.keys()]
    wrong += [f"{digest} should not be there" for digest in scores.keys() - truth.keys() - maybe.keys()]
    known = truth | maybe
    return wrong + [
        f"{digest} scores {score}, not {known[digest]}"
        for digest, score in scores.items()
        if digest in known and not np.isclose(score, known[digest], atol=TOLERANCE)
    ]


def unsound(outcome: Outcome) -> list[str]:
    """What a `check --data` found, where it found anything but work that waits."""
    return [] if outcome.code == 0 else [f"check ended with {outcome.code}: {outcome.out}{outcome.err}"]
