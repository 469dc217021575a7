"""The command line: one file for each command, and nothing but words and printing in any of them.

Commands are imported when they are called, so that `archive --help` loads nothing heavy. Data goes to stdout, words
to stderr; errors are caught here, in one place.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import click

from archive.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "ingest": "Copy photos from a card or folder, find the things in them, remember where they were.",
    "query": "Ask where something was last seen.",
    "teach": "Show it a thing of your own by pictures, so that a query finds that one.",
    "serve": "Show the archive as a page in the browser, and as a JSON API.",
    "status": "Show what is in the archive, how big it is, and what is pending.",
    "check": "Prove that the archive is whole, or name what is damaged.",
    "repair": "Put right what can be put right; says what it would do unless told --yes.",
    "reembed": "Go on embedding photos with the chosen pair; it answers once it has seen all.",
    "reindex": "Embed photos that lack the chosen pair, and rebuild the search index.",
    "sync": "Put the search index right by the catalog, after a crash of either.",
    "backup": "Copy the archive to another disk, or bring such a copy up to date.",
    "migrate": "Move an archive from its home to a cluster, or back.",
    "restore": "Make an archive anew from a backup, on this machine or another.",
    "forget": "Erase photos for good: by id, by time, or by camera.",
    "clock": "Show a clock that the camera can read, to tell it the time.",
    "models": "List, pull and choose the pairs of models that see and understand.",
}
"""Each command and its one line of help; a test holds them equal to the commands' own."""

ANSWERING = frozenset({"query", "serve"})
"""Commands that compute on one thread: what an answer multiplies is small, and numpy's other threads, which wait for
work in a loop, take more time than they save. A query takes a sixth less, and a server has other questions for them."""

INTERRUPTED = 130


class LazyCommands(click.Group):
    """A group whose commands live in modules of their own, loaded by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"archive.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table above, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyCommands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog='Begin with `archive ingest /media/card`, then ask `archive query "my keys"`.',
)
@click.version_option(package_name="archive", message="archive %(version)s")
def group() -> None:
    """The memory of a wearable camera: ask where you last saw a thing.

    Everything stays on this machine, unless --config names others. Photos, vectors and the catalog live in one folder:
    --home, else $ARCHIVE_HOME, else the place where this system keeps a user's files.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code that DESIGN's contract gives the outcome."""
    os.umask(0o077)
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words and words[0] in ANSWERING:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # numpy reads it when it is imported
    asking = arguments is None and words[:1] == ["query"]
    if asking:
        gc.disable()  # it is over before there is garbage worth looking for, and importing alone sets off many searches
    code = run(words)
    if asking:
        _leave(code)
    sys.exit(code)


def _leave(code: int) -> None:
    """End at once where all that was said has arrived; otherwise Python's own way out tells of it.

    To take the interpreter and its libraries apart costs more than most searches, and a query leaves nothing behind
    that would have to be closed.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; the only place that turns an error into words."""
    verbose = any(word in {"-v", "--verbose"} for word in arguments)
    try:
        code = group.main(args=list(arguments), prog_name="archive", standalone_mode=False)
    except ArchiveError as error:
        return _fail(str(error), error.exit_code, verbose=verbose)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _fail(
            "stopped; what was done is kept, and running it again goes on from there", INTERRUPTED, verbose=False
        )
    except BrokenPipeError:
        # The reader of a pipe went away, as `head` does; silence the interpreter's own flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        from archive.photos.names import printable

        place = f"{printable(str(error.filename))}: " if error.filename else ""
        reason = error.strerror or type(error).__name__
        return _fail(f"{place}{reason}; put that right and run it again", ArchiveError.exit_code, verbose=verbose)
    except Exception as error:  # noqa: BLE001  (the last boundary: code 1 must not say "nothing seen")
        what = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        return _fail(f"unexpected {what}; run it again with -v to see where", ArchiveError.exit_code, verbose=verbose)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int, *, verbose: bool) -> int:
    if verbose:
        import traceback

        traceback.print_exc()
    click.echo(f"archive: {message}", err=True)
    return code
