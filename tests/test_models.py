"""`archive models` as a newcomer meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands


def test_the_list_names_each_pair_with_size_licence_digest_and_place(archive: Commands, tmp_path: Path) -> None:
    told = archive("models", "list")
    assert told.code == 0
    for word in ("standard", "large", "seed", "missing", "MB", "AGPL-3.0", "MIT", "sha256", "FastSAM-s.pt"):
        assert word in told.out
    assert str(tmp_path / "weights") in told.err


def test_the_list_as_json_has_the_same(archive: Commands) -> None:
    listed = archive("models", "list", "--json").object["pairs"]
    assert listed[0]["name"] == "standard"
    assert all(file["licence"] for pair in listed for file in pair["files"])


def test_an_unknown_pair_is_wrong_usage_that_lists_the_known(archive: Commands) -> None:
    done = archive("models", "pull", "gigantic")
    assert done.code == 2
    assert "standard" in done.err


def test_a_pair_that_is_not_on_disk_cannot_be_chosen_and_the_error_says_how_to_get_it(archive: Commands) -> None:
    done = archive("models", "use", "standard")
    assert done.code == 3
    assert "archive models pull standard" in done.err
