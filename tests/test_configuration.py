"""The file that names the parts of an archive of more than one machine, and what is said where it is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archive import configuration
from archive.errors import UsageError
from archive.settings import Cluster
from tests.test_cli import loaded_by

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands

WHOLE = """
metadata = "postgresql+psycopg://archive:secret@db/archive"
originals = "s3://photos/archive"
vectors = "milvus://vectors:19530/archive"
executor = "ray://auto"
wearer = "anna"
allowed = ["anna", "ben"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "cluster.toml"
    path.write_text(text)
    return path


def test_every_key_is_read(tmp_path: Path) -> None:
    assert configuration.read(written(tmp_path, WHOLE)) == Cluster(
        metadata="postgresql+psycopg://archive:secret@db/archive",
        originals="s3://photos/archive",
        vectors="milvus://vectors:19530/archive",
        executor="ray://auto",
        wearer="anna",
        allowed=("anna", "ben"),
    )


def test_a_part_that_is_not_named_stays_in_the_home(tmp_path: Path) -> None:
    assert configuration.read(written(tmp_path, 'wearer = "anna"')) == Cluster(wearer="anna")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("metadata = ", "is not TOML"),
        ('metadta = "x"', "there is no key 'metadta'"),
        ("metadata = 5", "metadata must be a text"),
        ('metadata = "mysql://db/archive"', "metadata must begin with postgresql://"),
        ('originals = "/photos"', "originals must begin with s3://"),
        ('vectors = "http://vectors"', "vectors must begin with milvus://"),
        ('executor = "dask"', "executor must begin with local or ray://"),
        ('wearer = " "', "wearer must be a text"),
        ('allowed = "anna"', "allowed must be a list of names"),
        ('wearer = "carl"\nallowed = ["anna"]', "'carl' is not among those allowed"),
    ],
)
def test_what_is_wrong_is_said_on_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        configuration.read(written(tmp_path, text))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_password_is_not_repeated_in_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        configuration.read(written(tmp_path, 'metadata = "mysql://archive:secret@db/archive"'))
    assert "secret" not in str(caught.value)


def test_a_config_that_is_not_there_ends_the_command_with_what_to_write(archive: Commands, tmp_path: Path) -> None:
    told = archive("status", "--config", tmp_path / "none.toml")
    assert told.code == 2
    assert "No such file" in told.err
    assert "metadata =" in told.err


def test_the_environment_names_the_config_too(
    archive: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHIVE_CONFIG", str(written(tmp_path, 'unknown = "x"')))
    assert "there is no key 'unknown'" in archive("status").err


def test_without_a_config_nothing_of_it_is_loaded() -> None:
    code = "from archive.cli import run\nrun(['status', '--home', '/nonexistent'])\nimport sys\n"
    assert loaded_by(code + "assert not {'tomllib', 'archive.configuration'} & set(sys.modules)") == {"numpy"}
