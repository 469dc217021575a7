"""What words cost a fresh process that has a text tower of the registry: `python -m benchmarks.words [--full]`.

The towers have their full size and random weights; they are exported as the product does it. Each way of computing is
seconds of processor time above those of a process that stops where the tower would be made. The full profile has the
tower of the pair `large`, too.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from archive.embedders.folder import OpenClipFolder, file_digest
from archive.embedders.openclip import OpenClipEmbedder
from archive.pairs.registry import PAIRS
from benchmarks.baselines.weights import towers

BEFORE = """
import os
from pathlib import Path
import numpy as np
from archive.embedders import plain_tower, text_tower
from archive.verified import Verified
folder, tower, space = Path({folder!r}), Path({tower!r}), {space!r}
verified = Verified(Path({home!r}))
def plain():
    return plain_tower.of_folder(plain_tower.Weights(folder, {sha256!r}), tower, space, verified)
"""
ASK = "\nmade.embed_text(['lamp 123456789'])"
LEAVE = "\nos._exit(0)"
WAYS = {
    "as it is": "made = plain()",
    "vocabulary as a whole instead of a table": "plain_tower.is_plain = lambda text: False; made = plain()",
    "padded to the tower's context": """
short = plain_tower.PlainTextTower._tokens
def padded(tower, text):
    ids = short(tower, text)
    return np.pad(ids, (0, tower._shape["context_length"] - len(ids)))
plain_tower.PlainTextTower._tokens = padded
made = plain()
""",
    "weights read instead of mapped": """
mapped = plain_tower.text_tensors
plain_tower.text_tensors = lambda path: {name: np.array(values) for name, values in mapped(path).items()}
made = plain()
""",
    "ONNX Runtime instead of numpy": "made = text_tower.OnnxTextTower(tower, verified)",
    "and its files hashed by each process": "made = text_tower.OnnxTextTower(tower)",
}


def measure(place: Path, repeats: int, *, full: bool) -> dict[str, dict[str, float]]:
    """Seconds of processor time by pair and way."""
    return {name: _pair(name, place, repeats) for name in (("standard", "large") if full else ("standard",))}


def _pair(name: str, place: Path, repeats: int) -> dict[str, float]:
    folder = OpenClipFolder(towers(place, PAIRS[name].embedder.architecture))
    tower = OpenClipEmbedder(folder.path, place / "exported").export_text()
    space = json.loads((tower / "tower.json").read_bytes())["space"]
    sha256 = file_digest(folder.weights)
    before = BEFORE.format(folder=str(folder.path), tower=str(tower), space=space, home=str(place), sha256=sha256)
    nothing = _least(before + LEAVE, repeats)
    return {way: round(_least(before + lines + ASK + LEAVE, repeats) - nothing, 3) for way, lines in WAYS.items()}


def _least(lines: str, repeats: int) -> float:
    spent = []
    for _ in range(repeats + 1):  # the first one finds files that are not in memory
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", lines], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})  # noqa: S603
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime)
    return min(spent[1:])


if __name__ == "__main__":
    everything = "--full" in sys.argv[1:]
    click.echo(json.dumps(measure(Path(tempfile.gettempdir()) / "archive-benchmarks" / "towers", 5, full=everything)))
