from __future__ import annotations

import json
import string
import unicodedata
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from archive.embedders.cleaning import RULES, _repaired, clean
from archive.embedders.folder import OpenClipFolder
from archive.embedders.vocabulary import vocabulary_of
from archive.errors import WeightsRejected
from tests.embedders.small_clip import SMALL_CLIP, WEIGHTS, write_config
from tests.embedders.strings import PAIRED, TEXTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from archive.embedders.vocabulary import Vocabulary
    from archive.types import Ids


def folder(path: Path, **text: object) -> OpenClipFolder:
    write_config(path, SMALL_CLIP | {"text_cfg": SMALL_CLIP["text_cfg"] | text})
    (path / WEIGHTS).touch()
    return OpenClipFolder(path)


def tokens(vocabulary: Vocabulary, texts: Sequence[str]) -> Ids:
    cleaned = [clean(text, vocabulary.cleaning) for text in texts]
    return np.array([encoding.ids for encoding in vocabulary.tokenizer.encode_batch(cleaned)], np.int64)


def assert_equal_tokens(path: Path, found: Ids, texts: Sequence[str]) -> None:
    import open_clip

    expected = open_clip.get_tokenizer(f"local-dir:{path}")(list(texts)).numpy()
    wrong = [text for text, left, right in zip(texts, found, expected, strict=True) if left.tolist() != right.tolist()]
    assert wrong == []


@pytest.mark.parametrize("context", [5, 32, 77])
def test_clip_tokens_are_those_of_open_clip(tmp_path: Path, context: int) -> None:
    vocabulary = vocabulary_of(folder(tmp_path, context_length=context))
    assert len(PAIRED) > 300
    assert_equal_tokens(tmp_path, tokens(vocabulary, PAIRED), PAIRED)


@pytest.mark.parametrize("rule", RULES)
def test_each_cleaning_rule_is_that_of_open_clip(tmp_path: Path, rule: str) -> None:
    from open_clip.tokenizer import get_clean_fn

    assert [clean(text, rule) for text in PAIRED] == [get_clean_fn(rule)(text) for text in PAIRED]
    vocabulary = vocabulary_of(folder(tmp_path, tokenizer_kwargs={"clean": rule}))
    assert_equal_tokens(tmp_path, tokens(vocabulary, TEXTS), TEXTS)


@given(st.text(st.sampled_from(string.printable[:95]), max_size=60).filter(lambda text: "&" not in text))
@settings(max_examples=300, deadline=None)
def test_repair_leaves_plain_ascii_alone(text: str) -> None:
    import ftfy

    assert ftfy.fix_text(text) == text == _repaired(text)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Vocabulary]:
    path = tmp_path_factory.mktemp("clip")
    return path, vocabulary_of(folder(path, context_length=77))


@given(text=st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_clip_tokens_are_those_of_open_clip_for_any_text(clip: tuple[Path, Vocabulary], text: str) -> None:
    from open_clip import tokenize

    # A letter that Unicode adds is one to the library with the newer tables first.
    assume(all(unicodedata.category(letter) not in ("Cn", "Cs") for letter in clean(text, "lower")))
    assert tokens(clip[1], [text]).tolist() == tokenize([text]).tolist()


def test_the_longest_text_still_ends(tmp_path: Path) -> None:
    vocabulary = vocabulary_of(folder(tmp_path, context_length=8))
    (row,) = tokens(vocabulary, ["one two three four five six seven eight nine ten"]).tolist()
    assert row[0] == 49406
    assert row[-1] == 49407


@pytest.mark.parametrize(
    "text",
    [
        {"tokenizer_mode": "clips", "hf_tokenizer_name": "x"},
        {"tokenizer_kwargs": {"reduction_mask": "shuffle"}},
        {"tokenizer_kwargs": {"clean": "thoroughly"}},
    ],
)
def test_a_tokenizer_setting_that_is_not_known_is_refused(tmp_path: Path, text: dict[str, object]) -> None:
    with pytest.raises(WeightsRejected, match="choose another embedder"):
        vocabulary_of(folder(tmp_path, **text))


def sentence_tokenizer(path: Path, **settings: object) -> None:
    """A small word-piece vocabulary as transformers saves it, with BERT's special tokens."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    names = [*special, *string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase), "keys", "my"]
    tokenizer = Tokenizer(models.WordPiece({name: index for index, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(path / "tokenizer.json"))
    described = {
        "pad_token": "[PAD]",
        "sep_token": {"__type": "AddedToken", "content": "[SEP]"},
        "cls_token": "[CLS]",
        "unk_token": "[UNK]",
    }
    described["tokenizer_class"] = "PreTrainedTokenizerFast"
    (path / "tokenizer_config.json").write_text(json.dumps(described | settings))


@pytest.mark.parametrize("extra", [{}, {"clean": "canonicalize"}, {"strip_sep_token": True}])
@pytest.mark.parametrize("side", ["right", "left"])
def test_named_tokens_are_those_of_open_clip(tmp_path: Path, extra: dict[str, object], side: str) -> None:
    path = folder(tmp_path, context_length=16, hf_tokenizer_name="any/name", tokenizer_kwargs=extra)
    sentence_tokenizer(tmp_path, padding_side=side)
    vocabulary = vocabulary_of(path)
    found = tokens(vocabulary, TEXTS)
    if vocabulary.zeroed is not None:
        found[found == vocabulary.zeroed] = 0
    assert (vocabulary.zeroed == 3) is ("strip_sep_token" in extra)
    assert_equal_tokens(tmp_path, found, TEXTS)


def test_a_vocabulary_without_padding_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path, hf_tokenizer_name="any/name")
    sentence_tokenizer(tmp_path, pad_token=None)
    with pytest.raises(WeightsRejected, match="pads"):
        vocabulary_of(path)
