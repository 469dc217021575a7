"""`archive repair`: put right what can be put right, and never delete an original."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archive.cli.options import as_json, common

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archive.repair import Plan
    from archive.settings import Settings

NOT_WHOLE = 3


@click.command(
    epilog="""
\b
Examples:
  archive repair                              say what would be done; change nothing
  archive repair --yes                        do it
  archive repair --data --from /media/disk/archive --yes
                                              hash every original; take good ones from a backup

Vectors are made anew from originals, index files from vectors. A file that cannot be trusted is moved to the folder
`set-aside` of the archive; then the next `archive ingest` of its card brings the original back, too.
Exit code: 0 all is right (now), 3 something is left to be done.
"""
)
@click.option("--yes", is_flag=True, help="Do what is said; without it nothing is changed.")
@click.option("--data", is_flag=True, help="Hash every original, not only compare its size.")
@click.option(
    "--from", "source", metavar="BACKUP", type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Take originals that are lost or altered here from a backup.",
)  # fmt: skip
@as_json
@common
def command(source: Path | None, settings: Settings, *, yes: bool, data: bool, as_json: bool) -> int:
    """Put right what can be put right; says what it would do unless told --yes."""
    from archive import custody
    from archive.cli.progress import bar

    with bar("looking") as watcher:
        plan = custody.plan_repair(settings, source, watcher, data=data)
    if as_json:
        click.echo(json.dumps({"done": yes, **_as_object(plan)}))
    else:
        for line in _as_words(plan, done=yes):
            click.echo(line)
    if plan.is_empty:
        return 0
    if not yes:
        click.echo("nothing was changed; do it with --yes", err=True)
        return NOT_WHOLE
    with bar("repairing") as watcher:
        left = custody.repair(settings, plan, source, watcher)
    for words in left:
        click.echo(f"left: {words}", err=True)
    return NOT_WHOLE if left else 0


def _as_words(plan: Plan, *, done: bool) -> Iterator[str]:
    would = "" if done else "would "
    lines = (
        (len(plan.misnamed), f"files that are not what their name says: {would}set aside"),
        (len(plan.altered), f"originals are altered: {would}set aside"),
        (len(plan.lost), "originals are missing"),
        (len(plan.restorable), f"of these are whole in the backup: {would}copy back"),
        (plan.waiting, f"originals were left by an interrupted run: {would}take in"),
        (plan.damaged_packs, f"photos have damaged vectors: {would}embed anew"),
        (plan.pending, f"photos lack the pair: {would}embed"),
        (plan.shards, f"index files are damaged or out of date: {would}write anew"),
    )
    yield from (f"{number:,} {words}" for number, words in lines if number)
    if plan.is_empty:
        yield "nothing is wrong"


def _as_object(plan: Plan) -> dict[str, object]:
    return {
        "misnamed": [str(path) for path in plan.misnamed],
        "altered": [photo.id for photo in plan.altered],
        "lost": [photo.id for photo in plan.lost],
        "restorable": [photo.id for photo in plan.restorable],
        "waiting": plan.waiting,
        "damaged_vectors": plan.damaged_packs,
        "pending": plan.pending,
        "shards": plan.shards,
    }
