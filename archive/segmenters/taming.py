"""The one place that imports ultralytics, and what keeps it from doing more than compute.

Left to itself it asks DNS servers on import, reports usage to Google, installs packages, downloads weights unchecked,
unpickles whatever a checkpoint holds, writes into the user's settings and replaces `PIL.Image.open` for everybody.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from archive.errors import ArchiveError, WeightsRejected

if TYPE_CHECKING:
    from collections.abc import Iterator

STANDING = {
    "YOLO_OFFLINE": "true",  # no DNS look-up on import, no usage report
    "YOLO_AUTOINSTALL": "false",  # never run pip
    "ULTRALYTICS_SAFE_LOAD": "1",  # checkpoints hold known classes only; nothing in them is executed
    "YOLO_VERBOSE": "false",  # it prints to stdout, which is ours
}
"""Variables that ultralytics reads, some of them again and again: they stay set."""

SECRETS = ("ULTRALYTICS_API_KEY",)
"""Variables that switch its platform client on."""

SETTINGS = '{"sync": false}'
"""What it finds in its settings file; it fills in the rest."""

FORBIDDEN = frozenset({
    "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.system", "pty.spawn",
    "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname",
    "socket.getnameinfo", "socket.sendmsg", "socket.sendto",
    "subprocess.Popen", "urllib.Request", "webbrowser.open",
})  # fmt: skip
"""Audit events of the ways out of a process: connections, name look-ups, other programs."""


@functools.cache
def ultralytics() -> Any:  # noqa: ANN401  (it has no types worth the name)
    """The library, imported once, with its settings in a private folder and its changes to other modules undone.

    Raises:
        ArchiveError: it cannot load checkpoints safely, or was imported before this could be arranged.
    """
    import torch  # noqa: F401  before the watch begins: it asks ldconfig where CUDA lies

    with _undone(), sealed("ultralytics"):
        import ultralytics
        import ultralytics.nn.tasks as tasks

    if not (tasks.SAFE_LOAD and tasks._SafeLoad.SUPPORTED):  # noqa: SLF001  (without it, it quietly unpickles)
        raise ArchiveError("ultralytics would run code from checkpoints: torch is older than 2.6, or it came in first")
    logging.getLogger("ultralytics").setLevel(logging.CRITICAL)
    return ultralytics


@contextmanager
def sealed(suspect: str) -> Iterator[None]:
    """Deny this thread connections and other programs for the length of the block.

    A second lock behind safe loading, not a sandbox: native code and new threads are not seen.

    Raises:
        WeightsRejected: something was denied, and the block failed of it.
    """
    _install_watch()
    outer = _watch.suspect, _watch.denied
    _watch.suspect, _watch.denied = suspect, None
    try:
        yield
    except Exception as error:
        if _watch.denied is None:
            raise
        raise WeightsRejected(
            f"{suspect} tried {_watch.denied}, which no segmenter needs; fetch other weights with `archive models pull`"
        ) from error
    finally:
        _watch.suspect, _watch.denied = outer


@contextmanager
def threads_kept() -> Iterator[None]:
    """Let torch go on with as many threads as before; ultralytics sets its own number, one core short of all."""
    import torch

    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Watch(threading.local):
    """What this thread is doing while it is sealed, and the last thing that it was denied."""

    suspect: str | None = None
    denied: str | None = None


_watch = _Watch()


def _deny(event: str, _arguments: tuple[object, ...], watch: _Watch = _watch) -> None:
    if event in FORBIDDEN and watch.suspect is not None:
        watch.denied = event
        raise PermissionError(f"{watch.suspect} may not use {event}")


@functools.cache
def _install_watch() -> None:
    """Once for the process: an audit hook cannot be taken out again."""
    sys.addaudithook(_deny)


@contextmanager
def _undone() -> Iterator[None]:
    """Give ultralytics the environment it needs for its import, then put back what the import changed."""
    import warnings

    import cv2
    import numpy as np
    import PIL.Image
    import torch

    before = dict(os.environ)
    patched = [(PIL.Image, "open"), (torch, "save"), (cv2, "imread"), (cv2, "imwrite"), (cv2, "imshow")]
    originals = [(module, name, getattr(module, name)) for module, name in patched]
    with ExitStack() as stack:
        settings = Path(stack.enter_context(TemporaryDirectory(prefix="archive-ultralytics-")))
        stack.enter_context(np.printoptions())
        stack.enter_context(warnings.catch_warnings())
        _furnish(settings)
        try:
            yield
        finally:
            for module, name, original in originals:
                setattr(module, name, original)
            _restore(before)


def _restore(before: dict[str, str]) -> None:
    """The variables as they were, but for the standing ones and the secrets; other threads may be reading them."""
    wanted = {name: value for name, value in before.items() if name not in SECRETS} | STANDING
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _furnish(settings: Path) -> None:
    folder = settings / "Ultralytics"
    folder.mkdir()
    (folder / "settings.json").write_text(SETTINGS)
    os.environ.update(STANDING, YOLO_CONFIG_DIR=str(settings))
    for name in SECRETS:
        os.environ.pop(name, None)
