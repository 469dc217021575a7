"""What survives deep sleep: a small block in the RTC's memory, sealed with a CRC."""

import binascii
import struct

_MAGIC = b"ACS1"
_FORMAT = "<4sBBBBHIIIIqqqqqqqI"
_NAMES = (
    "flags", "clock", "camera_faults", "card_faults",  # B each
    "lead",  # H
    "session", "nonce", "number", "config",  # I each
    "base", "due", "planned", "synced", "time_due", "battery_due", "slept",  # q each
    "nap",  # I
)  # fmt: skip

LIVE = 1
"""A session is open and may be continued."""
PRIVATE = 2
FULL = 4
LOW = 8
PROVEN = 16
"""The session has stored a photo, so the count of unproductive boots is clear."""


class State:
    """The fields of the block; all are integers, times are `mono` except `base` and `slept`, which are raw.

    clock          0 none, 1 ntp, 2 usb           config       CRC32 of the card's CONFIG.TXT
    *_faults       failures in a row              base         raw clock at mono 0
    lead           ms from waking to the shutter  due          when the next photo should be taken
    session        number of the session          planned      when this waking was to begin
    nonce          random number of the session   synced       when the wall clock was learned
    number         number of the next photo       slept, nap   raw clock at falling asleep, and for how long
    """

    def __init__(self):
        for name in _NAMES:
            setattr(self, name, 0)

    def has(self, flag):
        """Whether a flag is up."""
        return bool(self.flags & flag)

    def put(self, flag, up):
        """Raise or lower a flag; True where that changed it."""
        before = self.flags
        self.flags = before | flag if up else before & ~flag
        return self.flags != before

    def pack(self):
        """The block to keep."""
        body = struct.pack(_FORMAT, _MAGIC, *[getattr(self, name) for name in _NAMES])
        return body + struct.pack("<I", binascii.crc32(body))


def unpack(block):
    """The state in a block, or None where the block is not whole."""
    size = struct.calcsize(_FORMAT)
    if block is None or len(block) != size + 4:
        return None
    body = bytes(block[:size])
    if struct.pack("<I", binascii.crc32(body)) != bytes(block[size:]):
        return None
    fields = struct.unpack(_FORMAT, body)
    if fields[0] != _MAGIC:
        return None
    state = State()
    for name, value in zip(_NAMES, fields[1:]):
        setattr(state, name, value)
    return state


def renewed(state):
    """A state without a session, after one that ended: what is known of the board's habits stays."""
    fresh = State()
    if state is not None:
        for name in ("camera_faults", "card_faults", "lead"):
            setattr(fresh, name, getattr(state, name))
    return fresh
