"""The graphs of one network, in the cache of weights: written once, whole or not at all, and recognised by digest.

<folder>/exact.onnx    the network as it is, float32
<folder>/int8.onnx     the same with its large products in eight bits
<folder>/graphs.json   how like the network each of them is, and the sha256 of both
<folder>/timings.json  how long each took on each machine; it only saves time, and may be lost
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from archive.disk import make_private_directory, replace_file, sync
from archive.errors import WeightsRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Precision: TypeAlias = Literal["exact", "int8"]
Runtime: TypeAlias = Literal["torch", "exact", "int8"]

PRECISIONS: tuple[Precision, ...] = ("exact", "int8")

FORMAT = 1
"""Changes with whatever changes the numbers of every int8 graph; it is part of such a graph's name.

What changes those of image towers alone is `archive.embedders.folder.PREPARED`."""

INT8 = f"int8.{FORMAT}"
"""What stands in the name of a space or a segmenter whose numbers come from an int8 graph."""

DESCRIPTION = "graphs.json"
TIMINGS = "timings.json"

WORTH = 1.2
"""An int8 graph must be so much faster than the exact network to become a new archive's space."""


class Likeness(NamedTuple):
    """How like the network its graphs are, from 0 to 1 by the measure of its kind; `usable` names the near enough."""

    exact: float
    int8: float
    usable: tuple[Precision, ...]


NO_GRAPHS = Likeness(0.0, 0.0, ())
"""What there is to say of a network that cannot be a graph."""


class Graphs:
    """The graphs in `folder`; `convert` writes exact.onnx and int8.onnx into a folder and says how like they are."""

    def __init__(self, folder: Path, convert: Callable[[Path], Likeness]) -> None:
        self._folder = folder
        self._convert = convert

    @property
    def ready(self) -> bool:
        """Whether they were written before."""
        return (self._folder / DESCRIPTION).is_file()

    def path(self, precision: Precision) -> Path:
        """A graph; one that is missing or damaged is written anew.

        Raises:
            WeightsRejected: the network cannot be one.
        """
        digests = self._described()[1]
        if not digests:
            raise WeightsRejected(f"{self._folder.name} has no graphs; `archive models use` chooses another pair")
        path = self._folder / f"{precision}.onnx"
        if not path.is_file() or _digest(path) != digests[path.name]:
            (self._folder / DESCRIPTION).unlink(missing_ok=True)
            self._described()
        return path

    def likeness(self) -> Likeness:
        """How like the network its graphs are."""
        return self._described()[0]

    def timings(self, machine: str, candidates: Mapping[Runtime, Callable[[], float]]) -> dict[Runtime, float]:
        """Seconds of each candidate on this machine, by the clock that each brings; remembered for the next time."""
        known = _read_json(self._folder / TIMINGS)
        if set(known.get(machine, {})) != set(candidates):
            known[machine] = {name: clock() for name, clock in candidates.items()}
            with suppress(OSError):  # a cache that cannot be written costs a second at each start
                replace_file(self._folder / TIMINGS, json.dumps(known, indent=1).encode())
        timed: dict[Runtime, float] = known[machine]
        return timed

    def _described(self) -> tuple[Likeness, dict[str, str]]:
        told = _read_json(self._folder / DESCRIPTION)
        if told.get("format") != FORMAT:
            self._write()
            told = _read_json(self._folder / DESCRIPTION)
        likeness = dict(told["likeness"], usable=tuple(told["likeness"]["usable"]))
        return Likeness(**likeness), told["files"]

    def _write(self) -> None:
        """Convert beside the place, then let file go over file; the description goes last and makes them count."""
        make_private_directory(self._folder)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".half-") as scratch:
            try:
                likeness = self._convert(Path(scratch))
            except WeightsRejected:  # torch computes it all the same, and need not be asked again
                likeness = NO_GRAPHS
            files = {}
            for name in (f"{precision}.onnx" for precision in PRECISIONS if likeness.usable):
                built = Path(scratch) / name
                files[name] = _digest(built)
                sync(built)
                built.replace(self._folder / name)
            sync(self._folder)
        told = {"format": FORMAT, "likeness": likeness._asdict(), "files": files}
        replace_file(self._folder / DESCRIPTION, (json.dumps(told, indent=1) + "\n").encode())


def precision_of(name: str) -> Precision:
    """Which precision the name of a space or a segmenter speaks of."""
    return "int8" if INT8 in name.replace("/", "-").split("-") else "exact"


def best(timings: Mapping[Runtime, float], likeness: Likeness) -> Precision:
    """Which precision a new archive is made with here."""
    exact = timings[runtime_of("exact", timings, likeness)]
    return "int8" if "int8" in likeness.usable and timings["int8"] * WORTH <= exact else "exact"


def runtime_of(precision: Precision, timings: Mapping[Runtime, float], likeness: Likeness) -> Runtime:
    """What computes at a precision here: the same numbers whichever it is, so the fastest may."""
    if precision == "int8":
        return "int8"
    return "exact" if "exact" in likeness.usable and timings["exact"] <= timings["torch"] else "torch"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
