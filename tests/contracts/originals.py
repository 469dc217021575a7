"""What each place of originals promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archive.errors import CatalogDamaged
from archive.photos.reading import digest_of

if TYPE_CHECKING:
    from archive.originals import Originals

CONTENT = b"a photo" * 1000
OTHER = b"another photo" * 500
TAKEN = 1_700_000_000.25


class OriginalsContract:
    """Subclass it, and give an empty place in the fixture `originals`."""

    @pytest.fixture
    def originals(self) -> Originals:
        raise NotImplementedError

    def test_what_was_put_is_read(self, originals: Originals) -> None:
        originals.put(CONTENT, digest_of(CONTENT), ".jpg", TAKEN)
        assert originals.read(digest_of(CONTENT), ".jpg") == CONTENT
        assert originals.read_from_disk(digest_of(CONTENT), ".jpg") == CONTENT
        assert originals.size(digest_of(CONTENT), ".jpg") == len(CONTENT)
        assert originals.is_there(digest_of(CONTENT))
        assert not originals.is_there(digest_of(OTHER))

    def test_putting_twice_is_putting_once(self, originals: Originals) -> None:
        for _ in range(2):
            originals.put(CONTENT, digest_of(CONTENT), ".jpg", TAKEN)
        assert [digest for digest, _ in originals.stored()] == [digest_of(CONTENT)]

    def test_all_that_is_stored_is_listed_in_order(self, originals: Originals) -> None:
        assert list(originals.stored()) == []
        digests = sorted(digest_of(bytes([number])) for number in range(20))
        for number in range(20):
            originals.put(bytes([number]), digest_of(bytes([number])), ".jpg", None)
        assert [digest for digest, _ in originals.stored()] == digests
        assert [originals.digest_at(path) for _, path in originals.stored()] == digests

    def test_one_that_is_missing_is_named_on_one_line(self, originals: Originals) -> None:
        digest = digest_of(CONTENT)
        with pytest.raises(CatalogDamaged, match="is missing; run `archive check`") as caught:
            originals.read(digest, ".jpg")
        assert originals.where(digest, ".jpg") in str(caught.value)
        assert "\n" not in str(caught.value)
        with pytest.raises(FileNotFoundError):
            originals.size(digest, ".jpg")

    def test_one_that_was_altered_is_not_given_out(self, originals: Originals) -> None:
        originals.put(OTHER, digest_of(CONTENT), ".jpg", None)
        with pytest.raises(CatalogDamaged, match="was altered"):
            originals.read(digest_of(CONTENT), ".jpg")

    def test_one_that_is_not_whole_is_put_again(self, originals: Originals) -> None:
        originals.put(OTHER, digest_of(CONTENT), ".jpg", None)
        originals.put(CONTENT, digest_of(CONTENT), ".jpg", None)
        assert originals.read(digest_of(CONTENT), ".jpg") == CONTENT

    def test_erasing_takes_every_file_of_that_name_and_no_other(self, originals: Originals) -> None:
        for suffix in (".jpg", ".png"):
            originals.put(CONTENT, digest_of(CONTENT), suffix, None)
        originals.put(OTHER, digest_of(OTHER), ".jpg", None)
        assert originals.erase(digest_of(CONTENT)) == [len(CONTENT)] * 2
        assert originals.erase(digest_of(CONTENT)) == []
        assert [digest for digest, _ in originals.stored()] == [digest_of(OTHER)]

    def test_a_file_of_this_machine_has_the_bytes_and_the_time(self, originals: Originals) -> None:
        originals.put(CONTENT, digest_of(CONTENT), ".jpg", TAKEN)
        path = originals.local(digest_of(CONTENT), ".jpg")
        assert path.read_bytes() == CONTENT
        assert path.stat().st_mtime == TAKEN

    def test_what_is_no_name_is_refused(self, originals: Originals) -> None:
        for digest, suffix in (("../" + digest_of(CONTENT)[3:], ".jpg"), (digest_of(CONTENT), "/../x")):
            with pytest.raises(ValueError, match="not a digest"):
                originals.put(CONTENT, digest, suffix, None)
