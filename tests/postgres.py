"""A real PostgreSQL server of the tests' own: a temporary folder, a socket in it, and an ordinary user."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from archive.catalog.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 180
CLUSTER_USER = "archive"


def programs() -> Path | None:
    """The folder of the newest server that Debian's packages have installed; None where none can be run."""
    if os.getuid() == 0 and Path("/proc/self/uid_map").read_text().split()[2] == "1":
        return None  # root of a namespace in which there is no other user, who alone could run it
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    return found[-1] if found else None


class PostgresServer:
    """A server over a folder. It can be killed as a power cut would, and started again."""

    def __init__(self, programs: Path, folder: Path, *, durable: bool) -> None:
        self._programs = programs
        self._folder = folder
        self._durable = durable
        self._user = _ordinary_user()
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make an empty cluster."""
        if self._user:
            shutil.chown(self._folder, self._user)
        self._run("initdb", "--auth=trust", f"--username={CLUSTER_USER}", "--encoding=UTF8", "--locale=C.UTF-8", "-N")

    def start(self) -> None:
        """Start the server, and wait until it answers; after a kill that is once what it left is gone."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            if self._process is None or self._process.poll() is not None:
                self._process = self._launch()
            if time.monotonic() > deadline:
                raise TimeoutError((self._folder / "log").read_text())
            time.sleep(0.1)

    def kill(self) -> None:
        """kill -9 for the server and each of its processes."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for process in (pid, *map(int, children)):
            os.kill(process, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Stop it in an orderly way."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE_S)

    def database(self, name: str) -> Postgres:
        """The database of that name, which need not be there."""
        return Postgres(f"postgresql+psycopg://{CLUSTER_USER}@/{name}?host={self._folder}")

    def command(self, statement: str) -> None:
        """Run one statement of the server's administrator."""
        with self.database("postgres").connect() as connection:
            connection.execute(statement)

    def _launch(self) -> subprocess.Popen[bytes]:
        settings = [f"unix_socket_directories={self._folder}", "listen_addresses=", "max_connections=40"]
        if not self._durable:
            # Autovacuum would hold on to the database that others are copied from.
            settings += ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"]
        options = [word for setting in settings for word in ("-c", setting)]
        command = [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *options]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, cwd="/", stdout=log, stderr=log, user=self._user, group=self._user, extra_groups=self._groups
            )

    def _run(self, program: str, *options: str) -> None:
        command = [str(self._programs / program), "-D", str(self._folder / "data"), *options]
        subprocess.run(
            command,
            cwd="/",
            check=True,
            capture_output=True,
            user=self._user,
            group=self._user,
            extra_groups=self._groups,
        )

    @property
    def _groups(self) -> list[str] | None:
        return [] if self._user else None

    def _answers(self) -> bool:
        try:
            self.command("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def running(*, durable: bool) -> Iterator[PostgresServer | None]:
    """A server while the block runs; None where none is installed. One that is not `durable` is quicker."""
    folder = programs()
    if folder is None:
        yield None
        return
    # Not pytest's folder, which only its own user may enter.
    with tempfile.TemporaryDirectory(prefix="archive-pg-", dir="/tmp", ignore_cleanup_errors=True) as home:
        server = PostgresServer(folder, Path(home), durable=durable)
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _ordinary_user() -> str | None:
    """Who runs the server; PostgreSQL refuses to be run by root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
