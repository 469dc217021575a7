"""That ultralytics computes and does nothing else. What an import changes is looked at in processes of their own."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from archive.errors import WeightsRejected
from archive.segmenters.taming import sealed
from tests.paths import CHECKOUT
from tests.segmenters.checkpoints import Harm, QuietHarm, harmful, random_yolo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEGMENT = """
import sys
from pathlib import Path
from tests.contracts.segmenter import still_life
from archive.segmenters.yolo import UltralyticsSegmenter
def segment(weights):
    return UltralyticsSegmenter(Path(weights), size=160, confidence=0.0).segment(still_life(120, 160))
"""

LOOK_AROUND = """
import io, json, os
import cv2, numpy, PIL.Image, torch
def look():
    try:
        PIL.Image.open(io.BytesIO(b"no picture"))
    except Exception as error:
        raised = type(error).__name__
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TORCHINDUCTOR")}
    patched = [PIL.Image.open.__module__, torch.save.__module__, cv2.imread.__module__, cv2.imwrite.__module__]
    return [raised, environment, patched, numpy.get_printoptions()["linewidth"], torch.get_num_threads()]
before = look()
"""


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_yolo(tmp_path_factory.mktemp("weights") / "random.pt")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "user"
    folder.mkdir()
    return folder


def run(code: str, home: Path, *arguments: object, through: tuple[str, ...] = (), **environment: str) -> str:
    """What a fresh Python prints, in a home of its own and without our variables."""
    cleared = {name: value for name, value in os.environ.items() if not name.startswith(("YOLO", "ULTRA", "OMP"))}
    done = subprocess.run(
        [*through, sys.executable, "-c", SEGMENT + code, *map(str, arguments)],
        cwd=home,
        env={**cleared, "HOME": str(home), "PYTHONPATH": str(CHECKOUT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_process_is_left_as_it_was_and_nothing_is_printed(untrained: Path, home: Path) -> None:
    code = LOOK_AROUND + "segment(sys.argv[1]); print(json.dumps([before, look()]))"
    before, after = json.loads(run(code, home, untrained, ULTRALYTICS_API_KEY="secret", YOLO_OFFLINE="false"))
    standing = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "ULTRALYTICS_SAFE_LOAD": "1"}
    assert before[1].pop("ULTRALYTICS_API_KEY") == "secret"
    before[1] |= standing | {"YOLO_VERBOSE": "false"}
    assert after == before
    assert list(home.iterdir()) == [], "nothing is written into the user's folders, nor where the command was run"


def test_photos_are_segmented_without_a_network(untrained: Path, home: Path) -> None:
    alone = ("unshare", "-rn")
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs `unshare -rn`, which is not permitted here")
    assert run("print(len(segment(sys.argv[1])) > 0)", home, untrained, through=alone) == "True\n"


def test_a_checkpoint_that_would_run_code_is_refused_in_a_fresh_process(tmp_path: Path, home: Path) -> None:
    touched = tmp_path / "touched"
    for harm in (Harm(f"touch '{touched}'"), QuietHarm(touched)):
        pickle.loads(pickle.dumps(harm))
        assert touched.exists(), "the checkpoint is harmful indeed"
        touched.unlink()
    code = """
from archive.errors import WeightsRejected
try:
    segment(sys.argv[1])
except WeightsRejected as error:
    print("refused")
"""
    assert run(code, home, harmful(tmp_path / "harm.pt", touched)) == "refused\n"
    assert not touched.exists()


def test_an_ultralytics_that_would_run_code_is_not_used(untrained: Path, home: Path) -> None:
    code = """
from archive.errors import ArchiveError
import ultralytics
try:
    segment(sys.argv[1])
except ArchiveError as error:
    print(error)
"""
    assert "would run code" in run(code, home, untrained, YOLO_CONFIG_DIR=str(home), YOLO_OFFLINE="true")


def look_up_a_name() -> None:
    socket.getaddrinfo("localhost", 80)


def connect() -> None:
    with socket.socket() as connection:
        connection.connect(("127.0.0.1", 9))


def start_a_program() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def call_a_shell() -> None:
    os.system("true")


def give_the_reason_another_name() -> None:
    try:
        start_a_program()
    except OSError as error:
        raise RuntimeError("could not be installed") from error


WAYS_OUT = [look_up_a_name, connect, start_a_program, call_a_shell, give_the_reason_another_name]


@pytest.mark.parametrize("way_out", WAYS_OUT, ids=lambda way_out: way_out.__name__)
def test_a_way_out_is_denied(way_out: Callable[[], None]) -> None:
    with pytest.raises(WeightsRejected, match=r"weights X tried .*archive models pull"), sealed("weights X"):
        way_out()


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), sealed("weights X"):
        _ = 1 // 0


def test_after_the_block_all_is_as_before() -> None:
    with sealed("outer"), sealed("inner"):
        pass
    start_a_program()
    look_up_a_name()


def test_an_inner_block_does_not_open_the_outer_one() -> None:
    def enter_and_leave_another() -> None:
        with sealed("inner"):
            pass
        call_a_shell()

    with pytest.raises(WeightsRejected, match="outer"), sealed("outer"):
        enter_and_leave_another()


def test_other_threads_go_on() -> None:
    reached, proceed = [], threading.Event()

    def work() -> None:
        proceed.wait(10)
        look_up_a_name()
        reached.append(True)

    other = threading.Thread(target=work)
    other.start()
    with sealed("weights X"):
        proceed.set()
        other.join(10)
    assert reached == [True]
