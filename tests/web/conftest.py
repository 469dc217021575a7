"""A small archive of the coloured world, made once, and clients that have come in to its server."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from starlette.testclient import TestClient

from archive import cli, parts
from archive.web.application import application
from archive.web.door import Door
from archive.web.guard import Hosts
from tests import coloured_photos
from tests.fakes import ColourEmbedder, ColourSegmenter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archive.settings import Settings

ORIGIN = "http://127.0.0.1:8377"
MORNING = datetime(2026, 11, 20, 8, tzinfo=UTC)
SQUARE = (40, 60, 120, 130)
ROTATED = (200, 30, 260, 100)
"""Where the blue square of the rotated photo is, seen upright: 240 wide and 320 high before the turn."""

HOSTILE_NAME = "<script>alert(1)</script>\udcff.jpg"


def rotated_jpeg(taken: datetime) -> bytes:
    """A photo that is stored on its side, with a blue square at ROTATED once it stands upright."""
    upright = Image.fromarray(coloured_photos.pixels({"blue": ROTATED}))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "A camera that names itself"
    inner = exif.get_ifd(0x8769)
    inner[0x9003] = f"{taken:%Y:%m:%d %H:%M:%S}"
    inner[0x9011] = "+00:00"
    buffer = BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(buffer, "JPEG", quality=95, exif=exif)
    return buffer.getvalue()


def write_card(folder: Path) -> None:
    """An hour of grey with red squares at 8:10, 8:12 and 8:50, a rotated photo at 8:30, and a name that is no text."""
    things = {10: "red", 12: "red", 50: "red", 52: "green"}
    for minute in range(0, 60, 2):
        squares = {things[minute]: SQUARE} if minute in things else {}
        squares |= {"white": (minute, 0, minute + 2, 2)}
        coloured_photos.write(folder / f"IMG_{minute:04d}.jpg", squares, MORNING + timedelta(minutes=minute))
    (folder / "turned.jpg").write_bytes(rotated_jpeg(MORNING + timedelta(minutes=31)))
    hostile = coloured_photos.jpeg({"yellow": SQUARE}, MORNING + timedelta(minutes=33))
    (folder / HOSTILE_NAME.replace("/", "_")).write_bytes(hostile)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the archive that holds the card; copied for each test."""
    folder = tmp_path_factory.mktemp("coloured")
    write_card(folder / "card")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(parts.SEGMENTERS, "colours", ColourSegmenter)
        patch.setitem(parts.EMBEDDERS, "colours", ColourEmbedder)
        patch.setenv("ARCHIVE_WEIGHTS", str(folder / "weights"))
        chosen = ["--segmenter", "colours", "--embedder", "colours"]
        assert cli.run(["ingest", "--home", str(folder / "home"), *chosen, str(folder / "card")]) == 0
    return folder / "home"


@pytest.fixture
def filled(settings: Settings, made_once: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of an archive that holds the card."""
    monkeypatch.setitem(parts.SEGMENTERS, "colours", ColourSegmenter)
    monkeypatch.setitem(parts.EMBEDDERS, "colours", ColourEmbedder)
    shutil.copytree(made_once, settings.home)
    return settings


@pytest.fixture
def door() -> Door:
    """The door of a server on its usual port."""
    return Door(8377)


@pytest.fixture
def stranger(filled: Settings, door: Door) -> Iterator[TestClient]:
    """A client that has not come in."""
    app = application(filled, door, Hosts("127.0.0.1", 8377))
    with TestClient(app, ORIGIN, follow_redirects=False, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(stranger: TestClient, door: Door) -> TestClient:
    """A browser that has come in."""
    came = stranger.post("/enter", data={"answer": door.token}, headers={"origin": ORIGIN})
    assert came.status_code == 303
    return stranger


@pytest.fixture
def program(stranger: TestClient, door: Door) -> TestClient:
    """A program that carries the token."""
    stranger.headers["authorization"] = f"Bearer {door.token}"
    return stranger
