"""What can only be known on a board: run once after flashing; prints a line for each check.

    python firmware/flash.py --port PORT --selftest

It writes one session folder to the card, with one photo in it.
"""

import binascii
import gc
import hashlib
import sys

from archivecam import config, frame, hal_esp32, store

SHOTS = 10


def run():
    """Run every check; True where all passed. Each check says what it saw."""
    board = hal_esp32.Board()
    board.wake()
    seen = {}
    passed = True
    for check in (_image, _memory, _clock, _number, _card, _camera, _photo, _light):
        try:
            words = check(board, seen)
            print("PASS", check.__name__[1:], words)
        except Exception as error:  # noqa: BLE001  (each check stands alone)
            passed = False
            print("FAIL", check.__name__[1:], repr(error))
    if "camera" in seen:
        seen["camera"].close()
    board.cam_power(False)
    print("SELFTEST", "PASSED" if passed else "FAILED")
    return passed


def _image(board, seen):
    version = sys.implementation[1]
    _must(version >= (1, 27, 0), "MicroPython 1.27 or later")
    return "%s device %s reset %s" % (
        ".".join([str(part) for part in version[:3]]),
        board.device_id(),
        board.reset_cause(),
    )


def _memory(board, seen):
    gc.collect()
    free = gc.mem_free()
    _must(free > 1_000_000, "PSRAM: only %d bytes are free" % free)
    return "%d bytes free" % free


def _clock(board, seen):
    ticks, raw = board.ticks(), board.now_ms()
    board.sleep_ms(500)
    both = board.ticks_since(ticks), board.now_ms() - raw
    _must(abs(both[0] - both[1]) <= 2, "the two clocks disagree: %d and %d ms" % both)
    board.rtc_save(b"selftest")
    _must(board.rtc_load() == b"selftest", "the sleep memory forgets")
    board.rtc_save(b"")
    return "%d ms" % both[1]


def _number(board, seen):
    board.nvs_set("selftest", 12345)
    _must(board.nvs_get("selftest") == 12345, "the flash memory forgets")
    return "kept"


def _card(board, seen):
    for mhz in (20, 10, 4):
        try:
            seen["card"] = store.Card(board.card(mhz))
            break
        except OSError as error:
            print("     card at", mhz, "MHz:", error)
    _must("card" in seen, "no card that mounts; format it as FAT32")
    return "%d MHz, %d MiB free" % (mhz, seen["card"].free_kib() // 1024)


def _camera(board, seen):
    board.cam_power(True)
    began = board.ticks()
    seen["camera"] = board.camera(config.DEFAULTS)
    opened = board.ticks_since(began)
    sizes = []
    for _ in range(SHOTS):
        picture = seen["camera"].shot()
        _must(frame.whole(picture), "a frame without its beginning or end")
        sizes.append(len(picture))
    took = board.ticks_since(began) - opened
    return "opened in %d ms, %d ms a frame, %d to %d bytes" % (opened, took // SHOTS, min(sizes), max(sizes))


def _photo(board, seen):
    card = seen["card"]
    picture = seen["camera"].shot()
    digest = hashlib.sha256(picture).digest()
    session = card.new_session(board.nvs_get("session") + 1)
    board.nvs_set("session", session)
    began = board.ticks()
    file, _ = card.create(session, 0)
    size = len(picture)
    with file:
        store.write(file, picture)
    took = max(board.ticks_since(began), 1)
    _must(_digest(card, store.photo_path(session, 0)) == digest, "the card gives back other bytes")
    return "%d bytes in %d ms, %d KiB/s, sha %s" % (size, took, size // took, binascii.hexlify(digest[:4]).decode())


def _light(board, seen):
    for on in (True, False):
        board.led(on)
        board.sleep_ms(500)
    return "the red light was on for half a second; the white one must be dark"


def _digest(card, path):
    total = hashlib.sha256()
    with card.vfs.open(path, "rb") as file:
        while True:
            part = file.read(4096)
            if not part:
                return total.digest()
            total.update(part)


def _must(truth, words):
    if not truth:
        raise OSError(words)
