"""A card that goes while it is read: a file system of our own, which stops answering at its n-th call.

Pulled: every call fails from then on, as on a reader whose card is out. Vanished: the mount goes too, as a desktop does
it, and an empty folder stays. A bad sector: one file cannot be read, all else can.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import shutil
import signal
import struct
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from archive.photos.reading import digest_of
from tests.faults.children import freeze, in_child, run
from tests.faults.operations import Told, Verdict, make_card, unclear
from tests.faults.oracle import belongings, differences, expected, leftovers, not_whole, unsound
from tests.faults.points import listen, told_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.commands import Outcome

MNT_DETACH = 2
PHOTOS = 8
MOUNTS_WITHIN = 10.0
"""Seconds."""

COUNTERS = struct.Struct("qq")
"""Calls that were answered, and attempts to alter something."""

ALTERING = (
    "chmod", "chown", "create", "link", "mkdir", "mknod", "removexattr", "rename", "rmdir", "setxattr", "symlink",
    "truncate", "unlink", "utimens", "write",
)  # fmt: skip


class Way(StrEnum):
    """How a card is lost."""

    PULLED = "card pulled"
    VANISHED = "card vanished"
    BAD_SECTOR = "bad sector"


@dataclass(frozen=True)
class Loss:
    """At which call a card is lost, counted from one; of a bad sector, in which of its files that is."""

    way: Way
    number: int

    def __str__(self) -> str:
        return f"{self.way} at {self.number}"


def missing() -> str | None:
    """Why there can be no such card here; None where there can."""
    if not os.access("/dev/fuse", os.W_OK):
        return "needs /dev/fuse"
    if os.geteuid() != 0:
        return "needs root, who may mount without asking"
    try:
        import mfusepy  # noqa: F401
    except (ImportError, OSError) as error:
        return f"needs mfusepy and libfuse ({error})"
    return None


@dataclass
class Reader:
    """A card reader with a card in it, and what it counts, in memory that it shares with who looks at it."""

    card: Path
    loss: Loss | None
    mounted: Path
    counters: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, COUNTERS.size))

    @property
    def calls(self) -> int:
        """Calls that it was asked."""
        return int(COUNTERS.unpack(self.counters)[0])

    @property
    def alterations(self) -> int:
        """Calls that would have altered the card."""
        return int(COUNTERS.unpack(self.counters)[1])

    def count(self, calls: int = 0, alterations: int = 0) -> None:
        """So many more."""
        COUNTERS.pack_into(self.counters, 0, self.calls + calls, self.alterations + alterations)

    def answer(self, path: str, *, reading: bool = False) -> Path:
        """Where a path of the card is; an error where the card is lost.

        Raises:
            OSError: it is.
        """
        self.count(calls=1)
        if self.loss is None:
            return self.card / path.lstrip("/")
        if self.loss.way is Way.BAD_SECTOR:
            if reading and Path(path).name == f"IMG_{self.loss.number:04d}.jpg":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        elif self.calls >= self.loss.number:
            if self.loss.way is Way.VANISHED:
                ctypes.CDLL(None).umount2(os.fsencode(self.mounted), MNT_DETACH)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self.card / path.lstrip("/")

    def serve(self) -> None:
        """Answer until the mount is taken away."""
        import mfusepy

        reader = self

        class Operations(mfusepy.Operations):  # type: ignore[misc]
            use_ns = True

            def getattr(self, path: str, _fh: int | None = None) -> dict[str, int]:
                found = reader.answer(path).lstat()
                names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid")
                times = {name: getattr(found, f"{name}_ns") for name in ("st_atime", "st_ctime", "st_mtime")}
                return {name: getattr(found, name) for name in names} | times

            def readdir(self, path: str, _fh: int) -> list[str]:
                return [".", "..", *sorted(entry.name for entry in reader.answer(path).iterdir())]

            def open(self, path: str, flags: int) -> int:
                if flags & (os.O_WRONLY | os.O_RDWR):
                    reader.count(alterations=1)
                    raise OSError(errno.EROFS, os.strerror(errno.EROFS))
                return os.open(reader.answer(path), os.O_RDONLY)

            def read(self, path: str, size: int, offset: int, handle: int) -> bytes:
                reader.answer(path, reading=True)
                return os.pread(handle, size, offset)

            def release(self, _path: str, handle: int) -> int:
                os.close(handle)
                return 0

        def refuse(_self: object, *_arguments: object) -> int:
            reader.count(alterations=1)
            return -errno.EROFS

        for name in ALTERING:
            setattr(Operations, name, refuse)
        nothing_kept = {"attr_timeout": 0, "entry_timeout": 0, "negative_timeout": 0}
        mfusepy.FUSE(Operations(), str(self.mounted), foreground=True, nothreads=True, **nothing_kept)


@contextmanager
def inserted(card: Path, loss: Loss | None, mounted: Path) -> Iterator[Reader]:
    """The folder `card` as a card at `mounted`, which will be lost."""
    mounted.mkdir(exist_ok=True)
    device = mounted.stat().st_dev
    reader = Reader(card, loss, mounted)
    process = os.fork()
    if not process:
        reader.serve()
        os._exit(0)
    try:
        wait_for_mount(mounted, device)
        # What was asked until here, nobody's loss shall be counted by.
        COUNTERS.pack_into(reader.counters, 0, 0, 0)
        yield reader
    finally:
        ctypes.CDLL(None).umount2(os.fsencode(mounted), MNT_DETACH)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def wait_for_mount(mounted: Path, device: int) -> None:
    """Until another device is there, by the system's own list: a stat would be a call of the card."""
    deadline = time.monotonic() + MOUNTS_WITHIN
    while f" {mounted} " not in Path("/proc/self/mounts").read_text(encoding="ascii", errors="replace"):
        assert time.monotonic() < deadline, f"nothing but {device} is at {mounted}"
        time.sleep(0.002)


def make(folder: Path) -> Path:
    """A card with photos in two folders; what each point will need of it is loaded and worked out here."""
    import mfusepy  # noqa: F401

    card = folder / "card"
    make_card(card / "DCIM" / "100", range(PHOTOS // 2))
    make_card(card / "DCIM" / "101", range(PHOTOS // 2, PHOTOS))
    expected(card.rglob("*.jpg"))
    assert run("ingest", card, "--home", folder / "home").code == 0
    assert run("query", "red", "--home", folder / "home").code == 0
    assert run("check", "--data", "--home", folder / "home").code == 0
    shutil.rmtree(folder / "home")
    freeze()
    return card


def calls(folder: Path, card: Path) -> int:
    """How much an undisturbed ingest asks of the card."""
    home = folder / "home"
    with inserted(card, None, folder / "mounted") as reader:
        done = in_child(lambda: run("ingest", reader.mounted, "--home", home)).value
        assert done is not None
        assert done.code == 0, done.err
        shutil.rmtree(home)
        return reader.calls


def lose(folder: Path, card: Path, loss: Loss) -> Verdict | None:
    """Ingest a card that is lost, then the same card again, whole; None where the ingest was done before."""
    home, notes = folder / "home", folder / "told"
    shutil.rmtree(home, ignore_errors=True)
    notes.unlink(missing_ok=True)

    def ingest() -> Outcome:
        listen(notes)
        return run("ingest", reader.mounted, "--home", home)

    with inserted(card, loss, folder / "mounted") as reader:
        ended = in_child(ingest)
        if loss.way is not Way.BAD_SECTOR and reader.calls < loss.number:
            return None
    if ended.value is None:
        return Verdict([f"it ended by {signal.Signals(ended.signal).name}"], [])
    told = told_at(notes, ended.value)
    altered = [f"it tried to alter the card {reader.alterations} times"] * bool(reader.alterations)
    judged = in_child(lambda: judge(home, card, told, loss)).value
    assert judged is not None
    return Verdict(judged.after + altered, judged.again)


def judge(home: Path, card: Path, told: Told, loss: Loss) -> Verdict:
    """What is wrong once the card is gone, and once it came again."""
    every = expected(sorted(card.rglob("*.jpg")))
    must = {digest: every[digest] for digest in told.kept}
    if loss.way is Way.BAD_SECTOR:
        bad = {digest_of(path.read_bytes()) for path in card.rglob(f"IMG_{loss.number:04d}.jpg")}
        must = {digest: score for digest, score in every.items() if digest not in bad}
        after = [] if told.code == 1 else [f"it ended with {told.code}: {told.words}"]
    elif told.code == 2 and not told.kept and "cannot be read" in told.words:  # lost before the run had begun
        after = []
    else:
        after = unclear(Told(3, told.words)) if told.code == 4 else [f"it ended with {told.code}: {told.words}"]
    if (home / "catalog.sqlite").exists() and must:
        after += (
            not_whole(home, must) + differences(run, home, must, {}) + unsound(run("check", "--data", "--home", home))
        )
    done = run("ingest", card, "--home", home)
    again = [] if done.code == 0 else [f"run again, it ended with {done.code}: {done.err}"]
    again += differences(run, home, every, {}) + unsound(run("check", "--data", "--home", home))
    return Verdict(after, again + belongings(home, card) + leftovers(home))
