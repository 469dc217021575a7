"""Keeps the noise of open_clip, transformers and torch's exporter away from a person's terminal."""

from __future__ import annotations

import logging
import os
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
"""Read by the libraries when they are imported, so it is set before."""


def forbid_connections() -> None:
    """Tell the libraries that load weights to stay off the network. To be called before they are imported."""
    os.environ.update(OFFLINE)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what open_clip says to the root logger, which it would otherwise give a handler of its own."""
    root = logging.getLogger()
    handler = logging.NullHandler()
    root.addHandler(handler)
    root.addFilter(_drop)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        root.removeFilter(_drop)
        root.removeHandler(handler)


def _drop(_record: logging.LogRecord) -> bool:
    return False
