"""Word pieces without the tokenizers library are those of the library, for every text that is plain."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from archive.embedders.word_pieces import WordPieces, is_plain
from archive.pairs.shipped import shipped_folder

FILE = shipped_folder("pocket") / "tokenizer.json"
CONTENT = FILE.read_bytes()
LIBRARY = Tokenizer.from_file(str(FILE))
PIECES = WordPieces(CONTENT)
VOCABULARY = json.loads(CONTENT)["model"]["vocab"]
PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="[")

ASKS_AND_LISTS_IMPORTS = """
import sys
from pathlib import Path
from archive.embedders.plain_tower import PlainTextTower
PlainTextTower(Path(sys.argv[1])).embed_text(["my keys"])
print("tokenizers" in sys.modules)
"""


@given(st.text(PRINTABLE, max_size=150))
def test_what_is_printed_on_a_keyboard_becomes_the_same_tokens(text: str) -> None:
    assert PIECES.encode(text) == LIBRARY.encode(text).ids


@given(st.lists(st.sampled_from(sorted(VOCABULARY)).filter(str.isascii), max_size=30).map(" ".join).filter(is_plain))
def test_words_and_parts_of_words_become_the_same_tokens(text: str) -> None:
    assert PIECES.encode(text) == LIBRARY.encode(text).ids
    assert PIECES.encode(text.replace(" ##", "")) == LIBRARY.encode(text.replace(" ##", "")).ids


@pytest.mark.parametrize("text", ["", "my keys", "A" * 100, "a" * 101, "don't", "29.11.", "lamp " * 40, '"\\', "C++"])
def test_odd_texts_become_the_same_tokens(text: str) -> None:
    assert PIECES.encode(text) == LIBRARY.encode(text).ids


@pytest.mark.parametrize("text", ["Ünïcode", "猫", "a [PAD] b", "a\tb", "a\u00a0b", "a " + "q" * 25])
def test_what_the_rules_here_do_not_cover_is_not_plain(text: str) -> None:
    assert not is_plain(text)


@pytest.mark.parametrize(
    ("its", "other"),
    [
        (b'"lowercase":true', b'"lowercase":false'),
        (b'"type":"BertPreTokenizer"', b'"type":"Whitespace"'),
        (b'"type":"WordPiece","unk_token"', b'"type":"WordLevel","unk_token"'),
        (b'"direction":"Right","max_length"', b'"direction":"Left","max_length"'),
        (b'"vocab":{', b'"words":{'),
        (b'"content":"[PAD]"', b'"content":"<pad>"'),
    ],
)
def test_a_vocabulary_of_another_kind_is_left_to_the_library(its: bytes, other: bytes) -> None:
    assert its in CONTENT
    with pytest.raises((ValueError, KeyError)):
        WordPieces(CONTENT.replace(its, other))


def test_the_built_in_pair_needs_no_tokenizers_library() -> None:
    command = [sys.executable, "-c", ASKS_AND_LISTS_IMPORTS, str(FILE.parent)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "False\n"
