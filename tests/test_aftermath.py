"""Still there? What later photos of a place say, on desks whose surface has corners that can be matched."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from archive import aftermath, parts
from archive import settings as archive_settings
from archive.catalog.driver import connect_to_write
from archive.photos.alignment import compare
from archive.types import Box, Spot
from tests.fakes import ColourSegmenter
from tests.paths import shared

if TYPE_CHECKING:
    from pathlib import Path

    from archive.types import Pixels, Region
    from tests.commands import Commands

MORNING = datetime(2026, 11, 20, 8, tzinfo=UTC)
MUG = (300, 220, 380, 300)
"""Where the mug stands on the desk; a view of the desk begins a little to the right and below its corner."""


def grain(seed: int, width: int, height: int, coarse: int) -> np.ndarray:
    """Grey noise around 0, as coarse as so many pixels."""
    rough = np.random.default_rng(seed).normal(0, 1, (height // coarse, width // coarse)).astype(np.float32)
    return np.asarray(Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC))


def desk(seed: int, mug: bool = False, view: tuple[int, int] = (40, 40), light: float = 1.0) -> Pixels:
    """A desk of its own grain, seen from a little to one side, with or without a red mug."""
    surface = 128 + 14 * grain(seed, 800, 600, 4) + 10 * grain(seed + 1, 800, 600, 20)
    pixels = np.repeat(surface[:, :, np.newaxis], 3, axis=2)
    if mug:
        left, top, right, bottom = MUG
        pixels[top:bottom, left:right] = (215, 35, 35)
        pixels[top:bottom, left:right] += 12 * grain(7, 80, 80, 8)[:, :, np.newaxis]
    x, y = view
    return np.clip(pixels[y : y + 480, x : x + 640] * light, 0, 255).astype(np.uint8)


def seen(view: tuple[int, int] = (40, 40)) -> Box:
    """The mug's box in a photo of that view."""
    return Box(MUG[0] - view[0], MUG[1] - view[1], MUG[2] - view[0], MUG[3] - view[1])


@pytest.mark.parametrize("view", [(40, 40), (100, 10), (0, 90)])
@pytest.mark.parametrize("light", [1.0, 0.8])
def test_the_same_spot_from_another_side_and_in_another_light(view: tuple[int, int], light: float) -> None:
    before = desk(1, mug=True)
    assert compare(before, seen(), desk(1, mug=True, view=view, light=light)) is Spot.THERE
    assert compare(before, seen(), desk(1, mug=False, view=view, light=light)) is Spot.GONE


def test_of_another_desk_or_a_wall_nothing_is_said() -> None:
    assert compare(desk(1, mug=True), seen(), desk(50)) is None
    assert compare(desk(1, mug=True), seen(), np.full((480, 640, 3), 128, np.uint8)) is None


def test_of_a_spot_outside_the_later_photo_or_covered_all_around_nothing_is_said() -> None:
    narrow = desk(1)[:, 360:]
    assert compare(desk(1, mug=True), seen(), narrow) is None
    covered = desk(1)
    covered[120:320, 200:400] = desk(90)[120:320, 200:400]  # an arm, say
    assert compare(desk(1, mug=True), seen(), covered) is None


def test_the_same_two_photos_always_give_the_same_answer() -> None:
    assert len({compare(desk(1, mug=True), seen(), desk(1, view=(90, 30))) for _ in range(3)}) == 1


def write(path: Path, pixels: Pixels, taken: datetime) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0x9003: f"{taken:%Y:%m:%d %H:%M:%S}", 0x9011: "+00:00"})
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92, exif=exif)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(buffer.getvalue())


def day(archive: Commands, folder: Path, **photos: tuple[int, Pixels]) -> None:
    """Ingest photos by name, each so many minutes after eight."""
    for name, (minute, pixels) in photos.items():
        write(folder / f"{name}.jpg", pixels, MORNING + timedelta(minutes=minute))
    assert archive("ingest", folder).code == 0


@pytest.mark.parametrize("looked_through", [0, aftermath.LOOKED_THROUGH])
def test_a_place_that_was_photographed_again_without_the_thing_is_the_evidence(
    archive: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked_through: int
) -> None:
    monkeypatch.setattr(aftermath, "LOOKED_THROUGH", looked_through)
    photos = {
        "mug": (0, desk(1, mug=True)),
        "soon": (5, desk(1)),
        "elsewhere": (30, desk(50)),
        "again": (60, desk(1, view=(80, 60))),
        "later": (90, desk(1, view=(20, 20))),
    }
    day(archive, tmp_path / "card", **photos)
    told = archive("query", "red")
    assert "Last seen Fri 20 Nov 08:00" in told.out
    assert "The place was photographed again Fri 20 Nov 09:00" in told.out
    assert "without it: again.jpg" in told.out
    since = archive("query", "red", "--json").object["since"]
    assert (since["there"], since["gone"]["name"], since["compared"]) == (None, "again.jpg", 2)
    assert archive("query", "red", "--before", "2026-11-20T08:50Z", "--json").object["since"] is None


def test_a_thing_that_only_its_pixels_show_is_still_there(
    archive: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Missing(ColourSegmenter):
        """Overlooks every thing in a photo of another view, as segmenters do."""

        def segment(self, pixels: Pixels) -> list[Region]:
            found = super().segment(pixels)
            return [] if any(region.box.left < 250 for region in found) else found

    monkeypatch.setitem(parts.SEGMENTERS, "colours", Missing)
    photos = {
        "mug": (0, desk(1, mug=True)),
        "overlooked": (60, desk(1, mug=True, view=(100, 60))),
        "gone": (90, desk(1, view=(70, 20))),
    }
    day(archive, tmp_path / "card", **photos)
    since = archive("query", "red", "--json").object["since"]
    assert (since["there"]["name"], since["gone"]["name"]) == ("overlooked.jpg", "gone.jpg")
    told = archive("query", "red").out
    assert "Still there Fri 20 Nov 09:00" in told


def test_a_lost_original_tells_nothing(archive: Commands, tmp_path: Path, home: Path) -> None:
    day(archive, tmp_path / "card", mug=(0, desk(1, mug=True)), again=(60, desk(1, view=(80, 60))))
    gone = archive("query", "red", "--json").object["since"]["gone"]
    (home / "originals" / gone["digest"][:2] / f"{gone['digest']}.jpg").unlink()
    done = archive("query", "red", "--json")
    assert (done.code, done.object["since"]) == (0, None)


def test_a_later_photo_whose_vectors_are_damaged_is_not_said_to_lack_the_thing(
    archive: Commands, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_settings, "SEAL_AT", 4)  # a shard still knows the photo by its own vectors
    elsewhere = {f"elsewhere{number}": (5 + number, desk(50 + number)) for number in range(4)}
    day(archive, tmp_path / "card", mug=(0, desk(1, mug=True)), **elsewhere, again=(60, desk(1, view=(80, 60))))
    gone = archive("query", "red", "--json").object["since"]["gone"]
    with closing(connect_to_write(home / "catalog.sqlite")) as connection:
        connection.execute("UPDATE packs SET crc = crc + 1 WHERE photo_id = ?", (gone["id"],))
    done = archive("query", "red", "--json")
    assert done.code == 0
    assert (done.object["since"]["gone"], done.object["since"]["compared"]) == (None, 1)
    assert "1 photos were passed over" in done.err


@pytest.mark.real_weights
@pytest.mark.parametrize("label", ["coffee cup", "telephone", "computer keyboard", "tape dispenser", "pen holder"])
def test_on_a_real_desk_what_stayed_is_never_called_gone_and_what_left_never_there(label: str) -> None:
    folder = shared("eval", "desk-sequence")
    notes = json.loads((folder / "annotations.json").read_text())
    sharp = {image["file"] for image in notes["images"] if image["sharpness"] > 150}
    boxes = {
        one["file"]: Box(*(int(edge) for edge in (one["x"], one["y"], one["x"] + one["w"], one["y"] + one["h"])))
        for one in notes["boxes"]
        if one["label"] == label and one["file"] in sharp and one["visible_fraction"] > 0.95
    }
    names = sorted(boxes)
    earlier, later = names[0], names[min(len(names) - 1, 6)]
    before, after = (np.asarray(Image.open(folder / "images" / name)) for name in (earlier, later))
    assert compare(before, boxes[earlier], after) in {Spot.THERE, None}
    replaced = before.copy()
    left, top, right, bottom = boxes[earlier]
    rough = grain(3, (right - left) // 8 * 8 + 8, (bottom - top) // 8 * 8 + 8, 8)[: bottom - top, : right - left]
    replaced[top:bottom, left:right] = np.clip(np.array([200, 80, 40]) + 30 * rough[:, :, np.newaxis], 0, 255)
    assert compare(replaced, boxes[earlier], after) in {Spot.GONE, None}
