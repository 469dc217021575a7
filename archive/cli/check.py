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
  archive check --data      also hash every original: as long as reading all photos takes
Exit code: 0 whole, 3 something is damaged or must be rebuilt.
"""
)
@click.option("--data", is_flag=True, help="Hash every original, not only look whether it is there.")
@as_json
@common
def command(settings: Settings, *, data: bool, as_json: bool) -> int:
    """Prove that the archive is whole, or name what is damaged."""
    from archive import bootstrap
    from archive.cli.progress import bar
    from archive.upkeep import Severity

    with bar("checking") as watcher:
        findings = bootstrap.check(settings, watcher, data=data)
    damaged = [finding for finding in findings if finding.severity is not Severity.PENDING]
    if as_json:
        listed = [{"severity": finding.severity.value, "message": finding.message} for finding in findings]
        click.echo(json.dumps({"whole": not damaged, "data": data, "findings": listed}))
    else:
        for finding in findings:
            click.echo(f"{finding.severity.value}: {finding.message}")
        depth = "every original hashed" if data else "originals present; hash them with --data"
        click.echo(f"the archive is {'not ' if damaged else ''}whole ({depth})")
    return NOT_WHOLE if damaged else 0
