"""How soon an answer comes: `python -m benchmarks.answers [--full]`.

Fresh processes and a running `archive serve`, over made-up archives (`benchmarks.synthetic`), and beside them in the
same minute what others do (`benchmarks.baselines`). Figures of fresh processes are seconds of processor time, least of
several: the machine's other work does not count. All processes find compiled bytecode, as in an installation that was
used once. Ratios are the claims; milliseconds are this machine's.
"""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import click
import numpy as np

from benchmarks import synthetic, words
from benchmarks.baselines import flat, rclip_way, seed_query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archive.settings import Settings

PLACE = Path(tempfile.gettempdir()) / "archive-benchmarks"
FRESH = 100_000
"""Segments that a fresh process asks; rclip has one vector for each photo, here a tenth of that."""
WARM = 1_000_000
CLIENTS = 8
COLOURS = ("red", "blue", "green", "black", "white", "yellow", "brown", "silver")
KINDS = ("mug", "key", "book", "bottle", "phone", "shoe", "bag", "lamp")

PUT_BACK = {
    "words in numpy instead of an ONNX Runtime session": """
from archive.embedders import plain_tower
from archive.embedders.text_tower import OnnxTextTower
plain_tower.PlainTextTower = lambda folder, verified: OnnxTextTower(folder)
""",
    "its word pieces looked up in the file, not by the tokenizers library": """
from archive.embedders import word_pieces
word_pieces.is_plain = lambda text: False
""",
    "a file is hashed once, not by each process": """
from archive import verified
verified.Verified.holds = lambda *_: False
""",
    "no sample of the archive where chances ignore it": """
from archive import verdicts
verdicts.Calibration.ignores_background = False
""",
    "many packs decoded at once": """
from archive.catalog import packing, queries
together = packing.decode_whole
queries.decode_whole = lambda packed, dim: [pack for one in packed for pack in together([one], dim)]
""",
    "only photos that can matter are read": """
from archive import scanning
scanning.LIKELY = scanning.MOST_NAMED
""",
    "a tally instead of counting packs": """
from archive.catalog import reader
reader.CatalogReader.tally = lambda *_: None
""",
    "sqlite3 instead of SQLAlchemy": "import sqlalchemy.orm",
    "no search for garbage": "import gc; gc.disable = lambda: None",
    "the interpreter is not taken apart": "from archive import cli; cli._leave = lambda code: None",
}
"""Each technique with the lines that undo it, which are run before the command."""

PUT_BACK_OF_REPEATED = {
    "words asked before need no tower": """
from archive import parts
parts.WordsToAsk = parts.words
""",
    "a text keeps its vector": """
from archive.catalog.reader import CatalogReader
CatalogReader.text_vector = lambda *_: None
""",
    "of few later photos the frames alone are read": "from archive import aftermath; aftermath.LOOKED_THROUGH = 0",
}
"""The same, of what counts for words that were asked before and find something."""


def measure(*, full: bool) -> dict[str, object]:
    """Every figure of answers: fresh processes, what each technique gains, a warm server, and the baselines."""
    repeats = 15 if full else 5
    sizes = (FRESH, WARM) if full else (FRESH,)
    warm = {segments: _warm(segments, full=full) for segments in sizes}
    sized = {str(segments): {**_sizes(segments), **figures} for segments, figures in warm.items()}
    return {**_fresh(repeats, full=full), **sized[str(sizes[-1])], "by_segments": sized}


def _sizes(segments: int) -> dict[str, float]:
    """Bytes on the disk for each segment, at the 256 dimensions of the built-in pair."""
    settings = synthetic.archive(segments)
    index = sum(path.stat().st_size for path in settings.shards.rglob("*") if path.is_file())
    catalog = settings.catalog.stat().st_size
    return {
        "catalog_bytes_per_segment": round(catalog / segments, 1),
        "index_bytes_per_segment": round(index / segments, 1),
        "bytes_per_segment": round((catalog + index) / segments, 1),
    }


def _fresh(repeats: int, *, full: bool) -> dict[str, object]:
    home = synthetic.archive(FRESH).home
    seed_query.prepare(PLACE / "seed", FRESH)
    rclip_way.prepare(PLACE / "rclip", FRESH // 10)
    seed = _least(lambda: _python("-m", "benchmarks.baselines.seed_query", str(PLACE / "seed"), "my keys"), 1)
    rclip = _least(lambda: _python("-m", "benchmarks.baselines.rclip_way", str(PLACE / "rclip"), "my keys"), repeats)
    new = _least(lambda: _ask(home, _unheard()), repeats)
    repeated = _least(lambda: _ask(home, "red mug"), repeats)
    gains = {
        name: round(_least(lambda undone=undone: _ask(home, _unheard(), undone), repeats) - new, 3)  # type: ignore[misc]
        for name, undone in PUT_BACK.items()
    }
    for name, undone in PUT_BACK_OF_REPEATED.items():
        gains[name] = round(_least(lambda undone=undone: _ask(home, "red mug", undone), repeats) - repeated, 3)  # type: ignore[misc]
    found: dict[str, object] = {
        "fresh_segments": FRESH,
        "fresh_cpu_s": round(new, 3),
        "repeated_cpu_s": round(repeated, 3),
        "seed_cpu_s": round(seed, 3),
        "rclip_cpu_s": round(rclip, 3),
        "seed_over_fresh": round(seed / new, 1),
        "rclip_over_fresh": round(rclip / new, 2),
        "gains_cpu_s": gains,
        "words_cpu_s": words.measure(PLACE / "towers", repeats, full=full),
        "heavy_modules": _heavy_modules(home),
    }
    if full:
        larger = synthetic.archive(WARM).home
        decades = math.log10(WARM / FRESH)
        grown = _least(lambda: _ask(larger, _unheard()), repeats) / new
        found["fresh_growth_per_decade"] = round(grown ** (1 / decades), 2)
        flat.prepare(PLACE / "flat", WARM)
        found["flat_search_ms"] = float(_output("-m", "benchmarks.baselines.flat", str(PLACE / "flat")))
    return found


def _warm(segments: int, *, full: bool) -> dict[str, object]:
    """Latencies of `archive serve` for one client, questions a second for several, and what `archive query` takes."""
    settings = synthetic.archive(segments)
    asked = [f"{colour} {kind}" for colour, kind in product(COLOURS, KINDS)]
    unheard = [f"{words} {_unheard()}" for words in asked]
    with serving(settings) as (port, token, process):
        for words in asked[:8]:
            _question(port, token, words)
        began = _processor_time(process)
        new = [_timed(port, token, words) for words in unheard]
        known = [_timed(port, token, words) for words in (asked + unheard) * (8 if full else 2)]
        spent = (_processor_time(process) - began) / (len(new) + len(known))
        with ThreadPoolExecutor(CLIENTS) as clients:
            many = asked * (16 if full else 4)
            began = time.perf_counter()
            list(clients.map(lambda words: _question(port, token, words), many))
            rate = len(many) / (time.perf_counter() - began)
        memory = _memory(process)
        asking = _least(lambda: _ask(settings.home, asked[0]), 15 if full else 5)
    return {
        "warm_segments": segments,
        **{f"warm_new_p{share}_ms": _percentile(new, share) for share in (50, 99)},
        **{f"warm_p{share}_ms": _percentile(known, share) for share in (50, 99)},
        "warm_cpu_ms": round(1000 * spent, 2),
        "shell_cpu_ms": round(1000 * asking, 1),
        "server_mb": round(memory / 1e6),
        f"questions_per_s_{CLIENTS}_clients": round(rate, 1),
        "load_average": round(os.getloadavg()[0], 1),
    }


@contextmanager
def serving(settings: Settings) -> Iterator[tuple[int, str, int]]:
    """A running `archive serve`: its port, its token, and its process."""
    command = [sys.executable, "-m", "archive", "serve", "--port", "0", "--json", "--home", str(settings.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environment()) as server:  # noqa: S603
        try:
            assert server.stdout is not None  # noqa: S101  (it is a pipe)
            entrance = json.loads(server.stdout.readline())
            yield entrance["port"], entrance["url"].partition("#")[2], server.pid
        finally:
            server.terminate()


def _processor_time(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(process: int) -> int:
    """Bytes that a process has for itself; what it maps of files, the system can take back."""
    pages = Path(f"/proc/{process}/statm").read_text().split()
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")


def _question(port: int, token: str, words: str) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    address = f"/api/v1/query?{urlencode({'text': words})}"
    connection.request("GET", address, headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != 200:
        raise click.ClickException(f"the server answered {response.status}")


def _timed(port: int, token: str, words: str) -> float:
    began = time.perf_counter()
    _question(port, token, words)
    return 1000 * (time.perf_counter() - began)


def _percentile(spent: Sequence[float], share: int) -> float:
    return round(float(np.percentile(spent, share)), 1)


def _unheard() -> str:
    """Words that were never asked before, all of the same length."""
    return f"lamp {time.time_ns() % 10**9:09d}"


def _ask(home: Path, words: str, before: str = "") -> float:
    """Seconds of processor time of one fresh `archive query`, after the lines that undo something."""
    lines = f"{before}\nfrom archive.cli import main\nmain()"
    return _python("-c", lines, "query", words, "--home", str(home), "--json")


def _python(*words: str) -> float:
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, *words]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode not in {0, 1}:
        raise click.ClickException(done.stderr[-500:])
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime


def _output(*words: str) -> str:
    command = [sys.executable, *words]
    return subprocess.run(command, env=_environment(), capture_output=True, text=True, check=True).stdout  # noqa: S603


def _heavy_modules(home: Path) -> list[str]:
    """Which of the libraries that a query must not load were in memory after one."""
    lines = f"""
import sys
from archive.cli import run
sys.stdout, shown = sys.stderr, sys.stdout
run(['query', {_unheard()!r}, '--home', {str(home)!r}])
heavy = {{'torch', 'torchvision', 'open_clip', 'ultralytics', 'sqlalchemy', 'alembic', 'PIL', 'cv2'}}
print(*sorted(heavy & {{name.partition('.')[0] for name in sys.modules}}), file=shown)
"""
    return _output("-c", lines).split()


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONPYCACHEPREFIX": str(PLACE / "bytecode")}


def _least(once: Callable[[], float], repeats: int) -> float:
    once()  # compiles what it imports, and brings the files into memory
    return min(once() for _ in range(repeats))


if __name__ == "__main__":
    click.echo(json.dumps(measure(full="--full" in sys.argv[1:]), indent=1))
