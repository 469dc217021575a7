"""Every error that the archive raises on purpose.

ArchiveError                 exit 3   something of the archive is wrong; the message names the next command
├── UsageError               exit 2   what was asked makes no sense
│   └── WearerUnknown        exit 2   nobody of that name has photos in the archive
├── NoArchive                exit 3   nothing was ever ingested here
├── SourceVanished           exit 4   the card or folder went away while it was read
├── ArchiveBusy              exit 75  another process is writing
├── WeightsMissing           exit 3   weights are not on disk; `archive models pull` fetches them
├── WeightsRejected          exit 3   weights are not what they claim to be
├── DownloadFailed           exit 3   a pull did not finish; it resumes
├── CatalogDamaged           exit 3   rows, packs or files contradict one another
├── CatalogTooNew            exit 3   written by a newer archive
└── SpaceMismatch            exit 3   vectors of two spaces would meet

PhotoError                            one file cannot become a photo; counted and named, never ends a run

The command line catches ArchiveError in one place, prints its message on one line and exits with its `exit_code`.
"""

from __future__ import annotations


class ArchiveError(Exception):
    """Something of the archive is wrong. The message says what, and what to do next, on one line."""

    exit_code = 3


class UsageError(ArchiveError):
    """What was asked makes no sense."""

    exit_code = 2


class WearerUnknown(UsageError):  # noqa: N818  (a state of the world, named as people say it)
    """Nobody of that name has photos in the archive."""


class NoArchive(ArchiveError):  # noqa: N818
    """Nothing was ever ingested here."""


class SourceVanished(ArchiveError):  # noqa: N818
    """The card or folder went away while it was read."""

    exit_code = 4


class ArchiveBusy(ArchiveError):  # noqa: N818
    """Another process is writing to the archive."""

    exit_code = 75


class WeightsMissing(ArchiveError):  # noqa: N818
    """Weights are not on disk."""


class WeightsRejected(ArchiveError):  # noqa: N818
    """Weights are not what they claim to be, or could run code when loaded."""


class DownloadFailed(ArchiveError):  # noqa: N818
    """A download did not finish; what arrived is kept and the next pull resumes."""


class CatalogDamaged(ArchiveError):  # noqa: N818
    """Rows, packs or files of the archive contradict one another."""


class CatalogTooNew(ArchiveError):  # noqa: N818
    """The catalog was written by a newer version."""


class SpaceMismatch(ArchiveError):  # noqa: N818
    """Vectors of two spaces would meet."""


class PhotoError(Exception):
    """One file cannot become a photo. The message is the reason, without the file's name."""
