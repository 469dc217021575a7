"""Values on their way between two processes: nothing is lost, whatever an answer holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from archive.types import (
    Answer,
    Box,
    CaptureSource,
    Hit,
    Photo,
    Query,
    ScoredBox,
    Searched,
    Sighting,
    Verdict,
)
from archive.wire import packed, unpacked

MOMENT = datetime(2026, 11, 20, 8, 30, 1, 5, tzinfo=UTC)
PHOTO = Photo(7, "ab" * 32, "a\udcff\u202e.jpg", ".jpg", MOMENT, CaptureSource.JOURNAL, None, 320, 240, 64_000)
HIT = Hit(1, 0.5, 0.25, PHOTO, (ScoredBox(7169, Box(1, 2, 3, 4), 0.1 + 0.2),))
ANSWERS = [
    Answer(Query("x"), Verdict.EMPTY, Searched(0, 0, "s", "pocket"), (), ()),
    Answer(
        Query("x", 3, MOMENT, None, "kitchen", everything=True),
        Verdict.SEEN,
        Searched(9, 81, "s", "pocket", 2),
        (HIT,),
        (Sighting(MOMENT, MOMENT, 1, 1, HIT), Sighting(None, None, 1, 1, HIT)),
        HIT,
        took_ms={"total": 1.5},
    ),
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_arrives_as_it_was_sent(answer: Answer) -> None:
    assert unpacked(Answer, json.loads(json.dumps(packed(answer)))) == answer


def test_what_another_version_sent_is_refused() -> None:
    sent = packed(ANSWERS[1])
    with pytest.raises((TypeError, ValueError, KeyError)):
        unpacked(Answer, {**sent, "mood": "blue"})
    with pytest.raises((TypeError, ValueError, KeyError)):
        unpacked(Answer, {**sent, "verdict": "certainly"})
    with pytest.raises((TypeError, ValueError, KeyError)):
        unpacked(Answer, {**sent, "best": list(sent["best"].values())})
