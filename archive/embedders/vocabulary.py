"""Writes an open_clip model's vocabulary in the one format that the text tower reads, whichever kind it was."""

from __future__ import annotations

import gzip
import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from archive.embedders.byte_pairs import table
from archive.embedders.cleaning import RULES
from archive.errors import WeightsRejected

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from archive.embedders.folder import OpenClipFolder

MERGES = 49152 - 256 - 2
"""Merges that CLIP uses of its vocabulary file, which holds more (open_clip/tokenizer.py)."""
START, END = "<start_of_text>", "<end_of_text>"
PIECES = rf"(?i){START}|{END}|'s|'t|'re|'ve|'m|'ll|'d|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+"
CONTEXT = 77
"""Tokens of a text where a config does not say (open_clip's DEFAULT_CONTEXT_LENGTH)."""


class Vocabulary(NamedTuple):
    """A tokenizer with truncation and padding built in, and what happens to texts and tokens around it."""

    tokenizer: Tokenizer
    cleaning: str
    zeroed: int | None
    pairs: NDArray[np.uint32] | None = None
    """The table of its byte pairs, where it is CLIP's own; see `archive.embedders.byte_pairs`."""


def vocabulary_of(folder: OpenClipFolder) -> Vocabulary:
    """The vocabulary that open_clip's `get_tokenizer` would choose for this folder.

    Raises:
        WeightsRejected: the config asks for a setting that only training needs, or that is not known here.
    """
    text = folder.text
    settings: dict[str, Any] = dict(text.get("tokenizer_kwargs") or {})
    context = int(text.get("context_length", CONTEXT))
    named = bool(text.get("hf_tokenizer_name"))
    cleaning = settings.pop("clean", "whitespace" if named else "lower")
    strip = named and settings.pop("strip_sep_token", False)
    if settings or text.get("tokenizer_mode") or cleaning not in RULES:
        raise WeightsRejected(
            f"{folder.path} asks for a tokenizer setting that is not supported "
            f"({', '.join(settings) or text.get('tokenizer_mode') or cleaning}); choose another embedder"
        )
    if not named:
        tokenizer, pairs = _clip_tokenizer(context)
        return Vocabulary(tokenizer, cleaning, None, pairs)
    tokenizer, separator = _named_tokenizer(folder, context)
    return Vocabulary(tokenizer, cleaning, separator if strip else None)


def _clip_tokenizer(context: int) -> tuple[Tokenizer, NDArray[np.uint32]]:
    """CLIP's byte-pair encoding, from the vocabulary file that comes with open_clip, and the table of its pairs."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, processors

    letters = _byte_letters()
    merges = [(left, right) for left, right in (line.split() for line in _vocabulary_file()[1 : MERGES + 1])]
    names = [*letters, *(letter + "</w>" for letter in letters), *(left + right for left, right in merges), START, END]
    vocabulary = {name: index for index, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in (START, END)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(name, vocabulary[name]) for name in (START, END)]
    )
    tokenizer.enable_truncation(context)
    tokenizer.enable_padding(length=context, pad_id=0, pad_token=names[0])
    return tokenizer, table(merges, vocabulary)


def _byte_letters() -> list[str]:
    """The printable letter that stands for each byte, in CLIP's order: bytes that print, then those that do not."""
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    silent = [byte for byte in range(0x100) if byte not in printing]
    return [chr(byte) for byte in printing] + [chr(0x100 + place) for place in range(len(silent))]


def _vocabulary_file() -> list[str]:
    spec = find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise WeightsRejected("open_clip is not installed, and its vocabulary is needed; install archive again")
    return (
        gzip.decompress((Path(spec.origin).parent / "bpe_simple_vocab_16e6.txt.gz").read_bytes()).decode().split("\n")
    )


def _named_tokenizer(folder: OpenClipFolder, context: int) -> tuple[Tokenizer, int | None]:
    """The folder's own tokenizer, and its separator token."""
    from tokenizers import Tokenizer

    settings = _tokenizer_settings(folder)
    tokenizer = Tokenizer.from_file(str(folder.tokenizer))
    padding = _token(settings, "pad_token") or (tokenizer.padding or {}).get("pad_token")
    pad = tokenizer.token_to_id(padding) if padding else None
    if pad is None:
        raise WeightsRejected(f"{folder.path} does not say which token pads a text; choose another embedder")
    tokenizer.enable_truncation(context, direction=settings.get("truncation_side", "right"))
    tokenizer.enable_padding(
        length=context, pad_id=pad, pad_token=padding, direction=settings.get("padding_side", "right")
    )
    separator = _token(settings, "sep_token")
    return tokenizer, tokenizer.token_to_id(separator) if separator else None


def _tokenizer_settings(folder: OpenClipFolder) -> dict[str, Any]:
    """What the folder says about its special tokens."""
    settings: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        path = folder.path / name
        if path.is_file():
            settings |= json.loads(path.read_bytes())
    return settings


def _token(settings: dict[str, Any], name: str) -> str | None:
    """A special token, which is written as a string or as an object with its content."""
    token = settings.get(name)
    return token["content"] if isinstance(token, dict) else token
