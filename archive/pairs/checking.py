"""Whether a file of weights is what it claims to be: pinned by the registry, or trusted when it was first fetched.

Two small files stand beside the weights. `trusted.json` names the digest that an unpinned file had when it was first
fetched; it is a promise and is kept. `verified.json` remembers which files were hashed already; it only saves time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from archive.disk import replace_file
from archive.errors import WeightsMissing, WeightsRejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive.pairs.registry import Weights

TRUSTED = "trusted.json"
VERIFIED = "verified.json"
CHUNK = 1 << 20


def verify(weights: Weights, folder: Path, *, pair: str = "PAIR") -> Path:
    """The path of a file whose bytes are what they must be; `pair` is the name that messages tell a person to pull.

    Raises:
        WeightsMissing: it is not on disk.
        WeightsRejected: it is something else, or nothing says what it must be.
    """
    path = place(weights, folder)
    expected = expected_digest(weights, folder)
    try:
        return _verified_path(weights, path, expected, pair)
    except FileNotFoundError:
        raise WeightsMissing(f"{weights.file} is not in {folder}; `archive models pull {pair}` fetches it") from None
    except OSError as error:
        raise WeightsRejected(f"{path} cannot be read: {error.strerror}; see who may read it") from error


def place(weights: Weights, folder: Path) -> Path:
    """Where the file belongs: in `folder`, whatever its name says.

    Raises:
        WeightsRejected: its name leaves the folder or takes the name of a file that is kept beside it.
    """
    name = weights.file
    if not name or name != Path(name).name or name.startswith(".") or not name.isprintable() or "\\" in name:
        raise WeightsRejected(f"{name!r} is no name for a file of weights")
    if name in {TRUSTED, VERIFIED} or name.endswith((".part", ".part.json", ".new")):
        raise WeightsRejected(f"{name!r} is a name that the archive keeps for itself")
    return folder / name


def expected_digest(weights: Weights, folder: Path) -> str | None:
    """The sha256 that the file must have: pinned, else trusted earlier, else None."""
    return weights.sha256 or _trusted(folder).get(weights.file)


def trust(weights: Weights, folder: Path, digest: str) -> None:
    """Promise that the file has this digest from now on."""
    with _folder_locked(folder):
        replace_json(folder / TRUSTED, {**_trusted(folder), weights.file: digest})


def remember(path: Path, digest: str) -> None:
    """Note that the file was hashed, so that the next start need not hash it again."""
    found = path.stat()
    # A folder that cannot be written can still be read from: its files are hashed at each start instead.
    with contextlib.suppress(OSError), _folder_locked(path.parent):
        replace_json(path.parent / VERIFIED, {**_verified(path.parent), path.name: [*_identity(found), digest]})


def unpinned(weights: Weights, pair: str = "PAIR") -> str:
    """What to tell a person about a file for which nobody vouches."""
    return (
        f"no published source names the sha256 of {weights.file}; "
        f"`archive models pull {pair} --trust-on-first-use` takes it as it comes and keeps to it"
    )


def mismatch(weights: Weights, expected: str, found: str) -> str:
    """What is wrong with bytes that are not those expected."""
    word = "pinned" if weights.sha256 else f"trusted in {TRUSTED}"
    return f"{weights.file} has sha256 {found}, but {expected} is {word}"


def replace_json(path: Path, content: object) -> None:
    """Write a small file so that a reader sees the old one or the new one, also after a power cut."""
    replace_file(path, (json.dumps(content, indent=2) + "\n").encode())


def _verified_path(weights: Weights, path: Path, expected: str | None, pair: str) -> Path:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise WeightsRejected(f"{path} is not a file; remove it and run `archive models pull {pair}`")
    if expected is None:
        raise WeightsRejected(unpinned(weights, pair))
    if weights.size is not None and found.st_size != weights.size:
        raise WeightsRejected(
            f"{path} has {found.st_size} bytes, expected {weights.size}; `archive models pull {pair}` fetches it anew"
        )
    if _verified(path.parent).get(path.name) == [*_identity(found), expected]:
        return path
    digest = _hash_and_remember(path, found)
    if digest != expected:
        raise WeightsRejected(f"{mismatch(weights, expected, digest)}; `archive models pull {pair}` fetches it anew")
    return path


def _hash_and_remember(path: Path, found: os.stat_result) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if _identity(path.stat()) == _identity(found):
        remember(path, digest)
    return digest


def _identity(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def _trusted(folder: Path) -> dict[str, str]:
    path = folder / TRUSTED
    try:
        digests = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise WeightsRejected(_broken_promise(path)) from error
    if not isinstance(digests, dict):
        raise WeightsRejected(_broken_promise(path))
    return digests


def _broken_promise(path: Path) -> str:
    return f"{path} cannot be read; delete it and pull again with --trust-on-first-use"


def _verified(folder: Path) -> dict[str, object]:
    try:
        known = json.loads((folder / VERIFIED).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # it only saves time: without it the files are hashed again
        return {}
    return known if isinstance(known, dict) else {}


@contextlib.contextmanager
def _folder_locked(folder: Path) -> Iterator[None]:
    """Wait for other writers of the two small files: each of them rewrites the whole file."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
