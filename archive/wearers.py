"""Whose photos a command is about, from what it was told and what its configuration allows.

Who has the configuration's database can read all of it: `allowed` keeps a command from the wrong person's photos, not
an intruder out. What keeps him out is the account that the configuration names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive.errors import UsageError

if TYPE_CHECKING:
    from archive.settings import Settings

NAMED_HOW = 'say --wearer NAME, or write wearer = "NAME" into --config\'s file'


def seen(settings: Settings) -> tuple[str, ...] | None:
    """The wearers whose photos a command may see; None where it may see every photo of an archive of one's own.

    Raises:
        UsageError: one was named that is not allowed, or nobody was named where many people's photos are.
    """
    names, cluster = _named(settings), settings.cluster
    if not names and cluster and (cluster.metadata or cluster.allowed):
        raise UsageError(f"nobody is named whose photos are meant; {NAMED_HOW}")
    return names or None


def one(settings: Settings) -> str | None:
    """Whose photos a command adds; None where they are nobody's in particular.

    Raises:
        UsageError: as above, or more than one was named.
    """
    names = seen(settings) or ()
    if len(names) > 1:
        raise UsageError(f"this is done for one wearer, not for {len(names)}; name one with --wearer")
    return names[0] if names else None


def known(settings: Settings) -> str | None:
    """The one wearer that is named, for what he alone may change; None where there is no such."""
    names = _named(settings)
    return names[0] if len(names) == 1 else None


def _named(settings: Settings) -> tuple[str, ...]:
    cluster = settings.cluster
    names = settings.wearers or ((cluster.wearer,) if cluster and cluster.wearer else ())
    allowed = cluster.allowed if cluster else ()
    for name in names:
        if allowed and name not in allowed:
            raise UsageError(f"--config's file does not allow the wearer {name!r}; it allows {', '.join(allowed)}")
    return names
