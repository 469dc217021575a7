"""The last answer's hits, so that the next query can point at one of them.

A private file of the home with numbers alone: no word that was asked, no name, no digest. Ids are never used again, so
a photo that was erased since is not there, and no other stands for it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from archive.disk import put_file, sync
from archive.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from archive.types import Answer

NAME = "last-answer.json"


class LastAnswer(NamedTuple):
    """Which segment answered best in each hit, by the hit's rank, and the pair and the archive that it was found in."""

    archive: str
    pair_id: int
    segments: Mapping[int, int]

    def segment(self, rank: int) -> int:
        """The segment of a hit.

        Raises:
            UsageError: the last answer had no such hit.
        """
        if rank not in self.segments:
            ranks = ", ".join(map(str, sorted(self.segments)))
            raise UsageError(f"the last answer has no hit {rank}; its hits are {ranks or 'none'}")
        return self.segments[rank]


def of(answer: Answer, archive: str, pair_id: int) -> LastAnswer:
    """What is kept of an answer: its hits, those of its sightings, and the best photo even where it is no hit."""
    hits = [*(one.hit for one in answer.sightings), *answer.hits, *([answer.best] if answer.best else [])]
    return LastAnswer(archive, pair_id, {hit.rank: hit.boxes[0].segment for hit in hits})


def keep(home: Path, answer: LastAnswer) -> bool:
    """Write the answer down instead of the one before; whether it was kept: a query must not fail on a full disk."""
    content = {"archive": answer.archive, "pair": answer.pair_id, "segments": dict(answer.segments)}
    try:
        put_file(home / NAME, json.dumps(content).encode())
    except OSError:
        return False
    return True


def forget(home: Path) -> None:
    """Erase the last answer, durably: nobody can point at it any more."""
    path = home / NAME
    if path.exists():
        path.unlink()
        sync(home)


def recall(home: Path) -> LastAnswer:
    """The last answer.

    Raises:
        UsageError: there is none.
    """
    try:
        content = json.loads((home / NAME).read_bytes())
        segments = {int(rank): int(segment) for rank, segment in content["segments"].items()}
        return LastAnswer(str(content["archive"]), int(content["pair"]), segments)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError("there is no last answer to point at; run `archive query TEXT` first") from error
