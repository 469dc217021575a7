"""Where the tests find MicroPython: `$MICROPYTHON`, PATH, or Debian's packages unpacked into the user's cache.

    python -m tests.firmware.micropython

fetches those packages (4 MB) with apt-get where there is no interpreter yet, installs nothing, and prints the command
that runs it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

REQUIRED = "ARCHIVE_REQUIRE_MICROPYTHON"
PACKAGES = ("micropython", "libc6", "libffi8", "libmbedcrypto16", "libmbedtls21", "libmbedx509-7")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SOURCES = f"Types: deb\nURIs: http://deb.debian.org/debian\nSuites: trixie\nComponents: main\nSigned-By: {KEYRING}\n"
"""Debian 13 is the first with a MicroPython package; its own libc comes along, so any Linux can run it."""


def interpreter() -> list[str]:
    """The command that runs MicroPython; skips the test where there is none, or fails it where CI says it must be."""
    command = find()
    if command is None:
        reason = "needs MicroPython: set $MICROPYTHON, or run python -m tests.firmware.micropython"
        if os.environ.get(REQUIRED):
            pytest.fail(reason)
        pytest.skip(reason)
    return command


@cache
def find() -> list[str] | None:
    named = os.environ.get("MICROPYTHON")
    if named:
        return shlex.split(named)
    on_path = shutil.which("micropython")
    return [on_path] if on_path else _unpacked()


def fetch() -> list[str] | None:
    """Download and unpack Debian's packages under the user's cache, signatures checked by apt."""
    folder = _folder()
    debs = folder / "debs"
    for made in (folder / "lists" / "partial", folder / "cache" / "archives" / "partial", debs):
        made.mkdir(parents=True, exist_ok=True)
    (folder / "trixie.sources").write_text(SOURCES)
    options = {
        "Dir::Etc::sourcelist": folder / "trixie.sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
    }
    apt = ["apt-get", "-q", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "download", *PACKAGES], check=True, cwd=debs)
    for package in debs.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder / "root")], check=True)
    return _unpacked()


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archive-tests" / "micropython"


def _unpacked() -> list[str] | None:
    root = _folder() / "root" / "usr"
    loader = next(root.glob("lib/*/ld-linux*"), None)
    program = root / "bin" / "micropython"
    if loader is None or not program.exists():
        return None
    return [str(loader), "--library-path", str(loader.parent), str(program)]


if __name__ == "__main__":
    command = find() or fetch()
    if command is None:
        sys.exit("nothing was unpacked")
    print(shlex.join(command))
