"""All benchmarks of speed and size, against the goals: `python -m benchmarks.bench [--full] [--out FILE]`.

The quick profile takes minutes, the full one an hour. Each benchmark is a module with `measure(full=...)`, run in a
process of its own, one after another, so that none warms another's memory. Prints one table; writes everything as JSON.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import click

BENCHMARKS = ("benchmarks.ingest", "benchmarks.index", "benchmarks.answers", "benchmarks.durability")
"""What is run, in this order. One that this checkout lacks is named as missing."""

IN_A_PROCESS = "import json, sys; from {} import measure; json.dump(measure(full={}), open(sys.argv[1], 'w'))"


class Goal(NamedTuple):
    """What a figure should be: at least, or at most, so much. Its name is a path: `at/1000000/cpu_ms`."""

    figure: str
    says: str
    bound: float
    at_most: bool = False

    def found_in(self, figures: dict[str, Any]) -> float | None:
        """The figure, of a list how many it names; None where it was not measured."""
        found: Any = figures
        for key in self.figure.split("/"):
            found = found.get(key) if isinstance(found, dict) else None
        return len(found) if isinstance(found, list) else found

    def is_met(self, found: float) -> bool:
        """Whether a figure meets it."""
        return found <= self.bound if self.at_most else found >= self.bound


SEED = "against the seed at 1024 px, masked, by wall"

GOALS = {
    "benchmarks.ingest": (
        Goal(f"ratios/standard, distinct photos, {SEED}", "ingest, times as fast as the seed notebook's method", 10),
        Goal(f"ratios/standard, wearable-like day, {SEED}", "and on a day of which half shows the same again", 15),
        Goal("day_minutes", "minutes for 5,000 photos of such a day", 60, at_most=True),
        Goal("ratios/peak memory of three times as many photos", "memory, by threefold photos", 1.1, at_most=True),
    ),
    "benchmarks.index": (
        Goal("growth_per_decade", "a search among tenfold vectors, so many times the work", 2.2, at_most=True),
        Goal("at/1000000/times_less_cpu_than_flat", "a search among a million, times less than flat", 50),
        Goal("at/1000000/cpu_ms", "the same in milliseconds of one processor", 5, at_most=True),
        Goal("at/1000000/recall_at_10", "and of the true ten it finds", 0.95),
    ),
    "benchmarks.answers": (
        Goal("seed_over_fresh", "a fresh query takes 1/20 of the seed notebook's way", 20),
        Goal("rclip_over_fresh", "and 1/4 of rclip's way on a tenth of the vectors", 4),
        Goal("fresh_cpu_s", "the same in seconds of one processor", 0.35, at_most=True),
        Goal("repeated_cpu_s", "the same words again, in a fresh process", 0.2, at_most=True),
        Goal("heavy_modules", "heavy libraries in memory after a query", 0, at_most=True),
        Goal("fresh_growth_per_decade", "a fresh query over tenfold segments, so many times", 1.15, at_most=True),
        Goal("bytes_per_segment", "bytes of a segment, catalog and index", 700, at_most=True),
        Goal("by_segments/1000000/index_bytes_per_segment", "of them in the index, at a million", 120, at_most=True),
        Goal("warm_p50_ms", "a question to `archive serve`, at p50", 15, at_most=True),
        Goal("warm_p99_ms", "and at p99", 50, at_most=True),
        Goal("shell_cpu_ms", "`archive query` beside it, in ms of one processor", 60, at_most=True),
        Goal("questions_per_s_8_clients", "questions a second, eight clients", 50),
    ),
    "benchmarks.durability": (
        Goal("syncs_per_photo", "times that the catalog waits for the disk, of a photo", 1.1, at_most=True),
        Goal("synced_ms_per_photo", "the same in milliseconds, with this disk", 1, at_most=True),
        Goal("written_growth", "bytes that a photo has written, at a hundredfold archive", 1.1, at_most=True),
        Goal("forgetting/invisible_ms", "milliseconds until a forgotten photo is found no more", 5, at_most=True),
    ),
}
"""The goals of each benchmark, by the figures that it gives."""


def run(module: str, out: Path, *, full: bool) -> dict[str, Any]:
    """What a benchmark found; where it cannot run, one `missing` that says why."""
    if find_spec(module) is None:
        return {"missing": f"this checkout has no {module}"}
    result = out.with_name(f"{out.name}.{module}")
    command = [sys.executable, "-c", IN_A_PROCESS.format(module, full), str(result)]
    # Processor time is counted: numpy's other threads would add what they wait.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(  # noqa: S603  (our own interpreter, our own module)
        command, stderr=subprocess.PIPE, stdout=sys.stderr, text=True, check=False, env=environment
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it ended without a word"]
        return {"missing": last[0]}
    found: dict[str, Any] = json.loads(result.read_bytes())
    result.unlink()
    return found


def rows(found: dict[str, dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """The table: what was wanted, the goal, the figure, and whether it was met."""
    table = []
    for module, figures in found.items():
        if "missing" in figures:
            table.append((module, "", "", f"not measured: {figures['missing']}"))
            continue
        for goal in GOALS.get(module, ()):
            bound = f"{'<=' if goal.at_most else '>='} {goal.bound:g}"
            figure = goal.found_in(figures)
            verdict = "not measured" if figure is None else "met" if goal.is_met(figure) else "not met"
            table.append((goal.says, bound, "" if figure is None else f"{figure:g}", verdict))
    return table


@click.command()
@click.option("--full", is_flag=True, help="Larger archives and more repeats; takes an hour.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("bench.json"), show_default=True)
def main(out: Path, *, full: bool) -> None:
    """Run the benchmarks, write what they found, and hold it against the goals."""
    found = {}
    for module in BENCHMARKS:
        click.echo(f"running {module}", err=True)
        found[module] = run(module, out, full=full)
    machine = {"processors": os.cpu_count(), "machine": platform.machine(), "load_average": os.getloadavg()[0]}
    out.write_text(json.dumps({"full": full, "machine": machine, **found}, indent=1) + "\n", encoding="utf-8")
    table = [("", "goal", "figure", ""), *rows(found)]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    for says, bound, figure, verdict in table:
        click.echo(f"{says:<{widths[0]}}  {bound:>{widths[1]}}  {figure:>{widths[2]}}  {verdict}".rstrip())
    click.echo(f"written to {out}", err=True)


if __name__ == "__main__":
    main()
