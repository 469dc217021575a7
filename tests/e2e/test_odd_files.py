"""A folder of files that break importers, through the real command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.paths import shared

if TYPE_CHECKING:
    from tests.commands import Commands

pytestmark = pytest.mark.real_weights


def test_every_photo_that_can_be_decoded_is_in_upright_and_nothing_ends_the_run(archive: Commands) -> None:
    folder = shared("odd-files")
    notes = {note["file"]: note for note in json.loads((folder / "annotations.json").read_text())["images"]}
    done = archive("ingest", folder / "images", "--json")
    assert done.code == 1
    report = done.object
    refused = {bad["path"].rpartition("/")[2] for bad in report["unreadable"]}
    wanted = {name for name, note in notes.items() if note["expect"] == "decode"}
    assert refused & {name for name in wanted if name.isascii()} == set()
    assert {name for name, note in notes.items() if note["expect"] == "reject"} <= refused

    hits = archive("query", "red", "--all", "--limit", 1000, "--json").object["hits"]
    photos = {hit["photo"]["digest"]: hit["photo"] for hit in hits}
    for name in wanted:
        photo = photos[notes[name]["sha256"]]
        assert [photo["width"], photo["height"]] == notes[name]["display"], name
    assert archive("check", "--data").code == 0
