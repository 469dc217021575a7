"""Which of a network's runtimes computes on this machine, settled on first use."""

from __future__ import annotations

from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING

from archive.runtimes.kept import best, runtime_of
from archive.runtimes.timing import machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from archive.runtimes.kept import Graphs, Precision, Runtime


class Fitted:
    """The choice for one network.

    `find` gives its graphs, None where it has none and torch computes; `asked` is the precision of the archive, None
    where a new one may choose; `clocks` time each runtime, in seconds for the same work.
    """

    def __init__(
        self,
        find: Callable[[], Graphs] | None,
        asked: Precision | None,
        clocks: Callable[[], Mapping[Runtime, Callable[[], float]]],
    ) -> None:
        self._find = find
        self._asked = asked
        self._clocks = clocks
        self._settling = RLock()

    @property
    def precision(self) -> Precision:
        """What the numbers are: it shows in their names."""
        with self._settling:
            return self._precision

    @property
    def runtime(self) -> Runtime:
        """What computes them: it shows nowhere."""
        with self._settling:
            return self._runtime

    @property
    def graph(self) -> Path:
        """The graph that computes, where one does."""
        return self.graphs.path(self.precision)

    @cached_property
    def graphs(self) -> Graphs:
        """All graphs of the network.

        Raises:
            ValueError: it has none.
        """
        if self._find is None:
            raise ValueError("this network has no graphs")
        return self._find()

    @cached_property
    def _precision(self) -> Precision:
        if self._find is None:
            return "exact"
        if not self.graphs.likeness().usable:
            return self._asked or "exact"
        return self._asked or best(self._timings, self.graphs.likeness())

    @cached_property
    def _runtime(self) -> Runtime:
        if self._find is None:
            return "torch"
        if self._precision == "int8":
            return "int8"
        if not self.graphs.likeness().usable:
            return "torch"
        return runtime_of("exact", self._timings, self.graphs.likeness())

    @cached_property
    def _timings(self) -> dict[Runtime, float]:
        return self.graphs.timings(machine(), self._clocks())
