"""What the address of the query page says, and the addresses of the same question asked a little differently."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from archive import verdicts
from archive.types import ORDINAL_BITS, ordinal_of, photo_of
from archive.web.api import LONGEST_TEXT, MOST_HITS, MOST_WORDS, asked
from archive.web.schema import LARGEST_ID

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

    from archive.types import Query

FIRST_HITS = 24
LARGEST_SEGMENT = LARGEST_ID << ORDINAL_BITS
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
    """The parameters of the page, as they were typed.

    `bar` is in percent; `without` are words for what is not meant, `like` segments that show what is.
    """

    text: str = ""
    after: str = ""
    before: str = ""
    camera: str = ""
    limit: int = FIRST_HITS
    bar: int = BAR
    without: tuple[str, ...] = ()
    like: tuple[int, ...] = ()

    @classmethod
    def of(cls, parameters: QueryParams) -> Asking:
        """The parameters of an address; what makes no sense counts as not given."""
        return cls(
            text=parameters.get("q", "").strip()[:LONGEST_TEXT],
            after=parameters.get("after", "").strip()[:40],
            before=parameters.get("before", "").strip()[:40],
            camera=parameters.get("camera", "")[:200],
            limit=_number(parameters.get("limit", ""), FIRST_HITS, 1, MOST_HITS),
            bar=_number(parameters.get("bar", ""), BAR, 0, 99),
            without=tuple(filter(None, (one.strip()[:LONGEST_TEXT] for one in parameters.getlist("not"))))[:MOST_WORDS],
            like=tuple(_number(one, 0, 0, LARGEST_SEGMENT) for one in parameters.getlist("like"))[:MOST_WORDS],
        )

    @property
    def query(self) -> Query:
        """The question; below the bar of the verdicts every photo is ranked.

        Raises:
            UsageError: a time is none.
        """
        everything = self.bar < BAR
        return asked(
            self.text, self.limit, self.after, self.before, self.camera, self.without, self.like, everything=everything
        )

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
        several = [*(("not", words) for words in self.without), *(("like", str(segment)) for segment in self.like)]
        return "/?" + urlencode([*((name, value) for name, value in named.items() if value), *several])

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What a form that asks with other words keeps: names and values."""
        single = {"after": self.after, "before": self.before, "camera": self.camera}
        return [*((name, value) for name, value in single.items() if value), *(("not", one) for one in self.without)]

    def examples(self) -> list[tuple[int, int]]:
        """The photos and ordinals of the segments that are examples."""
        return [(photo_of(segment), ordinal_of(segment)) for segment in self.like]

    def fewer(self) -> list[tuple[str, str]]:
        """What is not meant, each with the address that takes it back."""
        return [
            (words, replace(self, without=tuple(one for one in self.without if one != words)).address)
            for words in self.without
        ]

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

    def only_words(self) -> str:
        """The address without the examples."""
        return replace(self, like=()).address

    def more(self) -> str | None:
        """The address that lists twice as many photos; None where it can be no more."""
        return replace(self, limit=min(2 * self.limit, MOST_HITS)).address if self.limit < MOST_HITS else None

    def anyway(self) -> str:
        """The address that shows the closest photos, whatever the verdict."""
        return replace(self, bar=0).address


def _number(text: str, default: int, least: int, most: int) -> int:
    return min(max(int(text), least), most) if text.isascii() and text.isdecimal() and len(text) < 19 else default
