"""Running the command line inside a test, over the world of coloured squares."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from archive import cli, parts
from tests.fakes import ColourEmbedder, ColourSegmenter


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def object(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed


class Run(Protocol):
    """Runs a command, given as its words."""

    def __call__(self, *arguments: object) -> Outcome:
        """How it ended."""


def heed_ctrl_c() -> None:
    """For what a test starts: tests in the background of a shell were told to ignore Ctrl-C, and it would, too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Commands:
    """Calls commands as a shell would, and returns how they ended."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Outcome:
        self._capsys.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        printed = self._capsys.readouterr()
        return Outcome(code, printed.out, printed.err)


@pytest.fixture
def archive(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The command line, with coloured parts as its pair."""
    monkeypatch.setitem(parts.SEGMENTERS, "colours", ColourSegmenter)
    monkeypatch.setitem(parts.EMBEDDERS, "colours", ColourEmbedder)
    monkeypatch.setenv("ARCHIVE_SEGMENTER", "colours")
    monkeypatch.setenv("ARCHIVE_EMBEDDER", "colours")
    return Commands(capsys)
