"""`archive models`: list, pull and choose the pairs of models that see and understand."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from archive.cli.options import as_json, common, pair_parts
from archive.settings import PairChoice

if TYPE_CHECKING:
    from archive.pairs.shelf import PairRow
    from archive.settings import Settings


@click.group(
    epilog="""
\b
Examples:
  archive models list
  archive models pull standard
  archive models use standard
  archive models use auto       the best pair that is on disk, as in a new archive
  archive models use --segmenter FastSAM-s.pt --embedder my-clip/
"""
)
def command() -> None:
    """List, pull and choose the pairs of models that see and understand.

    A pair is a segmenter, which finds the things in a photo, and an embedder, which knows what words they answer to.
    """


@command.command("list")
@as_json
@common
def list_pairs(settings: Settings, *, as_json: bool) -> None:
    """Show each pair with its size, licence and whether it is on disk."""
    from archive.pairs import shelf

    rows = shelf.listing(settings.weights)
    if as_json:
        click.echo(json.dumps({"weights": str(settings.weights), "pairs": [_as_object(row) for row in rows]}))
        return
    for row in rows:
        size = "size unknown" if row.size is None else f"{row.size / 1e6:,.0f} MB"
        pinned = "pinned" if row.pinned else "unpinned"
        click.echo(f"{row.name:<12} {row.state.value:<8} {size:>12}  {pinned:<8}  {', '.join(row.licences)}")
        click.echo(f"             {row.segmenter} + {row.embedder}: {row.purpose}")
        for file in row.files:
            click.echo(f"             {file.file}  sha256 {file.sha256 or 'unpinned'}  {file.state.value}")
    click.echo(f"weights are in {settings.weights}", err=True)


@command.command()
@click.argument("pair")
@click.option(
    "--trust-on-first-use",
    is_flag=True,
    help="Accept a file that no published sha256 pins, and hold it to what arrives now.",
)
@common
def pull(pair: str, settings: Settings, *, trust_on_first_use: bool) -> None:
    """Fetch the weights of a PAIR from where they are published.

    What is fetched is checked against its sha256. A pull that was cut off goes on where it stopped.
    """
    from archive.cli.progress import download_bars
    from archive.pairs import shelf

    with download_bars() as progress:
        shelf.pull(pair, settings.weights, trust_on_first_use=trust_on_first_use, progress=progress)
    click.echo(f"the pair {pair} is on disk; choose it with `archive models use {pair}`, then run `archive ingest`")


@command.command()
@click.argument("pair", required=False)
@pair_parts
@common
def use(pair: str | None, segmenter: str | None, embedder: str | None, settings: Settings) -> None:
    """Choose the PAIR that this archive answers with, or parts of your own; `auto` is the best that is on disk.

    Photos that are in already answer with their old pair until all of them are embedded anew: `archive reembed` does
    that, and so do, a little at a time, `archive ingest` after its own work and `archive serve` while it is idle.
    """
    from archive import bootstrap

    if pair is None and segmenter is None and embedder is None:
        raise click.UsageError("name a pair, or give --segmenter and --embedder")
    if pair is not None and _on_command_line("segmenter", "embedder"):
        raise click.UsageError("name a pair or give parts of your own, not both")
    # A named pair goes before parts that only the environment names.
    choice = PairChoice(segmenter, embedder) if pair is None else PairChoice(name=pair)
    if sys.stderr.isatty() and (preparation := bootstrap.preparation(settings, choice)):
        click.echo(preparation, err=True)
    chosen, missing = bootstrap.use_pair(settings, choice)
    click.echo(f"chosen: {chosen.name} ({chosen.segmenter} + {chosen.space})")
    if missing:
        click.echo(f"{missing:,} photos wait to be embedded with it; run `archive reembed`, or go on as usual")


def _on_command_line(*options: str) -> bool:
    context = click.get_current_context()
    return any(context.get_parameter_source(option) is ParameterSource.COMMANDLINE for option in options)


def _as_object(row: PairRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "segmenter": row.segmenter,
        "embedder": row.embedder,
        "purpose": row.purpose,
        "licences": list(row.licences),
        "bytes": row.size,
        "pinned": row.pinned,
        "state": row.state.value,
        "files": [
            {
                "file": file.file,
                "path": str(file.path),
                "licence": file.licence,
                "sha256": file.sha256,
                "bytes": file.size,
                "state": file.state.value,
            }
            for file in row.files
        ],
    }
