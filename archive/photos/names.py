"""Names from a card, made safe to show: on a terminal, a file's name must stay text."""

from __future__ import annotations

import os
import unicodedata

UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control (C0 and C1), format (bidi marks among them), surrogate, and line and paragraph separators."""

JOINERS = "\u200c\u200d"
"""Two format characters that ordinary writing needs: Persian and Indic words, and emoji that are put together."""

ESCAPED_BYTES = range(0xDC80, 0xDD00)
"""Where `os.fsdecode` puts the bytes of a name that are not UTF-8."""


def printable(name: str | bytes) -> str:
    r"""The name with everything that a terminal could act on, or hide text with, written as `\x1b` or `\u202e`."""
    text = os.fsdecode(name) if isinstance(name, bytes) else name
    if text.isascii() and text.isprintable():
        return text
    padded = f" {text} "
    return "".join(_shown(padded[at], padded[at - 1], padded[at + 1]) for at in range(1, len(padded) - 1))


def _shown(character: str, before: str, after: str) -> str:
    if _is_safe(character) or (character in JOINERS and _can_join(before) and _can_join(after)):
        return character
    code = ord(character)
    if code in ESCAPED_BYTES:
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _is_safe(character: str) -> bool:
    return unicodedata.category(character) not in UNSAFE_CATEGORIES


def _can_join(character: str) -> bool:
    """Whether it can be of a script that needs joiners."""
    return not character.isascii() and _is_safe(character)
