"""An ingest holds as much for many photos as for few, in the real command in a process of its own."""

from __future__ import annotations

import pytest

from benchmarks import memory

ROOM = 8 << 10
"""KiB by which the peak may differ: what a name for each file takes, and how garbage happens to be collected."""


@pytest.mark.timeout(600)
def test_what_an_ingest_holds_does_not_grow_with_the_photos() -> None:
    peaks = memory.measure(600, (200, 600), index=False)
    assert peaks[600] - peaks[200] < ROOM


@pytest.mark.slow
@pytest.mark.timeout(14_400)
def test_nor_from_two_thousand_photos_to_twenty_thousand() -> None:
    peaks = memory.measure(20_000, memory.MARKS, index=False)
    print(peaks)  # noqa: T201  (the figures that this is for)
    assert peaks[20_000] - peaks[2_000] < 4 * ROOM
