"""Sightings: hits that follow one another in time and show the same view are one occasion on which a thing was seen."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from archive.types import Sighting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from archive.types import Hit

    Alike = Callable[[Hit, Hit], float]

GAP = timedelta(minutes=10)
"""A longer pause between two hits of a camera begins a new sighting."""

BREATH = timedelta(seconds=15)
"""Within this, the place is taken for the same unless the photos are quite unlike: a head turns quickly, a wearer does
not change rooms between two photos."""

SAME_VIEW = 0.75
SAME_PLACE = 0.4
"""Cosines of two whole photos from which they show the same view, or may show the same place. In a quick pan over one
desk half of the pairs a second apart lie above 0.78 and 95 of 100 above 0.42; of everyday photos of different places
one pair in seventy lies above 0.75, one in eight above 0.4 (MobileNetV2 vectors)."""

_VIEWS = 4
"""A view is compared with so many of the last ones: who looks up and down again is still at the same desk."""


def group(hits: Iterable[Hit], alike: Alike) -> tuple[Sighting, ...]:
    """The sightings that hits make up, the latest first; photos of unknown time stand last, each by itself.

    `alike` tells the cosine of two whole photos.
    """
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
        if runs and _continues(runs[-1], moment, hit, alike):
            runs[-1].append((moment, hit))
        else:
            runs.append([(moment, hit)])
    seen = [_sighting(run) for run in runs]
    seen.sort(key=lambda sighting: (sighting.last is not None and sighting.last, -sighting.best), reverse=True)
    untimed.sort(key=lambda hit: hit.rank)
    return (*seen, *(Sighting(None, None, 1, hit.rank, hit) for hit in untimed))


def _continues(run: list[tuple[datetime, Hit]], moment: datetime, hit: Hit, alike: Alike) -> bool:
    before, previous = run[-1]
    pause = moment - before
    if pause > GAP or previous.photo.camera != hit.photo.camera:
        return False
    level = SAME_PLACE if pause <= BREATH else SAME_VIEW
    return any(alike(earlier, hit) >= level for _, earlier in run[-_VIEWS:])


def _sighting(run: list[tuple[datetime, Hit]]) -> Sighting:
    best = min((hit for _, hit in run), key=lambda hit: hit.rank)
    return Sighting(first=run[0][0], last=run[-1][0], photos=len(run), best=best.rank, hit=best)
