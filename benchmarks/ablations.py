"""The variants that are compared: what is changed from a pair's defaults, one thing at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archive.ranking import FRAME_SHARE
from benchmarks.looks import View

if TYPE_CHECKING:
    from benchmarks.spaces import Space

TEMPLATES = ("{}", "a photo of {}", "a close-up of {}", "{} in a room", "there is {} here")

DISTRACTORS = (
    "a wall", "a floor", "the ceiling", "a window", "a door", "a curtain", "a carpet", "grass", "trees", "the sky",
    "clouds", "water", "sand", "snow", "a road", "a pavement", "a fence", "a building", "a shadow", "a reflection",
    "a blurred picture", "darkness", "a hand", "a face", "hair", "clothes", "a sleeve", "a pattern", "a texture",
    "some text", "a sign", "a poster", "a lamp", "a shelf", "a drawer", "a box", "a bag", "a cable", "a socket",
    "a pipe", "a wheel", "a handle", "a button", "a plant", "a flower", "leaves", "food", "a plate", "paper",
    "cardboard", "wood", "metal", "glass", "plastic", "cloth", "stone", "a crowd of people", "a landscape",
    "the inside of a room", "a street", "a kitchen", "an office", "a garden", "a shop", "something", "nothing",
)  # fmt: skip
"""What is in most photos, and what nobody asks for."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to see photos and to rank them. A query is the mean of its texts in all `templates`."""

    name: str
    view: View
    share: float = FRAME_SHARE
    templates: tuple[str, ...] = ("{}",)
    bank: bool = False


DEFAULT = "as it is"


def variants(space: Space) -> list[Variant]:
    """Every variant of a space, its defaults first."""
    own = View(space.cleanup)
    return [
        Variant(DEFAULT, own),
        Variant("whole photo only", replace(own, whole=True)),
        Variant("seed: tight, centre crop, max", replace(own, treatments=("centre",)), share=0.0),
        *_crops(own),
        *(Variant(f"frame share {share:g}", own, share=share) for share in (0.0, 0.3, 0.7, 1.0)),
        Variant("template: a photo of", own, templates=TEMPLATES[1:2]),
        Variant(f"mean of {len(TEMPLATES)} templates", own, templates=TEMPLATES),
        *_cleanups(own),
        Variant("tiles, too", replace(own, tiled=True)),
        Variant(f"QB-Norm, {len(DISTRACTORS)} distractors", own, bank=True),
    ]


def _crops(own: View) -> list[Variant]:
    return [
        Variant("square crops, context 0 %", replace(own, treatments=("square 0",))),
        Variant("square crops, context 10 %", replace(own, treatments=("square 10",))),
        Variant("square crops, context 25 %", replace(own, treatments=("square 25",))),
        Variant("three crops, their mean", replace(own, treatments=("square 0", "square 10", "square 25"))),
        Variant(
            "three crops, the best", replace(own, treatments=("square 0", "square 10", "square 25"), pooling="each")
        ),
    ]


def _cleanups(own: View) -> list[Variant]:
    """Those settings of the clean-up that are not the space's own."""
    changed = [
        ("limit 30", replace(own, cleanup=replace(own.cleanup, limit=30))),
        ("limit 60", replace(own, cleanup=replace(own.cleanup, limit=60))),
        ("limit 60, floor .05", replace(own, cleanup=replace(own.cleanup, limit=60), floor=0.05)),
        *(
            (f"same overlap {overlap:g}", replace(own, cleanup=replace(own.cleanup, same_overlap=overlap)))
            for overlap in (0.5, 0.6, 0.7)
        ),
    ]
    return [Variant(name, view) for name, view in changed if view != own]
