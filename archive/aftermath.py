"""Aftermath: what later photos of the place of a last sighting say. Is the thing still there?

Vectors of whole photos find the later ones that may show the place; their pixels decide (see `Compare`). Where they
cannot tell, nothing is said: not every photo of a desk shows the corner where the keys lay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from archive import ranking, sightings, verdicts
from archive.errors import CatalogDamaged, PhotoError
from archive.types import Since, Spot, ordinal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from archive.originals import Originals
    from archive.probes import Probes
    from archive.scanning import Scan
    from archive.types import Hit, Ids, Photo, Sighting

    Compare = Callable[[Hit, Photo], Spot | None]
    """What a later photo shows at the spot of a hit's best box, by the pixels of both; None where it cannot be told."""

MOST = 6
"""Later photos whose pixels are compared: each takes about a tenth of a second."""

LOOKED_THROUGH = 1024
"""Later photos of which every frame is read: of so few the index would compare all segments, which are many more."""


def by_pixels(originals: Originals) -> Compare:
    """A comparison that reads both photos. One whose original is lost tells nothing: `archive check` says that."""

    def compare(hit: Hit, later: Photo) -> Spot | None:
        from archive.photos import alignment, apart  # Pillow and OpenCV, which most queries do not need

        try:
            earlier, other = (
                apart.decode_apart(originals.read(photo.digest, photo.suffix)).pixels for photo in (hit.photo, later)
            )
        except (CatalogDamaged, PhotoError):
            return None
        return alignment.compare(earlier, hit.boxes[0].box, other)

    return compare


def after(sighting: Sighting, later: Ids, scan: Scan, asked: Probes, compare: Compare) -> Since | None:
    """What the photos `later` (sorted ids) say about a thing since a sighting; None where none shows the place."""
    hit = sighting.hit
    if ordinal_of(hit.boxes[0].segment) == 0 or not len(later):
        return None  # a thing that is all of its photo has no place in it
    photos = [photo for photo in scan.photos(_same_view(hit.photo.id, later, scan)).values() if photo.captured_at]
    photos.sort(key=lambda photo: (photo.captured_at, photo.id))
    doubtful = _may_show(photos, scan, asked)
    there = gone = None
    compared = 0
    for photo in photos:
        spot = compare(hit, photo)
        compared += spot is not None
        if spot is Spot.THERE:
            there, gone = photo, None
        elif spot is Spot.GONE and gone is None and photo.id not in doubtful:
            gone = photo
    return Since(there, gone, compared) if compared else None


def _same_view(photo: int, later: Ids, scan: Scan) -> list[int]:
    """The later photos whose whole frames are most like that of a photo, as far as they may show the same place."""
    if len(later) > LOOKED_THROUGH:
        return scan.within(later).alike(photo, sightings.SAME_VIEW, MOST)
    frames = scan.frames([photo, *later.tolist()])
    if photo not in frames or len(frames) == 1:
        return []
    numbers = np.array(sorted(frames.keys() - {photo}))
    likeness = np.stack([frames[number] for number in numbers.tolist()]) @ frames[photo]
    order = np.lexsort((numbers, -likeness))[:MOST]
    found: list[int] = numbers[order[likeness[order] >= sightings.SAME_VIEW]].tolist()
    return found


def _may_show(photos: list[Photo], scan: Scan, asked: Probes) -> set[int]:
    """The photos that may show the thing somewhere, perhaps moved: none of them is said to lack it.

    So may one whose vectors are damaged.
    """
    packs = scan.packs_of(photo.id for photo in photos)
    scores = ranking.score(packs.values(), asked)
    bar = asked.background.score_at(verdicts.MAYBE_AT)
    unknown = {photo.id for photo in photos} - packs.keys()
    return unknown | set(np.asarray(scores.photos)[scores.best >= bar].tolist())
