"""Write a card with the firmware's own code, on a computer: for demonstrations, tests and bug reports.

    python firmware/simulate.py CARD --pictures photos/ --interval 30
    python firmware/simulate.py CARD --photos 200 --drift-ppm 10000 --ntp --reboot-every 50
    python firmware/simulate.py CARD --plan plan.json

Each picture is what the sensor sees for one photo. Pictures must be JPEG files; the firmware does not look inside.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

FRAMES_PER_PHOTO = 4
"""With settle_ms = 0 the firmware throws three frames away and keeps the fourth."""


def main(arguments: list[str] | None = None) -> int:
    """Simulate as asked; gives the exit code."""
    options = _options(arguments)
    try:
        plan = _plan(options)
    except ValueError as error:
        print("simulate:", error, file=sys.stderr)
        return 2
    from simulator import scenario

    options.card.mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(io.StringIO()) as serial:
        result = scenario.play(plan)
    if options.verbose:
        print(serial.getvalue(), end="", file=sys.stderr)
    json.dump({"photos": result["stored"], "true_ms": result["true_ms"]}, sys.stdout, indent=1)
    print()
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Write a card as the camera would.")
    parser.add_argument("card", type=Path, help="folder that stands for the card")
    parser.add_argument("--pictures", type=Path, help="folder of JPEG files, shot in the order of their names")
    parser.add_argument("--photos", type=int, help="how many photos; as many as pictures where those are given")
    parser.add_argument("--interval", type=int, default=30, help="seconds from photo to photo")
    parser.add_argument("--start", help="local or zoned ISO 8601 time of the first waking")
    parser.add_argument("--drift-ppm", type=int, default=0, help="how fast the chip's clock runs in sleep")
    parser.add_argument("--ntp", action="store_true", help="the network tells the time")
    parser.add_argument("--reboot-every", type=int, default=0, help="lose power after each so many photos")
    parser.add_argument("--config", type=Path, help="a CONFIG.TXT for the card")
    parser.add_argument("--plan", type=Path, help="a plan of your own, instead of all of these; see the README")
    parser.add_argument("--verbose", action="store_true", help="print what the camera says at its serial port")
    return parser.parse_args(arguments)


def _plan(options: argparse.Namespace) -> dict[str, object]:
    if options.plan:
        return json.loads(options.plan.read_text()) | {"card": {"folder": str(options.card)}}
    pictures = [str(path) for path in _pictures(options.pictures)]
    photos = options.photos or len(pictures)
    if photos < 1:
        raise ValueError("how many photos? give --photos, or --pictures with JPEG files in it")
    config = options.config.read_text() if options.config else f"interval = {options.interval}\nsettle_ms = 0\n"
    plan = {
        "card": {"folder": str(options.card), "config": config + ("wifi_ssid = simulated\n" if options.ntp else "")},
        "steps": _steps(photos, options.reboot_every),
        "drift_ppm": options.drift_ppm,
        "network": options.ntp,
        "pictures": pictures,
        "shots_per_picture": FRAMES_PER_PHOTO,
    }
    if options.start:
        plan["true_ms"] = int(datetime.fromisoformat(options.start).astimezone().timestamp() * 1000)
    return plan


def _pictures(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    if not folder.is_dir():
        raise ValueError(f"no folder {folder}")
    return sorted(path.resolve() for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"})


def _steps(photos: int, reboot_every: int) -> list[dict[str, int]]:
    if not reboot_every:
        return [{"wake": photos}]
    steps: list[dict[str, int]] = []
    while photos > 0:
        steps += [{"wake": min(photos, reboot_every)}, {"power_off": 60_000}]
        photos -= reboot_every
    return steps[:-1]


if __name__ == "__main__":
    sys.exit(main())
