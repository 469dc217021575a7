"""`python -m benchmarks.ingest`: how fast photos come in, against the seed notebook's method, all in one run.

Both sides have networks of full size with random weights and embed the same number of crops of each photo. The fast
side is the archive's own ingest, with its originals, its catalog and the pair `standard` in eight bits. Each method
has a process of its own; photos per minute are by the wall, and the machine's other work shows in them, so that the
seconds of CPU stand beside them.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from benchmarks import days

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archive.ingest import Destination
    from archive.observation import Observer

SEGMENTS = 24
"""Crops of each photo, on both sides: about as many as the clean-up leaves of a photo."""

SEED_SIZE = 1024
DAY = 5_000
"""Photos that a wearer takes in a day."""
LEAST_CONFIDENCE = 1e-9
EVERYTHING = 1.1


def measure(*, full: bool) -> dict[str, object]:
    """All figures, as they go into the report; the quick profile takes minutes, a full one an hour."""
    from benchmarks.quality import scratch

    weights = scratch(None) / "full-size"
    seed_photos, fast_photos, pocket_photos = (40, 300, 900) if full else (2, 12, 40)
    with TemporaryDirectory() as folder:
        place = Path(folder)
        distinct = days.distinct(place / "distinct", fast_photos)
        days.day(place / "day", fast_photos)
        pocket = days.distinct(place / "pocket", pocket_photos)
        _prepare(weights)
        shown = [str(path) for path in distinct[:seed_photos]]
        seed = ["benchmarks.baselines.seed", str(SEGMENTS), str(weights), *shown]
        runs = {
            "seed at 1024 px, masked": lambda: _run([*seed, "--size", str(SEED_SIZE), "--masked"], threads=None),
            "seed as published (384 px)": lambda: _run(seed, threads=None),
            "standard, distinct photos": lambda: _fast(place / "distinct", weights),
            "standard, wearable-like day": lambda: _fast(place / "day", weights),
            "standard, the day without reuse": lambda: _fast(place / "day", weights, "--no-reuse"),
            "pocket, distinct photos": lambda: _fast(place / "pocket", weights, "--pocket"),
            "pocket, a third of them": lambda: _fast(_third(place, pocket), weights, "--pocket"),
        }
        told = {name: _told(name, run) for name, run in runs.items()}
    pocket_run, day = told["pocket, distinct photos"], told["standard, wearable-like day"]
    rates = {
        "photos_per_s": pocket_run["photos"] / pocket_run["seconds"],
        "day_minutes": DAY * day["seconds"] / day["photos"] / 60,
    }
    return {"segments": SEGMENTS, "processors": os.cpu_count(), "runs": told, "ratios": _ratios(told), **rates}


def _told(name: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    figures = run()
    click.echo(f"{name}: {json.dumps(figures)}", err=True)
    return figures


def _ratios(told: dict[str, dict[str, Any]]) -> dict[str, float]:
    """How many times as fast as the seed, by the wall and by seconds of CPU, and how memory grows."""
    ratios = {}
    for name in ("standard, distinct photos", "standard, wearable-like day"):
        for base in ("seed at 1024 px, masked", "seed as published (384 px)"):
            for kind, unit in (("seconds", "wall"), ("cpu_seconds", "CPU")):
                one, other = (told[run][kind] / told[run]["photos"] for run in (base, name))
                ratios[f"{name}, against the {base}, by {unit}"] = one / other
    whole, third = told["pocket, distinct photos"], told["pocket, a third of them"]
    ratios["peak memory of three times as many photos"] = whole["peak_megabytes"] / third["peak_megabytes"]
    return ratios


def _third(place: Path, photos: Sequence[Path]) -> Path:
    folder = place / "third"
    folder.mkdir()
    for path in photos[::3]:
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def _prepare(weights: Path) -> None:
    """Write the networks and their graphs, if they are not there yet; no photo is to pay for it."""
    _run(["benchmarks.ingest", "--work", str(weights), "--weights", str(weights), "--prepare"], threads=1)


def _fast(photos: Path, weights: Path, *options: str) -> dict[str, Any]:
    return _run(["benchmarks.ingest", "--work", str(photos), "--weights", str(weights), *options], threads=1)


def _run(words: Sequence[str], threads: int | None) -> dict[str, Any]:
    """What a process of its own tells; with `threads`, torch and its kin have so many."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    done = subprocess.run(  # noqa: S603  (our own interpreter, our own module)
        [sys.executable, "-m", *words], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise click.ClickException(f"{' '.join(words[:2])} failed: {done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def standard(weights: Path) -> Observer:
    """The pair `standard` at full size with random weights, in eight bits, with so many crops of each photo."""
    from archive.cleanup import CleanUp
    from archive.embedders.openclip import OpenClipEmbedder
    from archive.observation import Observer
    from archive.segmenters.yolo import UltralyticsSegmenter
    from benchmarks.baselines.weights import fastsam, towers

    cache = weights / "graphs"
    # Random scores are all alike, so every place of the network proposes and the cap decides.
    segmenter = UltralyticsSegmenter(
        fastsam(weights, "s"), confidence=LEAST_CONFIDENCE, overlap=0.9, limit=300, graphs=cache, precision="int8"
    )
    tower = towers(weights, "ViT-B-32-256")
    embedder = OpenClipEmbedder(tower, weights / "towers", graphs=cache, precision="int8")
    everything = CleanUp(
        least_side=1, least_share=0.0, most_share=EVERYTHING, same_overlap=0.9, inside=1.0, limit=SEGMENTS
    )
    return Observer(segmenter, embedder, everything)


def work(photos: Path, weights: Path, *, pocket: bool, reuse: bool) -> dict[str, Any]:
    """Take the photos of a folder in, and tell what it took; loading the networks is not counted."""
    from archive import ingest, ingest_report

    with TemporaryDirectory() as home:
        observer = _pocket() if pocket else standard(weights)
        observer.observe(np.zeros((1200, 1600, 3), np.uint8))
        report = ingest_report.Report()
        with _destination(Path(home), observer, reuse=reuse) as destination:
            began, busy = perf_counter(), process_time()
            ingest.ingest(photos, destination, report, _Nobody())
            took = {"seconds": perf_counter() - began, "cpu_seconds": process_time() - busy}
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    reused = {"photos_repeated": report.reuse.photos, "vectors_reused": report.reuse.rate}
    return {"photos": report.new, **took, "peak_megabytes": memory, **reused}


@contextmanager
def _destination(home: Path, observer: Observer, *, reuse: bool) -> Iterator[Destination]:
    """An archive of its own for an observer, put together as `archive.bootstrap` does."""
    from archive import bootstrap, indexing
    from archive.arrivals import Arrivals
    from archive.executors.local import LocalExecutor
    from archive.ingest import Destination
    from archive.runtimes.processors import processors
    from archive.settings import Settings

    settings = Settings(home, home / "weights")
    pair = observer.pair("bench", "bench", "bench")
    with bootstrap.writing(settings) as catalog, bootstrap.decoder() as decode:
        pair_id = catalog.ensure_pair(pair)
        catalog.set_wanted(pair_id)
        catalog.set_answering(pair_id)
        yield Destination(
            home=home,
            catalog=catalog,
            originals=bootstrap.originals(settings),
            arrivals=Arrivals(settings.arrivals),
            executor=LocalExecutor(observer, processors()),
            pair_id=pair_id,
            decode=decode,
            index=indexing.index(settings, catalog, pair_id, pair),
            seal_at=settings.seal_at,
            reuse=reuse,
        )


def _pocket() -> Observer:
    from benchmarks import spaces

    return spaces.pocket().observer


class _Nobody:
    """Watches nothing."""

    def begin(self, files: int) -> None:
        """There is nobody to tell."""

    def step(self) -> None:
        """There is nobody to tell."""


def table(told: dict[str, Any]) -> list[str]:
    """The figures for a person, a line each."""
    lines = [f"{'':<34} {'photos/min':>10} {'CPU s/photo':>12} {'peak MB':>8} {'reused':>7}"]
    for name, run in told["runs"].items():
        rate, busy = run["photos"] / run["seconds"] * 60, run["cpu_seconds"] / run["photos"]
        reused = f"{run['vectors_reused']:.0%}" if "vectors_reused" in run else ""
        lines.append(f"{name:<34} {rate:>10.1f} {busy:>12.2f} {run['peak_megabytes']:>8.0f} {reused:>7}")
    return [*lines, "", *(f"{ratio:>8.2f}  {name}" for name, ratio in told["ratios"].items())]


@click.command()
@click.option("--full", is_flag=True, help="Many photos: an hour instead of minutes.")
@click.option("--json", "report", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures there, too.")
@click.option("--work", "photos", type=click.Path(path_type=Path), hidden=True)
@click.option("--weights", type=click.Path(path_type=Path), hidden=True)
@click.option("--prepare", is_flag=True, hidden=True)
@click.option("--pocket", is_flag=True, hidden=True)
@click.option("--no-reuse", is_flag=True, hidden=True)
def main(
    full: bool,  # noqa: FBT001
    report: Path | None,
    photos: Path | None,
    weights: Path | None,
    prepare: bool,  # noqa: FBT001
    pocket: bool,  # noqa: FBT001
    no_reuse: bool,  # noqa: FBT001
) -> None:
    """Print a table of how fast photos come in, against the seed notebook's method."""
    if weights is not None and prepare:
        from benchmarks.baselines.weights import fastsam

        fastsam(weights, "x")
        observer = standard(weights)
        observer.observe(np.zeros((1200, 1600, 3), np.uint8))
        click.echo(json.dumps({"space": observer.embedder.space, "segmenter": observer.segmenter.name}))
    elif weights is not None and photos is not None:
        click.echo(json.dumps(work(photos, weights, pocket=pocket, reuse=not no_reuse)))
    else:
        told = measure(full=full)
        click.echo("\n".join(table(told)))
        if report:
            report.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
