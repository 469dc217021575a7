"""`python -m benchmarks.quality SET_DIR`: what each part of the search is worth, one thing changed at a time."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np

from archive.pairs.shipped import SHIPPED
from archive.training import figures as training_figures
from benchmarks import figures, labelled, spaces
from benchmarks.ablations import DEFAULT, DISTRACTORS, variants
from benchmarks.looks import Look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archive.types import Pack, Vectors
    from benchmarks.ablations import Variant
    from benchmarks.figures import Quality
    from benchmarks.labelled import LabelledSet
    from benchmarks.looks import View
    from benchmarks.spaces import Space

QUICK = 3
"""Of so many photos one is looked at, where it shall be quick."""


class Seen(NamedTuple):
    """The photos of a set under one view: their packs, and seconds of a CPU for each."""

    packs: list[Pack]
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `gain` is in mAP over the default, `error` the standard error of that over the queries."""

    space: str
    variant: str
    quality: Quality
    gain: float
    error: float
    seconds: float


@click.command(
    epilog="""
\b
Examples:
  python -m benchmarks.quality ../shared/eval/everyday
  python -m benchmarks.quality ../shared/eval/desk-sequence --quick --json figures.json
"""
)
@click.argument("folder", metavar="SET_DIR", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--json", "report", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures there, too.")
@click.option("--quick", is_flag=True, help=f"Every {QUICK}rd photo only.")
@click.option("--space", "only", type=click.Choice([*SHIPPED, "tests"]), help="One space only.")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), help="Where what was seen is remembered.")
def main(folder: Path, report: Path | None, quick: bool, only: str | None, cache: Path | None) -> None:  # noqa: FBT001  (click passes it by name)
    """Compare the variants of the search on a labelled set; see `score.py` for what a set holds."""
    kept = scratch(cache)
    chosen = labelled.read(folder, QUICK if quick else 1)
    parts = []
    for space in spaces.available(kept / "towers", only):
        seen = look(chosen, space, [variant.view for variant in variants(space)], kept)
        rows, found = compare(chosen, space, seen), recalls(chosen, space, seen)
        parts.append({"space": space.name, "rows": list(map(_plain, rows)), "recall": found})
        click.echo("\n".join([_heading(chosen, space), *_table(rows), "", *_recall_table(found), ""]))
    if report:
        report.write_text(json.dumps({"set": chosen.name, "photos": len(chosen.photos), "spaces": parts}, indent=1))


def scratch(asked: Path | None) -> Path:
    """The folder in which what was seen is remembered, so that a second run costs little."""
    from platformdirs import user_cache_path

    folder = asked or user_cache_path("archive-benchmarks")
    (folder / "towers").mkdir(parents=True, exist_ok=True)
    return folder


def look(chosen: LabelledSet, space: Space, views: Sequence[View], kept: Path) -> dict[View, Seen]:
    """See each photo of a set under each view."""
    distinct = list(dict.fromkeys(views))
    packs: dict[View, list[Pack]] = {view: [] for view in distinct}
    seconds = dict.fromkeys(distinct, 0.0)
    with click.progressbar(chosen.photos, label=space.name, file=sys.stderr) as bar:
        for number, photo in enumerate(bar, 1):
            one = Look(space, photo, kept)
            for view in distinct:  # seconds are means over all boxes, so they are read when all are there
                one.observe(view)
            for view in distinct:
                pack, took = one.observe(view)
                packs[view].append(replace(pack, photo_id=number))
                seconds[view] += took
            one.save()
    return {view: Seen(packs[view], seconds[view] / len(chosen.photos)) for view in distinct}


def compare(chosen: LabelledSet, space: Space, seen: dict[View, Seen]) -> list[Row]:
    """A row for each variant, the default first."""
    rows: list[Row] = []
    for variant in variants(space):
        packs, seconds = seen[variant.view]
        got = figures.quality(_standing(chosen, space, variant, packs), packs, chosen)
        gains = got.precisions - (rows[0].quality if rows else got).precisions
        error = float(gains.std(ddof=1) / len(gains) ** 0.5) if len(gains) > 1 else float("nan")
        rows.append(Row(space.name, variant.name, got, float(gains.mean()), error, seconds))
    return rows


def recalls(chosen: LabelledSet, space: Space, seen: dict[View, Seen]) -> dict[str, dict[str, float]]:
    """Which share of the labelled things has a segment, by size, for each variant that changes the boxes."""
    truth = training_figures.Labelled(chosen.boxes, [])
    found: dict[str, dict[str, float]] = {}
    for variant in variants(space):
        view = variant.view
        if not view.whole and view.treatments == ("own",) and (variant.name == DEFAULT or view != _default(space)):
            named = {photo.name: pack for photo, pack in zip(chosen.photos, seen[view].packs, strict=True)}
            found[variant.name] = training_figures.recall(named, truth)
    return found


def _default(space: Space) -> View:
    return variants(space)[0].view


def _standing(chosen: LabelledSet, space: Space, variant: Variant, packs: Sequence[Pack]) -> figures.Standing:
    embed = space.observer.embedder.embed_text
    spoken = [embed([shape.format(query.text) for query in chosen.queries]) for shape in variant.templates]
    mean = np.mean(spoken, axis=0)
    queries: Vectors = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    return figures.standing(packs, queries, variant.share, embed(DISTRACTORS) if variant.bank else None)


def _plain(row: Row) -> dict[str, object]:
    got = row.quality
    return {
        "variant": row.variant,
        "mAP": got.mean_precision,
        "R@1": got.first,
        "box@0.5": got.box,
        "auroc_present_absent": got.present_absent,
        "gain": row.gain,
        "gain_error": row.error,
        "cpu_s_per_photo": row.seconds,
    }


def _heading(chosen: LabelledSet, space: Space) -> str:
    present = int(chosen.present().sum())
    asked = f"{present} queries for what is there, {len(chosen.queries) - present} for what is not"
    return f"{chosen.name}, {len(chosen.photos)} photos, {asked}; space: {space.name}"


def _table(rows: Sequence[Row]) -> list[str]:
    lines = [f"{'variant':32}   mAP      gain       R@1  box@.5  AUROC  CPU s/photo"]
    for row in rows:
        got = row.quality
        gain = "" if row is rows[0] else f"{row.gain:+.3f} ± {row.error:.3f}"
        lines.append(
            f"{row.variant:32}  {got.mean_precision:.3f}  {gain:14}  {got.first:.3f}  {got.box:.3f}   "
            f"{got.present_absent:.3f}  {row.seconds:.2f}"
        )
    return lines


def _recall_table(found: dict[str, dict[str, float]]) -> list[str]:
    sizes = ("small", "medium", "large", "all")
    lines = [f"{'things with a segment':32}  {'  '.join(f'{size:>6}' for size in sizes)}  segments"]
    for name, shares in found.items():
        values = "  ".join(f"{shares[size]:6.3f}" if size in shares else f"{'-':>6}" for size in sizes)
        lines.append(f"{name:32}  {values}  {shares['segments']:8.1f}")
    return lines


if __name__ == "__main__":
    main()
