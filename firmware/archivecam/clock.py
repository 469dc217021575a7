"""Time in whole milliseconds. Floats never hold a time: on the chip they have 24 bits.

`mono` counts from the start of the session and never jumps. The raw clock may be set, and then `base` moves with it.
"""

SOURCES = ("none", "ntp", "usb")

EARLIEST_UTC = 1_704_067_200_000
"""2024-01-01: a clock that claims less was never set."""

LATEST_UTC = 4_102_444_800_000
"""2100-01-01."""


class Clock:
    """The session's clock, over the raw clock of the board and the state that survives sleep."""

    def __init__(self, hal, state):
        self.hal = hal
        self.state = state

    def mono(self):
        """Milliseconds since the session began."""
        return self.hal.now_ms() - self.state.base

    def source(self):
        """Where the wall clock was learned: none, ntp or usb."""
        return SOURCES[self.state.clock]

    def age(self, mono):
        """Milliseconds between the moment the wall clock was learned and `mono`."""
        return mono - self.state.synced

    def utc(self, mono):
        """The wall clock at `mono`, in Unix milliseconds; None where it was never learned."""
        return mono + self.state.base if self.state.clock else None

    def learn(self, utc, source):
        """Set the raw clock to `utc`; `mono` goes on as if nothing had happened."""
        mono = self.mono()
        self.hal.step_ms(utc - self.hal.now_ms())
        self.state.base = self.hal.now_ms() - mono
        self.state.clock = SOURCES.index(source)
        self.state.synced = mono


def plausible(utc):
    """Whether a wall clock can be right at all."""
    return EARLIEST_UTC <= utc < LATEST_UTC


def civil(ms):
    """Year, month, day, hour, minute, second and millisecond of a Unix time; years run from March inside.

    The ports of MicroPython disagree about the epoch of `time.gmtime`, so it is not used.
    """
    days, rest = divmod(ms, 86_400_000)
    era, day = divmod(days + 719_468, 146_097)  # days since 1 March of year 0, in eras of 400 years
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5
    month = month + 3 if month < 10 else month - 9
    year += 400 * era + (1 if month <= 2 else 0)
    second, milli = divmod(rest, 1000)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return year, month, day + 1, hour, minute, second, milli
