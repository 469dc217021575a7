"""How long a network takes on this machine: tried, not guessed from what its processor says of itself."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from time import perf_counter, thread_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_ENOUGH = 0.3
"""Seconds after which a candidate was tried enough; three of them make a second."""

ROUNDS = 2


def seconds(work: Callable[[], object]) -> float:
    """The least that one go takes, of at least two after a first that warms up.

    It is the thread's own time, so that another program on the machine moves it little; where the work waits for a
    device, it is the wall's.
    """
    work()
    taken: list[float] = []
    began = perf_counter()
    while len(taken) < ROUNDS or perf_counter() - began < LONG_ENOUGH:
        busy, wall = thread_time(), perf_counter()
        work()
        busy, wall = thread_time() - busy, perf_counter() - wall
        taken.append(wall if busy < wall / 4 else busy)
        if perf_counter() - began > LONG_ENOUGH * 10:
            break
    return min(taken)


def machine() -> str:
    """What a timing is good for: this kind of processor, with these libraries."""
    runtimes = " ".join(f"{name} {version(name)}" for name in ("onnxruntime", "torch"))
    return f"{platform.machine()} {_processor()} {runtimes}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo")
    if not lines.is_file():
        return platform.processor()
    told = dict(line.partition("\t: ")[::2] for line in lines.read_text(encoding="utf-8").split("\n\n")[0].splitlines())
    return " ".join(told.get(key, "") for key in ("model name", "cpu family\t", "model\t\t"))
