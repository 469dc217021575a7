"""What a server keeps in memory lasts as long as the archive stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive import bootstrap
from archive.web.kept import KeptParts, KeptPictures

if TYPE_CHECKING:
    from archive.settings import Settings


def test_a_picture_is_made_once_while_the_archive_stays_as_it_is() -> None:
    kept = KeptPictures(2)
    for _ in range(2):
        kept.hold_for("one")
    assert kept.get("a", lambda: b"first") == b"first"
    kept.hold_for("one")
    assert kept.get("a", lambda: b"second") == b"first"


def test_every_picture_goes_when_the_archive_changes() -> None:
    kept = KeptPictures(2)
    kept.hold_for("one")
    kept.get("a", lambda: b"first")
    kept.hold_for("two")
    assert kept.get("a", lambda: b"second") == b"second"


def test_the_picture_that_was_not_looked_at_for_longest_goes_first() -> None:
    kept = KeptPictures(2)
    for digest in ("a", "b", "a", "c"):
        kept.get(digest, lambda: b"first")
    assert [kept.get(digest, lambda: b"second") for digest in ("a", "b")] == [b"first", b"second"]


def test_a_server_that_has_loaded_what_it_needs_holds_nothing_of_photos(filled: Settings) -> None:
    kept = KeptParts()
    kept._load(filled)
    assert kept._index is None
    assert kept._words is not None
    with bootstrap.reading(filled) as reader:
        answering = reader.answering()
        assert answering is not None
        assert kept._words[0] == answering[1]
