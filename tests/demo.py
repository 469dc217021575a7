"""`make demo`: a first day with the archive, over photographs that come inside installed packages.

The photographs are those that ultralytics and scikit-image carry in their wheels, so nothing is downloaded. Their
copies get times of yesterday, a few minutes apart, as if somebody had walked past it all.
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

PHOTOGRAPHS = {
    "skimage": ("coffee", "page", "clock_motion", "chelsea", "motorcycle_left", "astronaut", "coins", "brick", "grass"),
    "ultralytics": ("bus", "zidane"),
}
QUESTIONS = ("a cup of coffee", "a cat", "motorcycle")
ABSENT = "giraffe"
EVERY = timedelta(minutes=7)


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


def lay_out(folder: Path) -> None:
    """Copy the photographs as a camera would have left them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begin = datetime.now().astimezone().replace(hour=8, minute=0, second=0, microsecond=0) - timedelta(days=1)
    for number, photograph in enumerate(photographs()):
        copy = shutil.copyfile(photograph, folder / photograph.name)
        moment = (begin + number * EVERY).timestamp()
        os.utime(copy, (moment, moment))


def archive(home: Path, *words: str) -> int:
    """Show a command, run it, and return how it ended."""
    print(f"\n$ archive {shlex.join(words)}", flush=True)
    command = [sys.executable, "-m", "archive", *words]
    return subprocess.run(command, env={**os.environ, "ARCHIVE_HOME": str(home)}, check=False).returncode


def main(folder: Path) -> int:
    """Ingest the photographs and ask about them; returns the exit code of the demo."""
    home, card, answers = folder / "home", folder / "card", folder / "answers"
    shutil.rmtree(answers, ignore_errors=True)
    lay_out(card)
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
