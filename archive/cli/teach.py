"""`archive teach`: show the archive a thing of your own, so that a query finds that one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archive.cli.options import as_json, common, wearer

if TYPE_CHECKING:
    from archive.settings import Settings
    from archive.things import Thing


class TeachGroup(click.Group):
    """What is not the name of a subcommand is the name of a thing."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand, or the one that teaches."""
        if args and args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "teach", teach, args


@click.group(
    cls=TeachGroup,
    epilog="""
\b
Examples:
  archive teach "my keys" keys.jpg@120,80,260,190 desk.jpg@10,300,90,360
  archive teach "my keys" --hit 2       hit 2 of the last `archive query` shows them
  archive query "where are my keys"     looks for these keys, not for any
  archive teach list
  archive teach show "my keys" --save pictures/
  archive teach remove "my keys" --picture 3

A box is left,top,right,bottom in pixels of the upright photo. Two or three sharp pictures from different sides are
best; they stay in the archive, and another pair of models embeds them again at `archive reembed`.
""",
    subcommand_metavar='"NAME" FILE[@BOX]... [--hit N]... | list | show NAME | remove NAME',
)
def command() -> None:
    """Show it a thing of your own by pictures, so that a query finds that one."""


@click.command()
@click.argument("name")
@click.argument("files", nargs=-1, metavar="[FILE[@left,top,right,bottom]]...")
@click.option("--hit", "ranks", metavar="N", type=click.IntRange(1), multiple=True, help="Hit N of the last answer.")
@as_json
@wearer
@common
def teach(name: str, files: tuple[str, ...], ranks: tuple[int, ...], settings: Settings, *, as_json: bool) -> None:
    """Keep pictures of the thing called NAME."""
    from archive import bootstrap

    name = " ".join(name.split())
    if not any(letter.isalnum() for letter in name) or any(0xD800 <= ord(letter) <= 0xDFFF for letter in name):
        raise click.UsageError('name the thing in words, such as: archive teach "my keys" keys.jpg')
    if not (files or ranks):
        raise click.UsageError(f'show a picture of it: archive teach "{name}" FILE@left,top,right,bottom, or --hit N')
    count, doubts = bootstrap.teach(settings, name, files, ranks)
    for doubt in doubts:
        click.echo(f"careful with {doubt}", err=True)
    if as_json:
        click.echo(json.dumps({"name": name, "pictures": count, "doubts": doubts}))
    else:
        click.echo(f"{name}: {_pictures(count)}; ask for it by that name")


@command.command("list")
@as_json
@wearer
@common
def list_things(settings: Settings, *, as_json: bool) -> None:
    """List every thing that was taught."""
    things = _things(settings)
    if as_json:
        click.echo(json.dumps({"things": [_as_object(thing) for thing in things]}))
        return
    for thing in things:
        click.echo(f"{thing.name}  {_pictures(len(thing.exemplars))}")
    if not things:
        click.echo('nothing was taught yet; begin with: archive teach "my keys" keys.jpg', err=True)


@command.command()
@click.argument("name")
@click.option(
    "--save",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Save the pictures into this folder, with the boxes drawn.",
)
@as_json
@wearer
@common
def show(name: str, save: Path | None, settings: Settings, *, as_json: bool) -> None:
    """Show the pictures of the thing called NAME."""
    from archive.errors import UsageError

    thing = next((thing for thing in _things(settings) if thing.name.casefold() == name.casefold()), None)
    if thing is None:
        raise UsageError(f"nothing named {name!r} was taught; see: archive teach list")
    saved = _save(thing, save, settings) if save else []
    if as_json:
        click.echo(json.dumps({**_as_object(thing), "saved": [str(path) for path in saved]}))
        return
    click.echo(thing.name)
    for number, one in enumerate(thing.exemplars, 1):
        origin = "a file" if one.photo_id is None else f"photo {one.photo_id}"
        waiting = "" if one.vector is not None else "  waits for `archive reembed`"
        click.echo(f"{number:>3}.  from {origin}  {one.box.width} x {one.box.height} pixels{waiting}")
    if save:
        click.echo(f"saved {_pictures(len(saved))} to {save}", err=True)


@command.command()
@click.argument("name")
@click.option("--picture", "number", metavar="N", type=click.IntRange(1), help="Only this picture of it.")
@wearer
@common
def remove(name: str, number: int | None, settings: Settings) -> None:
    """Forget the thing called NAME, or one of its pictures, for good."""
    from archive import bootstrap, teaching

    with bootstrap.writing(settings) as catalog:
        teaching.forget(catalog, name, number)
    click.echo(f"forgot {name}" if number is None else f"forgot picture {number} of {name}")


def _save(thing: Thing, folder: Path, settings: Settings) -> list[Path]:
    from archive import bootstrap, gallery

    with bootstrap.reading(settings) as reader:
        return gallery.save_exemplars(thing, reader, folder)


def _things(settings: Settings) -> list[Thing]:
    from archive import bootstrap

    with bootstrap.reading(settings) as reader:
        answering = reader.answering()
        return reader.things(answering[1].space if answering else "")


def _as_object(thing: Thing) -> dict[str, object]:
    pictures = [
        {"photo": one.photo_id, "width": one.box.width, "height": one.box.height, "embedded": one.vector is not None}
        for one in thing.exemplars
    ]
    return {"name": thing.name, "pictures": pictures}


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"
