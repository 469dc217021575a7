"""How the page says things: scores and moments in words."""

from __future__ import annotations

from archive import verdicts
from archive.types import Mark, Verdict

SURE = verdicts.probability(verdicts.SEEN_AT)
LIKELY = 0.7
DOUBTFUL = verdicts.probability(verdicts.MAYBE_AT)


def match(probability: float) -> str:
    """A hit's probability in words."""
    if probability >= SURE:
        return "clear match"
    if probability >= LIKELY:
        return "good match"
    return "weak match" if probability >= DOUBTFUL else "below the bar"


def headline(verdict: Verdict) -> str:
    """What stands first, before the moment."""
    return {
        Verdict.SEEN: "Last seen",
        Verdict.MAYBE: "Maybe last seen",
        Verdict.NOT_SEEN: "Not seen",
        Verdict.EMPTY: "No photos there",
    }[verdict]


def blemish(mark: Mark) -> str:
    """What keeps a photo from showing a thing, after "it is"."""
    return {
        Mark.DAMAGED: "damaged",
        Mark.BLACK: "black",
        Mark.COVERED: "taken with the lens covered",
        Mark.BLURRED: "blurred",
        Mark.DUPLICATE: "nearly the same as the one before",
    }[mark]


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 photo`, `1,204 photos`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
