"""Play a scenario from a JSON file, and write what happened to another.

    micropython -X heapsize=64M scenario.py PLAN.json RESULT.json

A plan holds the settings of `World`, a `card` and `steps`; or `cuts`, to run the firmware again on cut images.
"""

import binascii
import json
import sys

CARD_ROOT = "/ARCHIVE"


def play(plan):
    """Run a plan; gives its result."""
    if "cuts" in plan:
        return _play_cuts(plan)
    from simulator import board

    world = board.World(plan)
    slot = _insert(world, plan["card"])
    for step in plan["steps"]:
        slot = _step(world, slot, step)
    _close(slot)
    return _result(world)


def _step(world, slot, step):
    """One step of a plan: what it does is named by its only key. Gives the card in the slot."""
    ((name, value),) = step.items()
    if name == "card":
        _close(slot)
        return _insert(world, value)
    if name == "save":
        slot.save(value)
    elif name == "faults":
        slot.faults = {slot.reads + slot.writes + index for index in value}
    else:
        _STEPS[name](world, value)
    return slot


def _wake(world, times):
    for _ in range(times):
        _must_sleep(world.wake())


def _set(world, fields):
    for name, content in fields.items():
        setattr(world, name, content)


def _flip(world, bit):
    block = bytearray(world.rtc)
    block[bit // 8] ^= 1 << bit % 8
    world.rtc = bytes(block)


_STEPS = {
    "wake": _wake,
    "told": lambda world, _: _must_sleep(world.wake(world.true_ms)),
    "power_off": lambda world, ms: world.power_off(ms),
    "set": _set,
    "flip": _flip,
}


def _must_sleep(end):
    if end != "asleep":
        raise AssertionError("a waking ended without sleep: " + end)


def _insert(world, card):
    """Put a card in the slot; None takes it out."""
    from simulator import cards

    if card is None:
        world.vfs = world.slot = None
        return None
    if "folder" in card:
        slot = cards.Folder(card["folder"], card.get("free", 1 << 30))
        world.vfs = lambda: slot
    else:
        slot = cards.Disk(card["image"], card.get("log"), card.get("faults", ()))
        world.vfs = lambda: _fat(slot)
    if "config" in card:
        _write_config(world.vfs(), card)
    world.slot = slot
    return slot


def _write_config(vfs, card):
    for path, key in ((CARD_ROOT, None), (CARD_ROOT + "/CONFIG.TXT", "config"), (CARD_ROOT + "/SYNC.TXT", "sync")):
        if key is None:
            try:
                vfs.mkdir(path)
            except OSError:
                pass  # the card was in use before
        elif key in card:
            file = vfs.open(path, "wb")
            file.write(card[key].encode())
            file.close()


def _fat(disk):
    import vfs

    return vfs.VfsFat(disk)


def _close(slot):
    if hasattr(slot, "close"):
        slot.close()


def _play_cuts(plan):
    """For each cut: mount the image as the cut left it, run the firmware on it, save what that changed."""
    from simulator import board, cards

    results = []
    for cut in plan["cuts"]:
        world = board.World(plan)
        world.nvs = dict(plan.get("nvs", {}))
        disk = cards.CutDisk(plan["image"], plan["log"], cut, plan["torn"])
        world.vfs = lambda disk=disk: _fat(disk)
        world.slot = disk
        for _ in range(plan["wakes"]):
            _must_sleep(world.wake())
        disk.save_changes("%s/%d" % (plan["out"], cut))
        results.append({"cut": cut, "stored": _stored(world)})
    return {"cuts": results}


def _result(world):
    slot = world.slot
    return {
        "stored": _stored(world),
        "naps": world.naps,
        "calls": world.calls,
        "true_ms": world.true_ms,
        "raw_ms": world.raw_ms,
        "blinks": world.blinks,
        "nvs": world.nvs,
        "reads": getattr(slot, "reads", 0),
        "writes": getattr(slot, "writes", 0),
    }


def _stored(world):
    stored = []
    for entry in world.stored:
        entry = dict(entry)
        entry["sha256"] = binascii.hexlify(entry["sha256"]).decode()
        stored.append(entry)
    return stored


def main(plan_path, result_path):
    """Read a plan, play it, write its result."""
    with open(plan_path) as file:
        plan = json.load(file)
    with open(result_path, "w") as file:
        json.dump(play(plan), file)


if __name__ == "__main__":
    here = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
    sys.path.insert(0, here + "/..")
    main(sys.argv[1], sys.argv[2])
