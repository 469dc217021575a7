"""The hardware seam, played: everything that `hal_esp32.Board` does, with a clock that runs as fast as it is asked.

`World` is what outlives a waking: true time, the chip's clock and memories, the card in the slot, the plan of faults.
"""

import gc
import hashlib
from array import array

from archivecam import app

BOOT_MS = 900
"""From the end of a sleep to the first line of the firmware."""


class Asleep(BaseException):
    """The chip went to sleep; the next waking begins with nothing in memory."""


class ChipReset(BaseException):
    """The chip was reset without sleeping."""


class World:
    """The board's surroundings. `plan` holds settings by name; see `README.md`, "The simulator"."""

    def __init__(self, plan):
        self.plan = plan
        self.true_ms = plan.get("true_ms", 1_790_000_000_000)
        self.raw_ms = plan.get("raw_ms", 946_684_800_000)
        self.drift_ppm = plan.get("drift_ppm", 0)
        self.faults = dict((name, set(indexes)) for name, indexes in plan.get("faults", {}).items())
        self.network = plan.get("network", False)
        self.switched = False
        self.millivolts = plan.get("millivolts", 3900)
        self.rtc = b""
        self.nvs = {}
        self.cause = "power"
        self.vfs = None
        self.slot = None
        self.shots = 0
        self.shutter_ms = 0
        self.calls = {}
        self.naps = []
        self.blinks = 0
        self.stored = []
        self.frames = Frames(plan)

    def called(self, name):
        """Count a call to the board, and fail where the plan says so."""
        index = self.calls.get(name, 0)
        self.calls[name] = index + 1
        if index in self.faults.get(name, ()):
            raise OSError(5)

    def pass_awake(self, ms):
        """Let time pass while the crystal runs: the chip's clock is right to a few parts in a million."""
        self.true_ms += ms
        self.raw_ms += ms

    def pass_asleep(self, ms):
        """Sleep until the chip's own drifting clock says that `ms` are over."""
        self.raw_ms += ms
        self.true_ms += ms * 1_000_000 // (1_000_000 + self.drift_ppm)
        self.pass_awake(self.plan.get("boot_ms", BOOT_MS))

    def wake(self, told_utc=None):
        """One waking, from reset to sleep; gives how it ended."""
        board = Board(self)
        try:
            if told_utc is not None:
                board.step_ms(told_utc - board.now_ms())
            app.run(board, told_utc is not None)
        except Asleep as sleep:
            self.cause = "deepsleep"
            self.naps.append(sleep.args[0])
            self.pass_asleep(sleep.args[0])
            self._tidy()
            return "asleep"
        except ChipReset:
            self.cause = "crash"
            self.pass_awake(BOOT_MS)
            return "reset"
        return "returned"

    def _tidy(self):
        """A chip wakes with empty memory; here what is kept would lie scattered among what is not."""
        if len(self.naps) % 16 == 0 and hasattr(gc, "mem_free"):
            gc.collect()

    def power_off(self, away_ms=60_000):
        """Take the battery out, and put it back later: the clock starts from its beginning again."""
        self.rtc = b""
        self.raw_ms = self.plan.get("raw_ms", 946_684_800_000)
        self.true_ms += away_ms
        self.cause = "power"


class Board:
    """The seam itself. Each method first asks the plan whether it is to fail this time."""

    def __init__(self, world):
        self.world = world
        self.began = world.raw_ms

    def wake(self):
        self.world.called("wake")

    def now_ms(self):
        self.world.called("now_ms")
        return self.world.raw_ms

    def step_ms(self, delta):
        self.world.called("step_ms")
        self.world.raw_ms += delta
        self.began += delta

    def ticks(self):
        self.world.called("ticks")
        return (self.world.raw_ms - self.began) & 0x3FFFFFFF

    def ticks_since(self, earlier):
        self.world.called("ticks_since")
        return (self.world.raw_ms - self.began - earlier) & 0x3FFFFFFF

    def sleep_ms(self, ms):
        self.world.called("sleep_ms")
        self.world.pass_awake(ms)

    def deepsleep(self, ms):
        self.world.called("deepsleep")
        raise Asleep(ms)

    def reset(self):
        raise ChipReset

    def reset_cause(self):
        self.world.called("reset_cause")
        return self.world.cause

    def rtc_load(self):
        self.world.called("rtc_load")
        return self.world.rtc

    def rtc_save(self, block):
        self.world.called("rtc_save")
        self.world.rtc = bytes(block)

    def nvs_get(self, name):
        self.world.called("nvs_get")
        return self.world.nvs.get(name, 0)

    def nvs_set(self, name, value):
        self.world.called("nvs_set")
        self.world.nvs[name] = value

    def device_id(self):
        self.world.called("device_id")
        return self.world.plan.get("device", "a0b1c2d3e4f5")

    def random32(self):
        self.world.called("random32")
        seed = "%s %d %d" % (self.world.plan.get("seed", 1), self.world.true_ms, self.world.calls["random32"])
        return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "little")

    def card(self, mhz):
        self.world.called("card")
        if self.world.vfs is None:
            raise OSError(19)
        return Ledger(self.world.vfs(), self.world)

    def camera(self, settings):
        self.world.called("camera")
        self.world.pass_awake(500)
        return Camera(self)

    def cam_power(self, on):
        self.world.called("cam_power")

    def led(self, on):
        self.world.called("led")
        self.world.blinks += on

    def switch(self, pin):
        self.world.called("switch")
        return self.world.switched

    def battery_mv(self, pin, ratio):
        self.world.called("battery_mv")
        return self.world.millivolts

    def ntp(self, ssid, password, host, limit_ms):
        self.world.called("ntp")
        self.world.pass_awake(2000)
        return (self.world.true_ms, 50) if self.world.network else None

    def feed(self):
        self.world.called("feed")


class Camera:
    """Gives the plan's frames, as the driver does: a memoryview of signed bytes, or None."""

    def __init__(self, board):
        self.board = board

    def shot(self):
        self.board.world.called("shot")
        world = self.board.world
        world.pass_awake(120)
        world.shots += 1
        world.shutter_ms = world.true_ms
        content = world.frames.next(world.shots)
        return None if content is None else memoryview(array("b", content))

    def quality(self, percent):
        self.board.world.called("quality")
        self.board.world.frames.quality = percent

    def close(self):
        self.board.world.called("close")


class Frames:
    """What the sensor sees: files of the plan in turn, or made-up frames of the asked size.

    `spoil` maps the number of a shot to "none", "cut" (no end), or "raise"; `shot_sizes` lists sizes of made-up ones.
    """

    def __init__(self, plan):
        self.files = plan.get("pictures", [])
        self.sizes = plan.get("shot_sizes", [3000])
        self.spoil = dict((int(number), how) for number, how in plan.get("spoil", {}).items())
        self.seed = plan.get("seed", 1)
        self.repeat = plan.get("shots_per_picture", 4)
        self.quality = 85
        self.too_big_above = plan.get("too_big_above", 100)

    def next(self, number):
        how = self.spoil.get(number)
        if how == "none":
            return None
        if how == "raise":
            raise OSError(0x105)
        content = self._content(number)
        if how == "cut" or self.quality > self.too_big_above:
            return content[: len(content) * 2 // 3]
        return content

    def _content(self, number):
        if self.files:
            with open(self.files[(number - 1) // self.repeat % len(self.files)], "rb") as file:
                return file.read()
        size = self.sizes[(number - 1) % len(self.sizes)]
        return made_up(self.seed, number, size)


def made_up(seed, number, size):
    """A frame that begins and ends as a JPEG does, and is like no other in between."""
    head = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    body = hashlib.sha256(("frame %d %d" % (seed, number)).encode()).digest()
    inside = (body * (size // len(body) + 1))[: size - len(head) - 2]
    return head + inside.replace(b"\xff", b"\x7f") + b"\xff\xd9"


class Ledger:
    """A file system that notes each photo whose file was closed, and what was true at that moment."""

    def __init__(self, vfs, world):
        self.vfs = vfs
        self.world = world
        self.mkdir = vfs.mkdir
        self.ilistdir = vfs.ilistdir
        self.statvfs = vfs.statvfs

    def open(self, path, mode):
        file = self.vfs.open(path, mode)
        return LedgerFile(file, path, self.world) if mode == "xb" else file


class LedgerFile:
    """A photo being written."""

    def __init__(self, file, path, world):
        self.file = file
        self.path = path
        self.world = world
        self.hash = hashlib.sha256()

    def write(self, part):
        self.world.pass_awake(len(part) // 1000)
        count = self.file.write(part)
        self.hash.update(part)
        return count

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.file.close()
        if kind is None:
            self._note()

    def _note(self):
        slot = self.world.slot
        self.world.stored.append({
            "path": self.path,
            "sha256": self.hash.digest(),
            "true_ms": self.world.shutter_ms,
            "writes": slot.writes if slot else 0,
        })  # fmt: skip
