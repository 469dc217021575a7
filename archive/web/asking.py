"""What the address of the query page says, and the addresses of the same question asked a little differently."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from archive import verdicts
from archive.web.api import LONGEST_TEXT, MOST_HITS, asked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from archive.types import Query

FIRST_HITS = 24
BAR = round(100 * verdicts.probability(verdicts.MAYBE_AT))
"""Where the slider stands at first, in percent of probability: at the bar of the verdicts."""

SPANS = {
    "Any time": ("", ""),
    "Today": ("today", ""),
    "Yesterday": ("yesterday", "today"),
    "7 days": ("7d", ""),
    "30 days": ("30d", ""),
}


@dataclass(frozen=True, slots=True)
class Asking:
    """The parameters of the page, as they were typed; `bar` is in percent."""

    text: str = ""
    after: str = ""
    before: str = ""
    camera: str = ""
    limit: int = FIRST_HITS
    bar: int = BAR

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Asking:
        """The parameters of an address; what makes no sense counts as not given."""
        return cls(
            text=parameters.get("q", "").strip()[:LONGEST_TEXT],
            after=parameters.get("after", "").strip()[:40],
            before=parameters.get("before", "").strip()[:40],
            camera=parameters.get("camera", "")[:200],
            limit=_number(parameters.get("limit", ""), FIRST_HITS, 1, MOST_HITS),
            bar=_number(parameters.get("bar", ""), BAR, 0, 99),
        )

    @property
    def query(self) -> Query:
        """The question; below the bar of the verdicts every photo is ranked.

        Raises:
            UsageError: a time is none.
        """
        everything = self.bar < BAR
        return asked(self.text, self.limit, self.after, self.before, self.camera, everything=everything)

    @property
    def address(self) -> str:
        """The page's address."""
        initial = Asking()
        named = {
            "q": self.text,
            "after": self.after,
            "before": self.before,
            "camera": self.camera,
            "limit": "" if self.limit == initial.limit else str(self.limit),
            "bar": "" if self.bar == initial.bar else str(self.bar),
        }
        return "/?" + urlencode({name: value for name, value in named.items() if value})

    def spans(self) -> list[tuple[str, str, bool]]:
        """The time chips: what each says, its address, and whether it is the chosen one."""
        return [
            (label, replace(self, after=after, before=before).address, (after, before) == (self.after, self.before))
            for label, (after, before) in SPANS.items()
        ]

    def by_camera(self, cameras: list[str]) -> list[tuple[str, str, bool]]:
        """The camera chips, the same."""
        chips = [("All cameras", ""), *((name, name) for name in cameras)]
        return [(label, replace(self, camera=name).address, name == self.camera) for label, name in chips]

    def more(self) -> str | None:
        """The address that lists twice as many photos; None where it can be no more."""
        return replace(self, limit=min(2 * self.limit, MOST_HITS)).address if self.limit < MOST_HITS else None

    def anyway(self) -> str:
        """The address that shows the closest photos, whatever the verdict."""
        return replace(self, bar=0).address


def _number(text: str, default: int, least: int, most: int) -> int:
    return min(max(int(text), least), most) if text.isascii() and text.isdecimal() and len(text) < 7 else default
