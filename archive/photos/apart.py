"""Decoding what is suspicious in a process of its own, with bounds on memory and time: a hostile file ends only that.

A plain, whole JPEG, which is what cameras write, is decoded here; everything else by a worker process, which stays for
the next file. Bytes go in by a pipe and pixels come out by one; nothing is pickled. A file that kills the worker, or
takes too long, is a PhotoError like any other, and the next file gets a new worker.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import subprocess
import sys
from contextlib import suppress
from threading import Lock, Timer
from typing import IO, TYPE_CHECKING

import numpy as np

from archive.errors import PhotoError
from archive.photos.capture_time import ExifStamp
from archive.photos.reading import DecodedPhoto, decode, is_plain

if TYPE_CHECKING:
    from typing import Self

MOST_MEMORY = 4 << 30
"""Address space of a worker; 100 million pixels take 1.2 GB while they are turned."""

MOST_SECONDS = 30.0

_LENGTH = struct.Struct("<Q")


class ApartDecoder:
    """Decodes one file at a time. Use it in a `with` block; the worker begins with the first file."""

    def __init__(self, seconds: float = MOST_SECONDS) -> None:
        self._seconds = seconds
        self._worker: subprocess.Popen[bytes] | None = None
        self._one_at_a_time = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()

    def decode(self, content: bytes) -> DecodedPhoto:
        """The photo that `archive.photos.reading.decode` makes of these bytes.

        Raises:
            PhotoError: it is none, or decoding it took too much memory or time, or ended the worker.
        """
        if is_plain(content):
            return decode(content)
        with self._one_at_a_time:
            worker = self._worker = self._worker or _begin()
            watch = Timer(self._seconds, worker.kill)
            watch.start()
            try:
                return _exchange(worker, content)
            except (OSError, EOFError) as problem:
                self._end()
                raise PhotoError("needs more memory or time than a photo does, or breaks its decoder") from problem
            finally:
                watch.cancel()

    def _end(self) -> None:
        if self._worker is None:
            return
        self._worker.kill()
        for pipe in (self._worker.stdin, self._worker.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # what was not sent to it yet is worth nothing
                    pipe.close()
        self._worker.wait()
        self._worker = None


def decode_apart(content: bytes) -> DecodedPhoto:
    """Decode a single file: what is suspicious, by a worker that ends with it. See `ApartDecoder.decode`."""
    with ApartDecoder() as decoder:
        return decoder.decode(content)


def serve(source: IO[bytes], target: IO[bytes]) -> None:
    """What a worker does: decode what comes, until nothing comes any more."""
    while (content := _receive(source)) is not None:
        try:
            photo = decode(bytes(content))
        except PhotoError as error:
            _send(target, json.dumps({"reason": str(error)}).encode())
            continue
        height, width = photo.pixels.shape[:2]
        about = {"suffix": photo.suffix, "camera": photo.camera, "exif": photo.exif, "damage": photo.damage}
        _send(target, json.dumps({"size": [height, width], **about}).encode())
        _send(target, np.ascontiguousarray(photo.pixels).data.cast("B"))


def _begin() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "archive.photos.apart"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    # Its stderr goes nowhere: C libraries write there what a file made them say.
    return subprocess.Popen(  # noqa: S603  (our own interpreter, our own module)
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )


def _exchange(worker: subprocess.Popen[bytes], content: bytes) -> DecodedPhoto:
    if worker.stdin is None or worker.stdout is None:
        raise EOFError
    _send(worker.stdin, content)
    answer = _receive(worker.stdout)
    if answer is None:
        raise EOFError
    told = json.loads(answer)
    if "reason" in told:
        raise PhotoError(told["reason"])
    raw = _receive(worker.stdout)
    if raw is None:
        raise EOFError
    stamps = tuple(ExifStamp(*stamp) for stamp in told["exif"])
    pixels = np.frombuffer(raw, np.uint8).reshape(*told["size"], 3)
    return DecodedPhoto(pixels, told["suffix"], told["camera"], stamps, told["damage"])


def _send(pipe: IO[bytes], content: bytes | memoryview) -> None:
    pipe.write(_LENGTH.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytearray | None:
    head = pipe.read(_LENGTH.size)
    if not head:
        return None
    (length,) = _LENGTH.unpack(head)
    content = bytearray(length)
    view, filled = memoryview(content), 0
    while filled < length:
        part = pipe.read(min(length - filled, 1 << 20))
        if not part:
            raise EOFError
        view[filled : filled + len(part)] = part
        filled += len(part)
    return content


def _bound() -> None:
    """No more memory than a photo takes, no file written, no core left behind."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _bound()
    serve(sys.stdin.buffer, sys.stdout.buffer)
