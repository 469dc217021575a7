"""Progress: a bar with rate and time left on a terminal, silence everywhere else."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress, Task
    from rich.text import Text

    from archive.pairs.registry import Weights


class Bar:
    """One bar; `begin` gives it its length, `step` moves it on."""

    def __init__(self, progress: Progress | None, label: str) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=None) if progress else None
        self._total = 0

    def begin(self, total: int) -> None:
        """There are so many more things to do."""
        self._total += total
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, total=self._total)

    def step(self) -> None:
        """One more is done."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task)


@contextmanager
def bar(label: str) -> Iterator[Bar]:
    """A bar on stderr while the block runs, if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield Bar(None, label)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

    class Rate(ProgressColumn):
        """Things per second, over the last while."""

        def render(self, task: Task) -> Text:
            from rich.text import Text

            return Text("" if task.speed is None else f"{task.speed:.1f}/s", style="cyan")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Bar(progress, label)


@contextmanager
def download_bars() -> Iterator[Callable[[Weights], Callable[[int, int | None], None]] | None]:
    """For each file that is fetched, a callback that moves a bar of its own; None where no terminal shows it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:

        def begin(weights: Weights) -> Callable[[int, int | None], None]:
            task = progress.add_task(weights.file, total=weights.size)

            def move(done: int, total: int | None) -> None:
                progress.update(task, completed=done, total=total)

            return move

        yield begin
