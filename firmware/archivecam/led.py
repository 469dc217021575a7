"""The red light's words: how many short blinks mean what."""

STORED = 1
CARD = 2
CAMERA = 3
FULL = 4
CONFIG = 5
POWER = 6


def blink(hal, times):
    """Show a code. A single blink is kept short: it is paid for with each photo."""
    for _ in range(times):
        hal.led(True)
        hal.sleep_ms(40 if times == 1 else 180)
        hal.led(False)
        if times > 1:
            hal.sleep_ms(220)
