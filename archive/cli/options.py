"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archive import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = TypeVar("Command", bound=Callable[..., Any])


CONFIG = "archive.config"
WEARERS = "archive.wearers"


def _resolved(context: click.Context, _option: click.Parameter, value: Path | None) -> settings.Settings:
    resolved = settings.resolve(value)._replace(wearers=context.meta.get(WEARERS, ()))
    if (config := context.meta.get(CONFIG)) is None:
        return resolved
    from archive import configuration

    return resolved._replace(cluster=configuration.read(config))


def _keep_config(context: click.Context, _option: click.Parameter, value: Path | None) -> None:
    context.meta[CONFIG] = value


def common(command: Command) -> Command:
    """`--home` with `--config`, which arrive as settings, and `--verbose`, which the one catcher of errors reads."""
    command = click.option(
        "--config",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar=settings.CONFIG_VARIABLE,
        is_eager=True,  # it is a part of what --home resolves to
        expose_value=False,
        callback=_keep_config,
        help="For more than one machine: a TOML file that names its parts. [env: ARCHIVE_CONFIG]",
    )(command)
    command = click.option(
        "--home",
        "settings",
        type=click.Path(path_type=Path, file_okay=False),
        callback=_resolved,
        help="The archive's folder. [default: $ARCHIVE_HOME, else the system's place for user files]",
    )(command)
    return verbose(command)


def wearer(command: Command) -> Command:
    """`--wearer`, which arrives within the settings."""
    return click.option(
        "--wearer",
        metavar="NAME",
        multiple=True,
        is_eager=True,  # it is a part of what --home resolves to
        expose_value=False,
        callback=_keep_wearers,
        help="Whose photos are meant, where an archive holds more than one person's. [default: --config's wearer]",
    )(command)


def _keep_wearers(context: click.Context, option: click.Parameter, names: tuple[str, ...]) -> None:
    if not all(name.strip() and name.isprintable() for name in names):
        raise click.BadParameter("a wearer's name is a text that can be printed", context, option)
    context.meta[WEARERS] = tuple(name.strip() for name in names)


def verbose(command: Command) -> Command:
    """`--verbose`, which the one catcher of errors reads."""
    return click.option("-v", "--verbose", is_flag=True, expose_value=False, help="Show where an error came from.")(
        command
    )


def as_json(command: Command) -> Command:
    """`--json`: the report as one JSON object on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def pair_parts(command: Command) -> Command:
    """`--segmenter` and `--embedder`: parts of one's own instead of a pair of the registry."""
    command = click.option(
        "--embedder",
        metavar="FOLDER",
        envvar="ARCHIVE_EMBEDDER",
        help="An open_clip folder of your own: open_clip_config.json and its safetensors. [env: ARCHIVE_EMBEDDER]",
    )(command)
    return click.option(
        "--segmenter",
        metavar="FILE",
        envvar="ARCHIVE_SEGMENTER",
        help="Weights of your own (FastSAM, YOLO-seg, SAM), or `grid`, or `whole` for none. [env: ARCHIVE_SEGMENTER]",
    )(command)
