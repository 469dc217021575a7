"""Values of the archive as JSON and back, without loss: how a running server hands an answer to the shell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

Value = TypeVar("Value")


def packed(value: object) -> Any:  # noqa: ANN401  (whatever JSON has)
    """A value of `archive.types` as what `json` takes: named tuples as objects, moments as ISO 8601."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: packed(one) for name, one in zip(value._fields, value, strict=True)}
    if isinstance(value, tuple | list):
        return [packed(one) for one in value]
    if isinstance(value, Mapping):
        return {key: packed(one) for key, one in value.items()}
    if isinstance(value, Enum):
        return value.value
    return value.isoformat() if isinstance(value, datetime) else value


def unpacked(kind: type[Value], value: Any) -> Value:  # noqa: ANN401
    """The value that `packed` was given; `kind` is its type.

    Raises:
        TypeError, ValueError, KeyError: it was another's, or one of another version.
    """
    return cast("Value", _unpacked(kind, value))


def _unpacked(kind: Any, value: Any) -> Any:  # noqa: ANN401
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return None if value is None else _unpacked(next(one for one in arguments if one is not NoneType), value)
    if origin is tuple:
        return tuple(_unpacked(arguments[0], one) for one in value)
    if origin is Mapping:
        return {key: _unpacked(arguments[1], one) for key, one in value.items()}
    if issubclass(kind, tuple):
        if not isinstance(value, dict):
            raise TypeError(f"{kind.__name__} is an object, not {value!r:.80}")
        hints = _hints(kind)
        return kind(**{name: _unpacked(hints[name], one) for name, one in value.items()})
    if issubclass(kind, datetime):
        return datetime.fromisoformat(value)
    return kind(value)


@cache
def _hints(kind: type) -> dict[str, Any]:
    # `archive.types` imports them for its annotations alone.
    return get_type_hints(kind, localns={"datetime": datetime, "Mapping": Mapping})
