"""Mutated pictures: whatever is in a file, decoding it ends in a photo or in one plain reason why it is none."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict

import pytest

from tests import fuzz

SAMPLE = 1_200


def test_a_mutant_is_made_from_its_number_alone() -> None:
    assert [fuzz.mutant(number) for number in range(50)] == [fuzz.mutant(number) for number in range(50)]
    assert len({content for _, content in map(fuzz.mutant, range(200))}) > 190


def test_whatever_is_in_a_file_decoding_it_ends_in_a_photo_or_in_one_plain_reason() -> None:
    counts = fuzz.run(SAMPLE, batch=SAMPLE // 2)
    assert counts.violations == []
    assert counts.mutants == counts.whole + counts.damaged + counts.refused == SAMPLE
    assert min(counts.whole, counts.damaged, counts.refused) > 0
    assert len(counts.by_kind) == 10


@pytest.mark.parametrize(("limit", "value", "says"), [("MOST_SECONDS", 0.0, "of a processor"), ("MOST_KIB", 1, "KiB")])
def test_a_mutant_that_takes_too_much_is_named(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: float, says: str
) -> None:
    monkeypatch.setattr(fuzz, "MOST_KIB", 1 << 40)  # this process itself may be large
    monkeypatch.setattr(fuzz, limit, value)
    counts = fuzz.decode_all([3])
    assert len(counts.violations) == 1
    assert counts.violations[0].startswith("3: ")
    assert says in counts.violations[0]


def test_a_mutant_that_ends_its_process_is_named_and_the_next_ones_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        first, count = int(command[command.index("--from") + 1]), int(command[command.index("--mutants") + 1])
        if first == 0:
            return subprocess.CompletedProcess(command, -11, "0\n1\n2\n", "boom")
        return subprocess.CompletedProcess(command, 0, json.dumps({"mutants": count, "whole": count}), "")

    monkeypatch.setattr(subprocess, "run", ended)
    counts = fuzz.run(10, batch=10)
    assert counts.violations == ["2: ended the process with -11: boom"]
    assert (counts.mutants, counts.whole) == (10, 7)


@pytest.mark.slow
@pytest.mark.timeout(14_400)
def test_a_hundred_thousand_mutants_end_so() -> None:
    counts = fuzz.run(100_000)
    print(json.dumps(asdict(counts)))  # noqa: T201  (the figures that a sweep is for)
    assert counts.violations == []
