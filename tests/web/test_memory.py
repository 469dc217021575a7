from __future__ import annotations

import platform
import subprocess
import sys

import pytest

ASKS = """
import resource
from archive.web import memory
{}
import numpy as np
np.ones(1 << 21)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    np.ones(1 << 21)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(line: str) -> int:
    """Pages that fifty arrays of 16 MB ask the system for, after the first."""
    done = subprocess.run([sys.executable, "-c", ASKS.format(line)], check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be told so")
def test_what_one_question_frees_the_next_one_uses() -> None:
    assert faults("assert memory.keep_freed()") < faults("") / 5
