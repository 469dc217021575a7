"""`python -m benchmarks.calibration SET_DIR`: whether a built-in pair's verdicts and chances mean what they say.

A labelled set names few things that are in none of its photos. So each query for something present is asked a second
time, of the same archive without the photos that show it: then it is absent, too.

A thing is called by its name where a segment lies on it that a query for it may be answered with. A segment alone, of
which no word knows what it shows, finds nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from archive import probes, ranking, verdicts
from archive.embedders.pooling import overlaps
from archive.pairs.shipped import SHIPPED, calibration
from archive.training.figures import size_of
from archive.types import Example
from benchmarks import labelled, spaces
from benchmarks.figures import SAME_THING, auroc, calibration_error, risks
from benchmarks.looks import View
from benchmarks.quality import look, scratch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from archive.probes import Probes
    from archive.types import Pack, Vectors
    from archive.verdicts import Calibration
    from benchmarks.labelled import LabelledSet

    Flags = NDArray[np.bool_]

JUDGED = 3
"""Of each query so many of the best photos count as its hits."""

COVERAGES = (0.1, 0.25, 0.5, 0.75, 1.0)
SEEN_SHARES = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)


@dataclass(frozen=True, slots=True)
class Asking:
    """What came of one query: how high its best segment stands, and of its best photos the chances and the truth."""

    height: float
    chances: list[float]
    right: list[bool]


@click.command(epilog="\b\nExample:\n  python -m benchmarks.calibration ../shared/eval/everyday")
@click.argument("folder", metavar="SET_DIR", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--json", "report", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there, too.")
@click.option("--pair", type=click.Choice([*SHIPPED]), default="pocket", show_default=True, help="Whose verdicts.")
@click.option("--every", type=click.IntRange(1), default=1, show_default=True, help="Only every so-manieth photo.")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), help="Where what was seen is remembered.")
def main(folder: Path, report: Path | None, pair: str, every: int, cache: Path | None) -> None:
    """Measure the verdicts and chances of a built-in pair on a labelled set."""
    chosen, space = labelled.read(folder, every), spaces.pocket(pair)
    view = View(space.cleanup)
    packs = look(chosen, space, [view], scratch(cache))[view].packs
    rows = space.observer.embedder.embed_text([query.text for query in chosen.queries])
    found = measure(chosen, packs, rows, calibration(pair))
    if report:
        report.write_text(json.dumps({"set": chosen.name, "photos": len(packs), **found}, indent=1))
    click.echo(f"{chosen.name}, {len(packs)} photos; space: {space.name}\n" + "\n".join(_lines(found)))


def measure(
    chosen: LabelledSet, packs: Sequence[Pack], rows: Vectors, meaning: Calibration
) -> dict[str, dict[str, float]]:
    """All figures: of the queries (q, dim) for what is there, for what never was, and for what was taken away."""
    present, absent, away = [], [], []
    for query, row in zip(chosen.queries, rows, strict=True):
        if query.relevant.any():
            present.append(_ask(packs, query.relevant, row, meaning))
            without = [pack for pack, shows in zip(packs, query.relevant, strict=True) if not shows]
            if without:
                away.append(_ask(without, np.zeros(len(without), bool), row, meaning))
        else:
            absent.append(_ask(packs, query.relevant, row, meaning))
    return {
        "present against absent": _against(present, absent),
        "present against taken away": _against(present, away),
        "hits": _hits([*present, *absent]),
        "labelled things that are called by their names": _called(chosen, packs, rows, meaning),
    }


def _composed(packs: Sequence[Pack], row: Vectors, meaning: Calibration) -> Probes:
    """A query as the search composes it, with every segment of the archive as the background."""
    sample = np.concatenate([pack.vectors for pack in packs])
    return probes.compose(Example("", row[np.newaxis]), (), (), sample, meaning)


def _ask(packs: Sequence[Pack], relevant: Flags, row: Vectors, meaning: Calibration) -> Asking:
    asked = _composed(packs, row, meaning)
    scores = ranking.score(packs, asked)
    top = scores.ranked()[:JUDGED]
    chances = [verdicts.probability(asked.background.height(float(scores.best[place]))) for place in top]
    height = asked.background.height(float(scores.best.max()))
    return Asking(height, chances, [bool(relevant[place]) for place in top])


def _against(present: Sequence[Asking], absent: Sequence[Asking]) -> dict[str, float]:
    """How well heights divide queries: at both bars, and where given shares of the present ones are still seen."""
    there = np.array([one.height for one in present])
    gone = np.array([one.height for one in absent])
    found = {"present": len(there), "absent": len(gone), "AUROC": auroc(there, gone)}
    for name, bar in (("maybe", verdicts.MAYBE_AT), ("seen", verdicts.SEEN_AT)):
        found[f"seen when present, bar `{name}`"] = float(np.mean(there >= bar))
        found[f"not seen when absent, bar `{name}`"] = float(np.mean(gone < bar)) if len(gone) else float("nan")
    for share in SEEN_SHARES:
        bar = float(np.quantile(there, 1 - share, method="lower"))
        chance = verdicts.probability(bar)
        not_seen = float(np.mean(gone < bar)) if len(gone) else float("nan")
        found[f"not seen when absent, where {share:.2f} is seen (chance {chance:.2f})"] = not_seen
    return found


def _called(chosen: LabelledSet, packs: Sequence[Pack], rows: Vectors, meaning: Calibration) -> dict[str, float]:
    """Of the things in photos the share on which a segment lies that is at least *maybe* what a query calls them."""
    called: dict[str, list[bool]] = {}
    for query, row in zip(chosen.queries, rows, strict=True):
        asked = _composed(packs, row, meaning)
        least = asked.background.score_at(verdicts.MAYBE_AT)
        for place in np.flatnonzero(query.relevant).tolist():
            answers = packs[place].boxes[1:][asked.measure(packs[place].vectors[1:]).cosines >= least]
            for edges in chosen.truth(place, query.label):
                lies_on_it = overlaps(edges, answers.astype(np.float32)) >= SAME_THING
                called.setdefault(size_of(edges), []).append(bool(lies_on_it.any()))
    return {size: float(np.mean(called[size])) for size in sorted(called)}


def _hits(asked: Sequence[Asking]) -> dict[str, float]:
    """Whether the chances beside hits mean what they say."""
    chances = np.array([chance for one in asked for chance in one.chances])
    right = np.array([truth for one in asked for truth in one.right])
    at_risk = {
        f"risk at coverage {share:g}": risk
        for share, risk in zip(COVERAGES, risks(chances, right, COVERAGES), strict=True)
    }
    return {
        "hits": len(chances),
        "right": float(right.mean()),
        "mean chance": float(chances.mean()),
        "expected calibration error": calibration_error(chances, right),
        "AUROC right against wrong": auroc(chances[right], chances[~right]),
        **at_risk,
    }


def _lines(found: dict[str, dict[str, float]]) -> list[str]:
    lines = []
    for part, figures in found.items():
        lines += ["", part, *(f"  {name:62} {_number(value)}" for name, value in figures.items())]
    return lines


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"


if __name__ == "__main__":
    main()
