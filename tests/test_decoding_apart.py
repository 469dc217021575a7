"""Whatever decodes an original again does it where a hostile one cannot take the process down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from archive import parts
from archive.photos import reading
from tests import coloured_photos
from tests.fakes import TurnedEmbedder
from tests.photos.pictures import encoded

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands import Commands


def test_what_is_not_a_plain_jpeg_is_never_decoded_in_the_process_of_a_command(
    archive: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_content: bytes) -> reading.DecodedPhoto:
        pytest.fail("it was decoded here")

    monkeypatch.setattr(reading, "_decoded", refused)
    monkeypatch.setitem(parts.EMBEDDERS, "turned", TurnedEmbedder)
    picture = tmp_path / "photo.png"
    picture.write_bytes(encoded(Image.fromarray(coloured_photos.pixels({"red": (40, 60, 120, 130)})), "PNG"))
    assert archive("ingest", picture).code == 0
    asked = ("query", "red", "--all", "--save", tmp_path / "saved")
    assert archive(*asked).code in {0, 1}
    assert archive("query", "--like", picture, "--all").code in {0, 1}
    assert archive("models", "use", "--segmenter", "colours", "--embedder", "turned").code == 0
    assert archive("reembed", "--json").object["embedded"] == 1
    assert archive("models", "use", "--segmenter", "whole", "--embedder", "turned").code == 0
    assert archive("reindex", "--json").object["embedded"] == 1
