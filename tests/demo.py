"""`make demo`: a first day with the archive, over photographs that come inside installed packages.

The photographs are those that ultralytics and scikit-image carry in their wheels, so nothing is downloaded. The
camera's own firmware puts them on a card, a few minutes apart, as if somebody had walked past it all yesterday.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

PHOTOGRAPHS = {
    "skimage": ("coffee", "page", "clock_motion", "chelsea", "motorcycle_left", "astronaut", "coins", "brick", "grass"),
    "ultralytics": ("bus", "zidane"),
}
QUESTIONS = ("a cup of coffee", "a cat", "motorcycle")
ABSENT = "giraffe"
INTERVAL = timedelta(minutes=7)
DRIFT_PPM = 10_000
"""36 seconds in an hour, as sleeping chips really stray."""


def photographs() -> list[Path]:
    """The photographs of the packages that are installed, in the order of the walk."""
    found = []
    for package, names in PHOTOGRAPHS.items():
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            continue
        folder = Path(spec.origin).parent / ("data" if package == "skimage" else "assets")
        found += [path for name in names for path in sorted(folder.glob(f"{name}.*"))]
    return found


def shoot(card: Path, pictures: Path) -> None:
    """Let the camera's firmware, played on this computer, take the photographs onto a card."""
    for folder in (card, pictures):
        shutil.rmtree(folder, ignore_errors=True)
    pictures.mkdir(parents=True)
    for number, photograph in enumerate(photographs()):
        Image.open(photograph).convert("RGB").save(pictures / f"{number:02d}-{photograph.stem}.jpg", quality=90)
    begin = datetime.now().astimezone().replace(hour=8, minute=0, second=0, microsecond=0) - timedelta(days=1)
    options = [
        "--interval",
        str(INTERVAL.seconds),
        "--start",
        begin.isoformat(),
        "--drift-ppm",
        str(DRIFT_PPM),
        "--ntp",
    ]
    words = ["firmware/simulate.py", str(card), "--pictures", str(pictures), *options]
    print(f"$ python {shlex.join(words)}", flush=True)
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)


def archive(home: Path, *words: str) -> int:
    """Show a command, run it, and return how it ended."""
    print(f"\n$ archive {shlex.join(words)}", flush=True)
    command = [sys.executable, "-m", "archive", *words]
    return subprocess.run(command, env={**os.environ, "ARCHIVE_HOME": str(home)}, check=False).returncode


def main(folder: Path) -> int:
    """Ingest the photographs and ask about them; returns the exit code of the demo."""
    home, card, answers = folder / "home", folder / "card", folder / "answers"
    shutil.rmtree(answers, ignore_errors=True)
    shoot(card, folder / "pictures")
    ended = archive(home, "ingest", str(card))
    if ended:
        return ended
    for question in QUESTIONS:
        archive(home, "query", question, "--limit", "3", "--save", str(answers / question.replace(" ", "-")))
    archive(home, "query", ABSENT)
    archive(home, "status")
    print(f"\nThe pictures with their boxes are in {answers}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
