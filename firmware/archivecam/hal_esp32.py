"""The ESP32-CAM (AI-Thinker) under the firmware: the only module that imports hardware.

    pin  4   flash light's transistor: low after the card is mounted, held low in sleep, or it glows
    pin 32   high switches the camera's regulators off; held high in sleep, released before the camera is opened
    pin 33   red light, on when low
    pins 2, 14, 15   the card, in one-bit mode

Image: micropython-camera-API for AI_THINKER, release 0.6.2 or later.
"""

import os
import socket
import struct
import time

import esp32
import machine
import network
from camera import Camera, FrameSize, GainCeiling, GrabMode, PixelFormat
from vfs import VfsFat

FLASH = 4
CAMERA_OFF = 32
RED = 33

WATCHDOG_MS = 60_000

_SECONDS_1900_TO_1970 = 2_208_988_800
_MS_1970_TO_2000 = 946_684_800_000

# The chip's port counts from 2000, unless it was built to count from 1970.
_EPOCH_MS = _MS_1970_TO_2000 if time.gmtime(0)[0] == 2000 else 0

_CAUSES = {
    machine.PWRON_RESET: "power",  # a brown-out arrives as this too
    machine.DEEPSLEEP_RESET: "deepsleep",
    machine.WDT_RESET: "wdt",
    machine.HARD_RESET: "crash",
    machine.SOFT_RESET: "soft",
}


class Board:
    """The seam between the firmware and the chip."""

    def __init__(self):
        self._rtc = machine.RTC()
        self._nvs = esp32.NVS("archivecam")
        self._watchdog = None
        self._red = None
        self._sd = None

    def wake(self):
        """Release the pads that were held through sleep; the camera stays without power."""
        machine.Pin(CAMERA_OFF, machine.Pin.OUT, value=1, hold=False)
        machine.Pin(FLASH, machine.Pin.OUT, value=0, hold=False)
        self._red = machine.Pin(RED, machine.Pin.OUT, value=1, hold=False)

    def now_ms(self):
        """The raw clock in Unix milliseconds; it starts at 2000 and runs on through deep sleep."""
        return time.time_ns() // 1_000_000 + _EPOCH_MS

    def step_ms(self, delta):
        """Set the raw clock forward or back."""
        from archivecam.clock import civil

        year, month, day, hour, minute, second, milli = civil(self.now_ms() + delta)
        self._rtc.datetime((year, month, day, 0, hour, minute, second, milli * 1000))

    def ticks(self):
        """A counter of milliseconds that starts over now and then; see `ticks_since`."""
        return time.ticks_ms()

    def ticks_since(self, earlier):
        """Milliseconds since a reading of `ticks`."""
        return time.ticks_diff(time.ticks_ms(), earlier)

    def sleep_ms(self, ms):
        """Wait, awake."""
        time.sleep_ms(ms)

    def deepsleep(self, ms):
        """Hold the pads, and sleep; does not return."""
        if self._sd is not None:
            self._sd.deinit()
        machine.Pin(FLASH, machine.Pin.OUT, value=0, hold=True)
        machine.Pin(RED, machine.Pin.OUT, value=1, hold=True)
        machine.deepsleep(ms)

    def reset(self):
        """Reset the chip: what is left where even sleep failed."""
        machine.reset()

    def reset_cause(self):
        """power, deepsleep, wdt, crash or soft."""
        return _CAUSES.get(machine.reset_cause(), "crash")

    def rtc_load(self):
        """The block that was saved before sleep."""
        return self._rtc.memory()

    def rtc_save(self, block):
        """Save a block through sleep."""
        self._rtc.memory(block)

    def nvs_get(self, name):
        """A number from the chip's flash; 0 where none was kept."""
        try:
            return self._nvs.get_i32(name)
        except OSError:
            return 0

    def nvs_set(self, name, value):
        """Keep a number in the chip's flash."""
        self._nvs.set_i32(name, value)
        self._nvs.commit()

    def device_id(self):
        """The chip's MAC address, 12 hex digits."""
        return "".join(["%02x" % part for part in machine.unique_id()])

    def random32(self):
        """32 random bits."""
        return struct.unpack("<I", os.urandom(4))[0]

    def card(self, mhz):
        """Mount the card at a bus speed; raises OSError where there is none, or no FAT on it."""
        if self._sd is not None:
            self._sd.deinit()
            self._sd = None
        self._sd = machine.SDCard(slot=1, width=1, freq=mhz * 1_000_000)
        try:
            return VfsFat(self._sd)
        finally:
            # The card's driver claims the flash light's pin although one-bit mode does not need it.
            machine.Pin(FLASH, machine.Pin.OUT, value=0)

    def camera(self, settings):
        """Open the camera; raises where it does not answer or gives no first frame."""
        return _Camera(settings)

    def cam_power(self, on):
        """Switch the camera's regulators; off is held through sleep."""
        machine.Pin(CAMERA_OFF, machine.Pin.OUT, value=0 if on else 1, hold=not on)
        if on:
            time.sleep_ms(20)

    def led(self, on):
        """The red light."""
        self._red.value(0 if on else 1)

    def switch(self, pin):
        """Whether a switch connects its pin to ground."""
        return machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_UP).value() == 0

    def battery_mv(self, pin, ratio):
        """Millivolts of the battery; `ratio` is the divider's, in percent."""
        adc = machine.ADC(machine.Pin(pin), atten=machine.ADC.ATTN_11DB)
        total = 0
        for _ in range(16):
            total += adc.read_uv()
        return total // 16 * ratio // 100_000

    def ntp(self, ssid, password, host, limit_ms):
        """(UTC in ms, possible error in ms) from the network, or None; the radio is off on return."""
        station = network.WLAN(network.STA_IF)
        began = time.ticks_ms()
        try:
            station.active(True)
            station.connect(ssid, password)
            while not station.isconnected():
                if time.ticks_diff(time.ticks_ms(), began) > limit_ms:
                    return None
                time.sleep_ms(100)
            return _ask_time(host)
        finally:
            station.active(False)

    def feed(self):
        """Tell the watchdog that all is well; the first call starts it."""
        if self._watchdog is None:
            self._watchdog = machine.WDT(timeout=WATCHDOG_MS)
        self._watchdog.feed()


class _Camera:
    """The sensor, set up as CONFIG.TXT says."""

    def __init__(self, settings):
        awake = settings["sleep"] == "none"
        self._camera = Camera(
            frame_size=getattr(FrameSize, settings["frame"]),
            pixel_format=PixelFormat.JPEG,
            jpeg_quality=settings["quality"],
            fb_count=2 if awake else 1,
            grab_mode=GrabMode.LATEST if awake else GrabMode.WHEN_EMPTY,
        )
        for name in ("brightness", "contrast", "saturation"):
            setattr(self._camera, name, settings[name])
        self._camera.hmirror = bool(settings["hmirror"])
        self._camera.vflip = bool(settings["vflip"])
        self._camera.gainceiling = getattr(GainCeiling, "X%d" % settings["gainceiling"])

    def shot(self):
        """The next frame, valid until the next call; None where none came."""
        return self._camera.capture()

    def quality(self, percent):
        """Change how finely the next frames are compressed."""
        self._camera.quality = percent

    def close(self):
        """Let go of the camera; it is not opened again before the chip was reset."""
        self._camera.deinit()


def _ask_time(host):
    """One SNTP exchange (RFC 4330): the server's time, plus half of what the exchange took."""
    address = socket.getaddrinfo(host, 123)[0][-1]
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        link.settimeout(3)
        sent = time.ticks_ms()
        link.sendto(b"\x1b" + 47 * b"\0", address)
        answer = link.recv(48)
        took = time.ticks_diff(time.ticks_ms(), sent)
    finally:
        link.close()
    seconds, fraction = struct.unpack("!II", answer[40:48])
    utc = (seconds - _SECONDS_1900_TO_1970) * 1000 + (fraction * 1000 >> 32)
    return utc + took // 2, took // 2 + 10
