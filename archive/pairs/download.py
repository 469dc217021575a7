"""The pull of weights from where they are published.

A file arrives as `<file>.part` under a lock, is hashed as it arrives, and takes its name only when its sha256 is the
one expected. An interrupted pull keeps the `.part`; the next one asks for the rest, and starts over where the server
has something else by now. Nothing that arrives is opened or loaded here.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import http.client
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from archive.disk import sync
from archive.errors import ArchiveBusy, DownloadFailed, WeightsMissing, WeightsRejected
from archive.pairs import addresses, checking
from archive.pairs.checking import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message
    from hashlib import _Hash
    from pathlib import Path

    from archive.pairs.registry import Weights

    Progress = Callable[[int, int | None], None]

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as lost."""

MOST_BYTES = 8 << 30
"""What a file may have at most where no source names its size."""


def fetch(
    weights: Weights,
    folder: Path,
    *,
    trust_on_first_use: bool = False,
    progress: Progress | None = None,
    pair: str = "PAIR",
    timeout: float = TIMEOUT,
) -> Path:
    """The verified file, fetched if need be. `progress` is given the bytes that are here, and all of them if known.

    Raises:
        WeightsRejected: the bytes are not those expected, or nobody vouches for them and they were not to be trusted.
        DownloadFailed: the connection broke or the disk is full; the next pull resumes.
        ArchiveBusy: another process fetches the same file.
    """
    target = checking.place(weights, folder)
    with _disk_errors_named(weights):
        if _is_good(weights, folder):
            return target
        if not addresses.is_safe(weights.url, weights.url):
            raise WeightsRejected(f"{weights.url} is not an https address; nothing was fetched")
        if not trust_on_first_use and checking.expected_digest(weights, folder) is None:
            raise WeightsRejected(checking.unpinned(weights, pair))
        _make_private(folder)
        with _part_locked(target, weights) as file:
            pull = _Pull(weights, target, file, checking.expected_digest(weights, folder), progress or _silent, timeout)
            if _is_good(weights, folder):  # another process fetched it just now
                pull.discard()
            else:
                pull.run()
    return target


@dataclass(slots=True)
class _Pull:
    """One file on its way, under its lock."""

    weights: Weights
    target: Path
    file: BinaryIO
    expected: str | None
    progress: Progress
    timeout: float

    def run(self) -> None:
        """Fetch what is missing, then check all of it, then give the file its name."""
        try:
            digest = self._receive().hexdigest()
            self._check(digest)
        except WeightsRejected:
            self.discard()
            raise
        os.fsync(self.file.fileno())
        if self.expected is None:
            checking.trust(self.weights, self.target.parent, digest)
        self._part.replace(self.target)
        self._note.unlink(missing_ok=True)
        sync(self.target.parent)
        checking.remember(self.target, digest)

    def discard(self) -> None:
        """Remove what arrived."""
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _check(self, digest: str) -> None:
        if self.expected is not None and digest != self.expected:
            raise WeightsRejected(f"{checking.mismatch(self.weights, self.expected, digest)}; nothing of it was kept")

    def _receive(self) -> _Hash:
        """The hash of the whole file, once all of it is here."""
        here = self._resumable()
        arrived = self._hash_until(here)
        if here and arrived.hexdigest() == self.expected:
            return arrived
        with contextlib.suppress(_StartOver):
            return self._receive_from(here, arrived)
        try:
            return self._receive_from(0, hashlib.sha256())
        except _StartOver as error:
            raise DownloadFailed(f"{self.weights.url} answers with parts that do not fit; try again later") from error

    def _receive_from(self, here: int, arrived: _Hash) -> _Hash:
        with self._ask(here) as response:
            begin, total = self._start(response, here)
            self.file.truncate(begin)
            self.file.seek(begin)
            self._note_etag(response.headers)
            return self._append(response, begin, total, arrived if begin else hashlib.sha256())

    def _ask(self, here: int) -> http.client.HTTPResponse:
        request = urllib.request.Request(self.weights.url, headers={"User-Agent": "archive"})  # noqa: S310
        if here:
            request.add_header("Range", f"bytes={here}-")
            if etag := self._noted_etag():
                request.add_header("If-Range", etag)
        opener = addresses.opener(self.weights.url)
        try:
            response: http.client.HTTPResponse = opener.open(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and here:
                raise _StartOver from error
            raise DownloadFailed(f"{self.weights.url} answers {error.code} {error.reason}; try again later") from error
        except (OSError, http.client.HTTPException) as error:
            raise self._interrupted(here, error) from error
        return response

    def _start(self, response: http.client.HTTPResponse, here: int) -> tuple[int, int | None]:
        """Where in the file the answer begins, and how long the whole of it is."""
        size = self.weights.size
        if response.status == http.HTTPStatus.PARTIAL_CONTENT:
            begin, total = _content_range(response.headers)
            if begin != here or (size is not None and total != size):
                raise _StartOver
        else:
            begin, total = 0, _length(response.headers)
        if not total and size is None and self.weights.sha256 is None:
            raise DownloadFailed(f"{self.weights.url} does not say how long the file is, so a cut would go unseen")
        if total is not None and total != (size or min(total, MOST_BYTES)):
            raise WeightsRejected(
                f"{self.weights.file} has {total} bytes at its source, expected {size or f'at most {MOST_BYTES}'}"
            )
        return begin, size or total

    def _append(self, response: http.client.HTTPResponse, here: int, total: int | None, digest: _Hash) -> _Hash:
        most = total or MOST_BYTES
        self.progress(here, total)
        while chunk := self._read(response, here):
            if here + len(chunk) > most:
                raise WeightsRejected(f"{self.weights.file} is longer than {most} bytes at its source")
            _write(self.file, chunk)
            digest.update(chunk)
            here += len(chunk)
            self.progress(here, total)
        if total is not None and here < total:
            raise self._interrupted(here, "the connection closed early")
        return digest

    def _read(self, response: http.client.HTTPResponse, here: int) -> bytes:
        try:
            return response.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise self._interrupted(here, error) from error

    def _interrupted(self, here: int, reason: object) -> DownloadFailed:
        reason = getattr(reason, "reason", reason)
        return DownloadFailed(
            f"the pull of {self.weights.file} stopped at {here} bytes ({reason}); the same command resumes it"
        )

    def _resumable(self) -> int:
        """Bytes of the `.part` that a request for the rest can build on."""
        here = os.fstat(self.file.fileno()).st_size
        if here > (self.weights.size or MOST_BYTES):
            return 0
        # Without an ETag only a pinned digest can tell whether two halves belong together.
        return here if self._noted_etag() or self.weights.sha256 else 0

    def _hash_until(self, here: int) -> _Hash:
        digest = hashlib.sha256()
        while here > 0 and (chunk := self.file.read(min(CHUNK, here))):
            digest.update(chunk)
            here -= len(chunk)
        return digest

    def _noted_etag(self) -> str | None:
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            return str(note["etag"]) if note["url"] == self.weights.url else None
        except (FileNotFoundError, ValueError, TypeError, KeyError):  # a pull that cannot resume starts over
            return None

    def _note_etag(self, headers: Message) -> None:
        etag = headers.get("ETag", "")
        if etag.startswith('"'):  # a weak one says nothing about bytes (RFC 9110, 13.1.5)
            checking.replace_json(self._note, {"url": self.weights.url, "etag": etag})
        else:
            self._note.unlink(missing_ok=True)

    @property
    def _part(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    @property
    def _note(self) -> Path:
        return self.target.with_name(self.target.name + ".part.json")


class _StartOver(Exception):  # noqa: N818
    """The server's file is not the one that the `.part` is the beginning of."""


def _is_good(weights: Weights, folder: Path) -> bool:
    try:
        checking.verify(weights, folder)
    except (WeightsMissing, WeightsRejected):  # whatever is wrong with it, a pull puts it right
        return False
    return True


@contextlib.contextmanager
def _part_locked(target: Path, weights: Weights) -> Iterator[BinaryIO]:
    """The `.part`, open for this process alone; it stays when the pull fails."""
    part = target.with_name(target.name + ".part")
    while True:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ArchiveBusy(f"another process is fetching {weights.file}; wait for it to end") from None
            if _is_still(part, file):
                os.fchmod(file.fileno(), 0o600)
                yield file
                return
        # Between opening and locking, another pull gave the file its name: look again.


def _is_still(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _disk_errors_named(weights: Weights) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            message = f"the disk is full; free some room and run the pull of {weights.file} again, it resumes"
        else:
            message = f"{weights.file} cannot be stored: {error}"
        raise DownloadFailed(message) from error


def _make_private(folder: Path) -> None:
    if not folder.parent.is_dir():
        _make_private(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def _write(file: BinaryIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[file.write(rest) :]


def _length(headers: Message) -> int | None:
    length = headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _content_range(headers: Message) -> tuple[int, int | None]:
    """Where a partial answer begins and how long the whole is: `bytes 5-9/10`."""
    unit, _, rest = headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    begin = span.partition("-")[0]
    if unit != "bytes" or not begin.isdecimal():
        raise _StartOver
    return int(begin), int(total) if total.isdecimal() else None


def _silent(_here: int, _total: int | None) -> None:
    pass
