"""What an archive holds already, for a rehearsal of an ingest."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archive import bootstrap, wearers
from archive.errors import NoArchive, WearerUnknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive.catalog.reader import CatalogReader
    from archive.sessions import SessionKey
    from archive.settings import Settings


@dataclass(frozen=True, slots=True)
class Holdings:
    """What an archive holds already; nothing where there is none."""

    reader: CatalogReader | None
    even_forgotten: bool = False

    def photo(self, digest: str) -> bool:
        """Whether the photo of that sha256 in hex is in."""
        return self.reader is not None and self.reader.photo_id(digest) is not None

    def forgotten(self, digest: str) -> bool:
        """Whether the photo of that sha256 in hex was forgotten, and is to stay out."""
        return self.reader is not None and not self.even_forgotten and self.reader.is_forgotten(digest)

    def numbers(self, key: SessionKey) -> set[int]:
        """The numbers of a session's photos that are in."""
        return set() if self.reader is None else self.reader.session_numbers(key)


@contextmanager
def holdings(settings: Settings, *, even_forgotten: bool = False) -> Iterator[Holdings]:
    """What is in the archive of these settings, for a rehearsal; with `even_forgotten` no photo is to stay out."""
    everyone = wearers.one(settings) is None
    with ExitStack() as stack:
        reader = None
        if bootstrap.is_begun(settings):
            with suppress(NoArchive, WearerUnknown):  # the first ingest makes both
                reader = stack.enter_context(bootstrap.reading(settings, everyone=everyone))
        yield Holdings(reader, even_forgotten=even_forgotten)
