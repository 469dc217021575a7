"""The faulty disk of `faulty_disk.c`, from Python: compiled, preloaded into a new interpreter, armed by children."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

SOURCE = Path(__file__).with_name("faulty_disk.c")
PRELOADED = "FAULTY_DISK"


class Mode(IntEnum):
    """What happens at the call: nothing, death before it, or in its middle; an error once, or ever after; no power."""

    COUNT = 1
    KILL = 2
    TORN = 3
    ONCE = 4
    FROM_THERE_ON = 5
    POWER_CUT = 6


@dataclass(frozen=True)
class Fault:
    """What happens at the n-th changing call; before the call `early` the system has written everything back."""

    mode: Mode
    number: int = 0
    error: int = 0
    early: int = 0

    def __str__(self) -> str:
        error = f" {errno.errorcode[self.error]}" if self.error else ""
        early = f", written back at {self.early}" if self.early else ""
        return f"{self.mode.name.lower()}{error} at {self.number}{early}"


def missing() -> str | None:
    """Why there can be no faulty disk here; None where there can."""
    if sys.platform != "linux":
        return "needs Linux, where a library can be preloaded"
    return None if shutil.which("cc") else "needs cc, which compiles the faulty disk"


def run_again_with_it(module: str) -> None:
    """Replace this process by one over the faulty disk, unless it is that one. It has no threads: it is to fork."""
    if os.environ.pop(PRELOADED, None) == str(os.getpid()):
        # What was preloaded is in this process for good; those that it starts do without.
        shutil.rmtree(Path(os.environ.pop("LD_PRELOAD")).parent)
        return
    library = Path(mkdtemp(prefix="faulty-disk-")) / "faulty_disk.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    once = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **once, "LD_PRELOAD": str(library), PRELOADED: str(os.getpid())}
    os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], environment)


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    library.disk_arm.argtypes = (*[ctypes.c_int, ctypes.c_long] * 2, ctypes.c_char_p, ctypes.c_int)
    library.disk_seen.restype = ctypes.c_long
    library.disk_cut_power.argtypes = library.disk_write_back.argtypes = (ctypes.c_char_p,)
    return library


def arm(fault: Fault, below: Path, notes: int = -1) -> None:
    """From now on changes below the folder count; each is written to the descriptor `notes`."""
    _library().disk_arm(fault.mode, fault.number, fault.error, fault.early, os.fsencode(below), notes)


def disarm() -> bool:
    """From now on the disk is sound; whether the fault was met before."""
    _library().disk_disarm()
    return bool(_library().disk_struck())


def cut_power(folder: Path) -> None:
    """The file system of the folder loses whatever was not synced, and does nothing any more."""
    _library().disk_cut_power(os.fsencode(folder))


def write_back(folder: Path) -> None:
    """Everything that was written to the file system of the folder is on its disk."""
    _library().disk_write_back(os.fsencode(folder))
