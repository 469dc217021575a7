"""Cleans a query exactly as open_clip cleaned the captions that its towers learned from (open_clip/tokenizer.py)."""

from __future__ import annotations

import string

NO_PUNCTUATION = str.maketrans("", "", string.punctuation)

RULES = ("canonicalize", "lower", "whitespace")
"""What a config's `tokenizer_kwargs` can call `clean`."""


def clean(text: str, rule: str) -> str:
    """The text as the tokenizer sees it: repaired, without entities, in single spaces, and as its rule says."""
    text = _repaired(text)
    if rule == "canonicalize":
        text = text.replace("_", " ").translate(NO_PUNCTUATION)
    text = " ".join(text.split())
    return text if rule == "whitespace" else text.lower()


def _repaired(text: str) -> str:
    """What ftfy and two rounds of html.unescape leave; neither touches printable ASCII without an ampersand."""
    if text.isascii() and text.isprintable() and "&" not in text:
        return text
    import html

    import ftfy

    repaired: str = ftfy.fix_text(text)
    return html.unescape(html.unescape(repaired))
