"""The one small file that an archive of more than one machine is told about: TOML, read once at the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive.errors import UsageError
from archive.settings import Cluster

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = 'metadata = "postgresql+psycopg://archive@db/archive"'

BEGINNINGS = {
    "metadata": ("postgresql://", "postgresql+psycopg://"),
    "originals": ("s3://",),
    "vectors": ("milvus://",),
    "executor": ("local", "ray://"),
}
"""What the values that are addresses begin with."""

LISTS = ("allowed",)


def read(path: Path) -> Cluster:
    """What the file at `path` says.

    Raises:
        UsageError: there is no such file, or it says something that is no part of a cluster.
    """
    import tomllib

    try:
        with path.open("rb") as file:
            told = tomllib.load(file)
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise UsageError(f"--config {path}: {reason}; write a file with a line such as {EXAMPLE}") from error
    except ValueError as error:
        raise UsageError(f"--config {path} is not TOML ({error}); a line of it looks like {EXAMPLE}") from error
    return _cluster(path, told)


def _cluster(path: Path, told: dict[str, object]) -> Cluster:
    known = [field for field in Cluster._fields if field not in LISTS]
    texts: dict[str, str] = {}
    allowed: tuple[str, ...] = ()
    for key, value in told.items():
        if key in LISTS:
            allowed = _names(path, key, value)
        elif key not in known:
            raise UsageError(f"--config {path}: there is no key {key!r}; the keys are {', '.join([*known, *LISTS])}")
        elif not isinstance(value, str) or not value.strip():
            raise UsageError(f"--config {path}: {key} must be a text in quotes that says something")
        else:
            texts[key] = _address(path, key, value.strip())
    if allowed and texts.get("wearer", allowed[0]) not in allowed:
        raise UsageError(f"--config {path}: the wearer {texts['wearer']!r} is not among those allowed")
    return Cluster(**texts, allowed=allowed)


def _names(path: Path, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) and name.strip() for name in value):
        raise UsageError(f'--config {path}: {key} must be a list of names, such as ["anna", "ben"]')
    return tuple(name.strip() for name in value)


def _address(path: Path, key: str, value: str) -> str:
    # The value stays out of the message: it may hold a password.
    beginnings = BEGINNINGS.get(key)
    if beginnings and not value.startswith(beginnings):
        raise UsageError(f"--config {path}: {key} must begin with {' or '.join(beginnings)}")
    return value
