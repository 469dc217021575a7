"""`archive check`: prove that the archive is whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from archive.cli.options import as_json, common

if TYPE_CHECKING:
    from archive.settings import Settings

NOT_WHOLE = 3


@click.command(
    epilog="""
\b
Examples:
  archive check
  archive check --data              also hash every original: as long as reading all photos takes
  archive check --data --sample 5   hash a part of them, others each time
Exit code: 0 whole, 3 something is damaged or must be rebuilt.
"""
)
@click.option("--data", is_flag=True, help="Hash every original, not only look whether it is there.")
@click.option(
    "--sample", metavar="PERCENT", type=click.FloatRange(0, 100, min_open=True), help="With --data: hash only so many."
)
@as_json
@common
def command(sample: float | None, settings: Settings, *, data: bool, as_json: bool) -> int:
    """Prove that the archive is whole, or name what is damaged."""
    if sample is not None and not data:
        raise click.UsageError("--sample goes with --data")
    from archive import custody
    from archive.cli.progress import bar
    from archive.upkeep import Severity

    with bar("checking") as watcher:
        findings = custody.check(settings, watcher, data=data, share=1.0 if sample is None else sample / 100)
    damaged = [finding for finding in findings if finding.severity is not Severity.PENDING]
    if as_json:
        listed = [{"severity": finding.severity.value, "message": finding.message} for finding in findings]
        click.echo(json.dumps({"whole": not damaged, "data": data, "findings": listed}))
    else:
        for finding in findings:
            click.echo(f"{finding.severity.value}: {finding.message}")
        hashed = "every original" if sample is None else f"{sample:g} % of the originals, chosen by chance,"
        depth = f"{hashed} hashed" if data else "originals present; hash them with --data"
        click.echo(f"the archive is {'not ' if damaged else ''}whole ({depth})")
    return NOT_WHOLE if damaged else 0
