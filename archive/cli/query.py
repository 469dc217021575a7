"""`archive query`: ask where something was last seen."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from archive.cli.options import as_json, common, wearer

if TYPE_CHECKING:
    from archive.settings import Settings
    from archive.types import Answer

NOTHING_SEEN = 1


@click.command(
    epilog="""
\b
Examples:
  archive query "my keys"
  archive query the blue screwdriver --after "yesterday evening"
  archive query "red mug" --all --limit 50 --json
  archive query glasses --save found/
  archive query glasses --open
  archive query mug --not white --not "paper cup"
  archive query --like keys.jpg@120,80,260,190
  archive query "in the kitchen" --like-hit 2

Times are local: 2026-11-23, 2026-11-23T14:02, 14:02, 2h, 3 days ago, this morning, yesterday evening, last tuesday,
monday 14:00, last week. What takes a while is named by its first moment. --after is inclusive, --before is not.
Exit code: 0 something was seen, 1 nothing was, 2 wrong usage, 3 an error of the archive.
"""
)
@click.argument("text", nargs=-1)
@click.option("--limit", type=click.IntRange(1, 100_000), default=10, show_default=True, help="Photos to list.")
@click.option("--all", "everything", is_flag=True, help="List every photo, ranked, whatever the verdict.")
@click.option("--after", metavar="TIME", help="Only photos taken at or after this time.")
@click.option("--before", metavar="TIME", help="Only photos taken before this time.")
@click.option("--camera", metavar="ID", help="Only photos of this camera.")
@click.option("--not", "negatives", metavar="TEXT", multiple=True, help="Reject things that show this; repeatable.")
@click.option(
    "--like",
    "likes",
    metavar="FILE[@left,top,right,bottom]",
    multiple=True,
    help="An example picture of the thing, or a box in one (pixels of the upright photo); repeatable.",
)
@click.option(
    "--like-hit",
    "like_hits",
    metavar="N",
    type=click.IntRange(1),
    multiple=True,
    help="Hit N of the previous answer is the example; repeatable.",
)
@click.option(
    "--sort",
    type=click.Choice(["relevance", "newest"]),
    default="relevance",
    show_default=True,
    help="The order of the photos.",
)
@click.option("--photos", is_flag=True, help="List each photo, not only the sightings.")
@click.option("--explain", is_flag=True, help="Say for each hit which of its vectors answered, and how well.")
@click.option(
    "--save",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Save the photos of the answer into this folder, with their boxes drawn.",
)
@click.option("--open", "opens", is_flag=True, help="Open the photo of the last sighting in the system's viewer.")
@click.option("--picture/--no-picture", default=True, help="Draw that photo in the terminal. [default: picture]")
@as_json
@wearer
@common
def command(
    text: tuple[str, ...],
    limit: int,
    after: str | None,
    before: str | None,
    camera: str | None,
    negatives: tuple[str, ...],
    likes: tuple[str, ...],
    like_hits: tuple[int, ...],
    sort: str,
    save: Path | None,
    settings: Settings,
    *,
    everything: bool,
    photos: bool,
    explain: bool,
    opens: bool,
    picture: bool,
    as_json: bool,
) -> int:
    """Ask where something was last seen.

    TEXT may be left out where --like or --like-hit shows what is meant.
    """
    began = perf_counter()
    from archive import answers, asking, bootstrap, moments, remote
    from archive.types import Query, Sort, Verdict

    now = datetime.now(UTC)
    words = " ".join(text).strip()
    if not (words or likes or like_hits) or not all(map(_is_text, (words, *negatives))):
        raise click.UsageError('ask with words or an example, such as: archive query "my keys"')
    query = Query(
        text=words,
        limit=limit,
        after=moments.parse(after, now) if after else None,
        before=moments.parse(before, now) if before else None,
        camera=camera,
        everything=everything,
        negatives=tuple(negative.strip() for negative in negatives if negative.strip()),
        likes=(*likes, *(f"hit {rank}" for rank in like_hits)),
        sort=Sort(sort),
        explain=explain,
    )
    # A server of this home may be another wearer's.
    apart = settings.wearers or settings.cluster
    served = None if likes or like_hits or apart else remote.ask(query, settings.home)
    answer = served.answer if served else asking.ask(query, settings, likes, like_hits)
    total = round((perf_counter() - began) * 1000, 1)
    spent = answer.took_ms.get("embed", 0.0) + answer.took_ms.get("search", 0.0)
    answer = answer._replace(
        took_ms={"load": round(total - spent, 1), "embed": 0.0, "search": 0.0, **answer.took_ms, "total": total}
    )
    # Pictures first: whoever reads the words may hang up early, as `head` does.
    saved = 0 if save is None else _save(answer, save, settings)
    locate = bootstrap.locate(settings)
    if as_json:
        by_server = {"server": served.server} if served else {}
        click.echo(json.dumps({**answers.as_object(answer, locate), **by_server}))
        for note in answers.losses(answer):
            click.echo(note, err=True)
    else:
        for line in answers.as_words(answer, locate, now, photos=photos or sort == "newest"):
            click.echo(line)
        if picture:
            from archive.cli import pictures

            pictures.show(answer, settings)
        for note in answers.footnotes(answer):
            click.echo(note, err=True)
    if save is not None:
        click.echo(f"saved {saved} picture{'' if saved == 1 else 's'} to {save}", err=True)
    if opens and answer.sightings:
        from archive.cli import pictures

        pictures.open_viewer(bootstrap.local(settings, answer.sightings[0].hit.photo))
    return 0 if answer.verdict in {Verdict.SEEN, Verdict.MAYBE} else NOTHING_SEEN


def _is_text(words: str) -> bool:
    """Whether all of it is text: bytes of the command line that are not arrive as lone surrogates."""
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in words)


def _save(answer: Answer, folder: Path, settings: Settings) -> int:
    from archive import bootstrap, gallery  # brings Pillow, which words alone do not need

    return len(gallery.save(answer, folder, bootstrap.originals(settings)))
