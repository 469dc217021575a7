"""Children of a process that has everything imported: a command costs its work, not an interpreter's start."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import traceback
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Generic, TypeVar

from archive import cli
from tests.commands import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 120
"""Seconds after which a child that still runs is taken to hang, and ended."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Ended(Generic[Value]):
    """How a child ended: with a value, or by a signal."""

    value: Value | None
    signal: int = 0


def freeze() -> None:
    """Keep all that is imported and made so far where children share it, instead of each copying what gc touches."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Child(Generic[Value]):
    """A process that does something, and the pipe on which its value comes."""

    process: int
    reading: int

    def end(self) -> Ended[Value]:
        """Wait for it.

        Raises:
            RuntimeError: it raised what nobody expected.
        """
        with os.fdopen(self.reading, "rb") as pipe:
            told = pipe.read()
        _, status = os.waitpid(self.process, 0)
        if os.WIFSIGNALED(status) or not told:
            return Ended(None, os.WTERMSIG(status))
        went_well, value = pickle.loads(told)
        if not went_well:
            raise RuntimeError(value)
        return Ended(value)


def begin(work: Callable[[], Value]) -> Child[Value]:
    """Let a child do something."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return Child(process, reading)
    try:
        os.close(reading)
        signal.alarm(PATIENCE)
        pickled = pickle.dumps((True, work()))
    except BaseException:  # noqa: BLE001  (it is told to the parent, who raises it)
        pickled = pickle.dumps((False, traceback.format_exc()))
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(pickled)
    os._exit(0)


def in_child(work: Callable[[], Value]) -> Ended[Value]:
    """Do something in a child, and wait for it."""
    return begin(work).end()


def run(*arguments: object) -> Outcome:
    """Run a command in this very process, as a shell would see it."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.run([str(argument) for argument in arguments])
    return Outcome(code, out.getvalue(), err.getvalue())
