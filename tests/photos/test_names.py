from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.photos.names import printable


@pytest.mark.parametrize(
    "name",
    [
        "IMG_0042.jpg",
        "spaces and ünïcødé 钥匙 🔑.jpg",
        "quote'\"; drop.jpg",
        "👨‍👩‍👧 family.jpg",  # emoji joined into one
        "👩🏽‍🚀.jpg",
        "❤️.jpg",  # with a variation selector
        "می‌خواهم.jpg",  # Persian with a non-joiner
    ],
)
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert printable(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[2Jcleared.jpg", r"\x1b[2Jcleared.jpg"),
        ("two\nlines\r.jpg", r"two\x0alines\x0d.jpg"),
        ("\x9b31m.jpg", r"\x9b31m.jpg"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("a\u200bb\ufeffc\xad", r"a\u200bb\ufeffc\xad"),
        ("flag\U000e0067", r"flag\U000e0067"),
        ("lone\ud800", r"lone\ud800"),
        ("ascii\u200djoined", r"ascii\u200djoined"),
        ("end\u200d", r"end\u200d"),
    ],
)
def test_what_could_act_on_a_terminal_is_escaped(name: str, shown: str) -> None:
    assert printable(name) == shown


def test_bytes_that_are_no_utf8_are_shown_as_bytes() -> None:
    assert printable(b"\xff\xfe\n\x1b[2J.jpg") == r"\xff\xfe\x0a\x1b[2J.jpg"
    assert printable("钥匙.jpg".encode()) == "钥匙.jpg"


@given(st.one_of(st.text(st.characters()), st.binary()))
def test_no_name_at_all_can_control_a_terminal(name: str | bytes) -> None:
    shown = printable(name)
    shown.encode()
    assert not [c for c in shown if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}]
    assert not [c for c in shown if unicodedata.bidirectional(c) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI"}]
