"""Sightings: hits that follow one another in time are one occasion on which the thing was seen."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from archive.types import Sighting

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from archive.types import Hit

GAP = timedelta(minutes=10)
"""A longer pause between two hits of a camera begins a new sighting."""


def group(hits: Iterable[Hit]) -> tuple[Sighting, ...]:
    """The sightings that hits make up, the latest first; photos of unknown time stand last, each by itself."""
    timed: list[tuple[datetime, Hit]] = []
    untimed: list[Hit] = []
    for hit in hits:
        if hit.photo.captured_at is None:
            untimed.append(hit)
        else:
            timed.append((hit.photo.captured_at, hit))
    timed.sort(key=lambda pair: (pair[1].photo.camera or "", pair[0], pair[1].photo.id))
    runs: list[list[tuple[datetime, Hit]]] = []
    for moment, hit in timed:
        if runs and _continues(runs[-1][-1], moment, hit):
            runs[-1].append((moment, hit))
        else:
            runs.append([(moment, hit)])
    seen = [_sighting(run) for run in runs]
    seen.sort(key=lambda sighting: (sighting.last is not None and sighting.last, -sighting.best), reverse=True)
    untimed.sort(key=lambda hit: hit.rank)
    return (*seen, *(Sighting(None, None, 1, hit.rank, hit) for hit in untimed))


def _continues(previous: tuple[datetime, Hit], moment: datetime, hit: Hit) -> bool:
    return moment - previous[0] <= GAP and previous[1].photo.camera == hit.photo.camera


def _sighting(run: list[tuple[datetime, Hit]]) -> Sighting:
    best = min((hit for _, hit in run), key=lambda hit: hit.rank)
    return Sighting(first=run[0][0], last=run[-1][0], photos=len(run), best=best.rank, hit=best)
