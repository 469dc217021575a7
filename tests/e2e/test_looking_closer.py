"""The same weights look closer while the machine has time: small things are found that one look missed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from archive import cli
from archive.pairs import registry
from archive.pairs.shipped import calibration, shipped_folder

if TYPE_CHECKING:
    from typing import Any

CAT = (800, 500, 920, 580)
"""Where the cat lies in a photo of 1600 x 1200 pixels: left, top, right, bottom."""


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Two photos of a wall of the size that the camera takes, a small cat before it in one of them."""
    gallery = Path(pytest.importorskip("skimage").__file__).parent / "data"
    folder = tmp_path / "card"
    folder.mkdir()
    with Image.open(gallery / "brick.png") as bricks:
        wall = bricks.convert("RGB").resize((1600, 1200))
    wall.save(folder / "WALL.JPG", quality=95)
    with Image.open(gallery / "chelsea.png") as portrait:
        wall.paste(portrait.convert("RGB").resize((CAT[2] - CAT[0], CAT[3] - CAT[1])), CAT[:2])
    wall.save(folder / "CAT.JPG", quality=95)
    return folder


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    cli.run(["query", *words, "--json"])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_small_things_are_found_once_every_photo_was_looked_at_closer(
    card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["ingest", str(card)]) == 0
    assert cli.run(["teach", "Tom", f"{card / 'CAT.JPG'}@{','.join(map(str, CAT))}"]) == 0
    before = asked(capsys, "a cat")
    assert (before["verdict"], before["searched"]["pair"]) == ("not_seen", "pocket")

    assert cli.run(["models", "use", "pocket-close"]) == 0
    assert cli.run(["reembed", "--photos", "1"]) == 0
    assert asked(capsys, "a cat") | {"took_ms": 0} == before | {"took_ms": 0}, "until then the quick look answers"

    assert cli.run(["reembed"]) == 0
    after = asked(capsys, "a cat")
    assert after["verdict"] in {"seen", "maybe"}
    assert after["searched"]["pair"] == "pocket-close"
    assert after["searched"]["space"] == before["searched"]["space"], "what was asked before need not be read again"
    assert [hit["photo"]["name"] for hit in after["hits"]] == ["CAT.JPG"]
    best = after["hits"][0]["boxes"][0]
    assert abs(best["left"] - CAT[0]) < 20
    assert abs(best["bottom"] - CAT[3]) < 20
    assert asked(capsys, "Tom")["taught"] == [{"name": "Tom", "pictures": 1, "waiting": 0}]


def test_it_is_chosen_by_its_name_only() -> None:
    assert registry.find("pocket-close").shipped
    assert "pocket-close" not in registry.PREFERRED


def test_it_has_the_same_files_and_chances_of_its_own() -> None:
    assert shipped_folder("pocket-close") == shipped_folder("pocket")
    assert calibration("pocket-close") != calibration("pocket")
    assert calibration("pocket-close").ignores_background
