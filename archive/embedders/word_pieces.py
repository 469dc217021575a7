"""BERT's word pieces of plain texts, looked up in the bytes of the vocabulary's own file.

Plain is what is printable ASCII, names none of the vocabulary's own tokens and has no very long word: most of what
people ask in English. The rules are those of Hugging Face's `tokenizers`, which takes longer to load than all of a
short text's way through the tower: BertNormalizer, BertPreTokenizer, WordPiece. Of the file that it writes only the
settings are parsed, since a text has a handful of pieces and the vocabulary thousands.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any

_VOCABULARY = b'"vocab":{'
_NORMALIZER = {
    "type": "BertNormalizer",
    "clean_text": True,
    "handle_chinese_chars": True,
    "strip_accents": None,
    "lowercase": True,
}
_AROUND = ["SpecialToken", "Sequence", "SpecialToken"]
_WORD = r"[a-z0-9]+|[^\sa-z0-9]"
_LONGEST_NUMBER = 9
_LONGEST_WORD = 24
"""Letters: each beginning of each rest of a word is looked up, so of longer ones the library is sooner done."""


def is_plain(text: str) -> bool:
    """Whether a cleaned text can be encoded here."""
    is_short = max(map(len, text.split()), default=0) <= _LONGEST_WORD
    return is_short and text.isascii() and text.isprintable() and "[" not in text


class WordPieces:
    """The encoding of a vocabulary, from the bytes of its `tokenizer.json`.

    Raises:
        ValueError: it is of another kind.
    """

    def __init__(self, content: bytes) -> None:
        before, opening, vocabulary = content.partition(_VOCABULARY)
        settings: dict[str, Any] = json.loads(before + opening + b"}}}")
        model, parts = settings["model"], settings["post_processor"]["single"]
        if (
            settings["normalizer"] != _NORMALIZER
            or settings["pre_tokenizer"] != {"type": "BertPreTokenizer"}
            or settings["truncation"]["direction"] != "Right"
            or model["type"] != "WordPiece"
            or [next(iter(part)) for part in parts] != _AROUND
            or any("[" not in token["content"] for token in settings["added_tokens"])
        ):
            raise ValueError("a vocabulary of another kind")
        self._vocabulary = b"," + vocabulary
        self._context = settings["truncation"]["max_length"]
        self._longest = model["max_input_chars_per_word"]
        self._prefix = model["continuing_subword_prefix"]
        self._unknown = self._number(model["unk_token"])
        self._start, self._end = (self._number(part["SpecialToken"]["id"]) for part in parts[::2])

    def encode(self, text: str) -> list[int]:
        """The tokens of a cleaned text that is plain."""
        found = (token for word in re.findall(_WORD, text.lower()) for token in self._pieces(word))
        return [self._start, *islice(found, self._context - 2), self._end]

    def _pieces(self, word: str) -> list[int]:
        """The longest piece that a word begins with, then that of its rest; unknown, where it is not made of pieces."""
        tokens: list[int] = []
        start = 0
        while start < len(word) <= self._longest:
            prefix = self._prefix if start else ""
            ends = range(len(word), start, -1)
            found = ((self._number(prefix + word[start:end]), end) for end in ends)
            token, start = next((one for one in found if one[0] >= 0), (-1, 0))
            if token < 0:
                return [self._unknown]
            tokens.append(token)
        return tokens or [self._unknown]

    def _number(self, piece: str) -> int:
        """The token of a piece, -1 where there is no such piece."""
        entry = b"," + json.dumps(piece).encode() + b":"
        place = self._vocabulary.find(entry)
        if place < 0:
            return -1
        number = self._vocabulary[place + len(entry) : place + len(entry) + _LONGEST_NUMBER]
        return int(number.partition(b",")[0].rstrip(b"}"))
