"""One waking of the camera: card, settings, session, photo, journal, sleep.

    wake -> card -> config -> session -> (full? low battery? private?) -> wall clock -> shoot -> store -> sleep

Whatever fails, the waking ends in deep sleep, and the next one starts on a chip that was fully reset.
"""

import binascii
import hashlib

from archivecam import VERSION, config, exif, frame, led, session, store
from archivecam import state as states
from archivecam.clock import Clock, plausible

MINUTE = 60_000
NO_CARD_NAP = MINUTE // 2
LONG_NAP = 10 * MINUTE
POWER_NAP = MINUTE
SHORT_NAP = 1000

UNPRODUCTIVE_BOOTS = 3
"""Power-ons in a row without one stored photo, after which the battery gets time to recover."""

CARD_FAULTS = 3
"""Failures of the card in a row, after which it is left alone for longer."""

TRIES = 3
REPL_WINDOW = 3000
TOLD_ERROR = 1000
FEED_EVERY = 20_000
NTP_LIMIT = 10_000
TIME_RETRY = 30 * MINUTE
BATTERY_EVERY = 20 * MINUTE
BATTERY_RECOVERS = 100
"""Millivolts above the stop at which the camera works again."""


def run(hal, told=False):
    """Live through one waking, and sleep. Does not return on a device.

    With `told` the raw clock was just set from outside, so a session that begins knows the time.
    """
    waking = Waking(hal, told)
    try:
        nap = waking.cycle()
    except Exception as error:  # noqa: BLE001  (the one boundary: a camera that nobody watches must go on)
        nap = waking.stumble(error)
    waking.sleep(nap)


# What the camera's driver raises when a sensor does not answer or a frame does not come.
_CAMERA_ERRORS = (OSError, RuntimeError, ValueError)


class Waking:
    """What one waking knows. Each step says in `doing` what it touches, for the journal of failures."""

    def __init__(self, hal, told):
        self.hal = hal
        self.told = told
        self.doing = "wake"
        self.cause = "power"
        self.boots = 0
        self.settings = dict(config.DEFAULTS)
        self.tz_minutes = 0
        self.state = states.State()
        self.clock = Clock(hal, self.state)
        self.sync = (None, None, None)
        self.card = None
        self.journal_open = False
        self.camera = None

    def cycle(self):
        """All steps in order; gives the milliseconds to sleep."""
        self._wake()
        if self.cause not in ("deepsleep", "usb") and self.boots >= UNPRODUCTIVE_BOOTS:
            led.blink(self.hal, led.POWER)
            return POWER_NAP
        if not self._mount():
            led.blink(self.hal, led.CARD)
            return NO_CARD_NAP
        complaints, digest = self._configure()
        self._open_session(complaints, digest)
        while True:
            nap = self._hindrance() or self._learn_time() or self._photo()
            if nap:
                self.state.planned = 0
                return nap
            if self.settings["sleep"] == "deep":
                return self._until_next()
            self._wait(self._until_next())

    def stumble(self, error):
        """Note a failure that no step expected; gives the milliseconds to sleep."""
        print("failed at", self.doing, repr(error))
        nap = self.settings["interval"] * 1000
        if self.doing in ("card", "config", "session", "journal", "store"):
            nap = self._card_failed(nap)
        reason = error.args[0] if error.args else ""
        self._try(self._note, "E", "%s %s %s" % (self.doing, type(error).__name__, reason))
        return nap

    def sleep(self, nap):
        """Switch everything off, remember, sleep; a step that fails does not keep the others from happening."""
        self._try(self._close_camera)
        self._try(self._remember, nap)
        for _ in range(TRIES):
            self._try(self.hal.deepsleep, nap)
        self.hal.reset()

    def _wake(self):
        self.hal.wake()
        self.cause = "usb" if self.told else self.hal.reset_cause()
        kept = states.unpack(self.hal.rtc_load())
        if kept is not None:
            self._adopt(kept)
        if self.cause != "deepsleep":
            self.state.put(states.LIVE, False)
        if self.cause not in ("deepsleep", "usb"):
            self._cold_boot()
        self.hal.feed()

    def _adopt(self, state):
        self.state = state
        self.clock = Clock(self.hal, state)

    def _cold_boot(self):
        """Give a person at the serial port time for Ctrl-C, and count boots that led to nothing."""
        print("archive-fw", VERSION, "- Ctrl-C within 3 s for the prompt")
        self.hal.led(True)
        self.hal.sleep_ms(REPL_WINDOW)
        self.hal.led(False)
        self.boots = self.hal.nvs_get("boots") + 1
        self.hal.nvs_set("boots", self.boots)

    def _mount(self):
        """Mount the card, slower each time; a card that will not mount is never formatted."""
        self.doing = "card"
        for mhz in (20, 10, 4):
            try:
                self.card = store.Card(self.hal.card(mhz))
                return True
            except OSError as error:
                print("no card at", mhz, "MHz:", error)
        print("no usable card; if there is one, format it as FAT32")
        return False

    def _configure(self):
        """Read both files of settings; gives the complaints, and a number that changes with the file."""
        self.doing = "config"
        content = self.card.text(store.CONFIG)
        self.sync = config.parse_sync(self.card.text(store.SYNC))
        if content is None:
            complaints = ["no CONFIG.TXT, all defaults"]
        else:
            self.settings, complaints = config.parse(content)
        tz = self.settings["tz_min"]
        self.tz_minutes = (self.sync[2] or 0) if tz == "sync" else tz
        return complaints, binascii.crc32(content or b"")

    def _open_session(self, complaints, digest):
        self.doing = "session"
        if self.cause == "deepsleep" and session.continues(self.hal, self.state, self.card):
            fresh = digest != self.state.config
        else:
            self._adopt(session.begin(self, digest))
            fresh = True
        self.journal_open = True
        self.doing = "journal"
        if self.told:
            session.note_time(self, TOLD_ERROR)
        if fresh:
            self._complain(complaints)
        self.state.config = digest

    def _complain(self, complaints):
        for complaint in complaints:
            self._note("E", "config " + complaint)
        if complaints:
            led.blink(self.hal, led.CONFIG)

    def _hindrance(self):
        """Milliseconds to sleep where no photo may be taken now, else 0."""
        if self._full():
            led.blink(self.hal, led.FULL)
            return LONG_NAP
        if self._battery_low():
            return LONG_NAP
        self.doing = "switch"
        private = self.settings["privacy_pin"] >= 0 and self.hal.switch(self.settings["privacy_pin"])
        self._flag(states.PRIVATE, private, "V", "on", "off")
        return min(self.settings["interval"] * 1000, MINUTE) if private else 0

    def _full(self):
        self.doing = "card"
        full = self.card.free_kib() < self.settings["reserve_mb"] * 1024
        self._flag(states.FULL, full, "Z", "full", "room")
        return full

    def _battery_low(self):
        if self.settings["battery_pin"] < 0:
            return False
        self.doing = "battery"
        millivolts = self.hal.battery_mv(self.settings["battery_pin"], self.settings["battery_ratio"])
        mono = self.clock.mono()
        if mono >= self.state.battery_due:
            self._note("B", millivolts)
            self.state.battery_due = mono + BATTERY_EVERY
        stop = self.settings["battery_stop_mv"] + (BATTERY_RECOVERS if self.state.has(states.LOW) else 0)
        low = millivolts < stop
        self._flag(states.LOW, low, "Z", "lowbat", "charged")
        return low

    def _flag(self, flag, up, kind, risen, fallen):
        """Journal a change, once."""
        if self.state.has(flag) == up:
            return
        self._note(kind, risen if up else fallen)
        self.state.put(flag, up)

    def _learn_time(self):
        """Ask the network for the time where that is due; with the camera open that takes a fresh waking."""
        mono = self.clock.mono()
        if not self.settings["wifi_ssid"] or mono < self.state.time_due:
            return 0
        if self.camera is not None:
            return SHORT_NAP
        self.doing = "time"
        self.state.time_due = mono + TIME_RETRY
        self.state.planned = 0  # the radio's time is no part of what a waking usually takes
        try:
            answer = self.hal.ntp(
                self.settings["wifi_ssid"], self.settings["wifi_pass"], self.settings["ntp_host"], NTP_LIMIT
            )
        except OSError as error:
            print("no time from the network:", error)
            answer = None
        if answer is None or not plausible(answer[0]):
            self._note("E", "time no answer" if answer is None else "time refused %d" % answer[0])
            return 0
        self.clock.learn(answer[0], "ntp")
        self.state.time_due = self.clock.mono() + self.settings["ntp_every_min"] * MINUTE
        session.note_time(self, answer[1])
        return 0

    def _photo(self):
        """Take and store one photo; 0 where that went well, else milliseconds to sleep."""
        self.doing = "camera"
        picture = self._open_camera() and self._shoot()
        if not picture:
            return self._camera_failed()
        self.state.camera_faults = 0
        self._keep(*picture)
        if self.settings["led"]:
            led.blink(self.hal, led.STORED)
        return 0

    def _open_camera(self):
        """Power the camera and open it; once it was open it is never opened again in the same waking."""
        if self.camera is not None:
            return True
        for _ in range(TRIES):
            self.hal.cam_power(True)
            try:
                self.camera = self.hal.camera(self.settings)
                return True
            except _CAMERA_ERRORS as error:
                print("camera:", error)
            self.hal.cam_power(False)
            self.hal.sleep_ms(200)
            self.hal.feed()
        return False

    def _shoot(self):
        """(frame, frames thrown away, mono of the shutter, quality), or None where no whole frame came."""
        first = frame.FIRST_FRAMES if self.settings["sleep"] == "deep" else frame.STALE_FRAMES
        limit = self.settings["settle_ms"] if self.settings["sleep"] == "deep" else 0
        quality = self.settings["quality"]
        for attempt in range(TRIES):
            if attempt == TRIES - 1:
                # A frame that outgrew its buffer arrives without its end; a coarser one fits.
                quality -= 15
                self.camera.quality(quality)
            try:
                picture, thrown = frame.settle(self.camera, self.hal, first, limit)
            except _CAMERA_ERRORS as error:
                print("camera:", error)
                continue
            self.hal.feed()
            if frame.whole(picture):
                mono = self.clock.mono()
                if attempt == TRIES - 1:
                    self.camera.quality(self.settings["quality"])
                return picture, thrown, mono, quality
        return None

    def _camera_failed(self):
        """Back off: 1, 2, 4, 8, then 10 minutes."""
        faults = min(self.state.camera_faults + 1, 255)
        self.state.camera_faults = faults
        self._note("E", "camera no whole frame, %d in a row" % faults)
        led.blink(self.hal, led.CAMERA)
        return min(MINUTE << min(faults - 1, 4), LONG_NAP)

    def _keep(self, picture, thrown, mono, quality):
        """Store a photo with its note, then its journal line; only then does the number move on."""
        self.doing = "store"
        digest = binascii.hexlify(hashlib.sha256(picture).digest()[:8]).decode()
        began = self.hal.ticks()
        wanted = self.state.number
        file, number = self.card.create(self.state.session, wanted)
        with file:
            opened = self.hal.ticks_since(began)
            facts = "len=%d sha=%s st=%d q=%d" % (len(picture), digest, thrown, quality)
            store.write(file, self._head(number, mono, facts))
            store.write(file, picture[2:])
        written = self.hal.ticks_since(began)
        self.state.number = number + 1
        self.state.card_faults = 0
        session.schedule(self.state, self.settings, mono)
        self.doing = "journal"
        if number != wanted:
            self._note("E", "store %d was taken, stored as %d" % (wanted, number))
        self._line("P %d %d %d %s st=%d t=%d/%d" % (number, mono, len(picture), digest, thrown, opened, written))
        if self.state.put(states.PROVEN, True):
            self._try(self.hal.nvs_set, "boots", 0)
        self.doing = "memory"
        self.hal.rtc_save(self.state.pack())

    def _head(self, number, mono, facts):
        """The block of EXIF that goes before the frame."""
        return exif.block(
            session.photo_note(self, number, mono, facts),
            session.unique(self, number),
            self.hal.device_id(),
            config.FRAMES[self.settings["frame"]],
            self.settings["rotate"],
            self._local(mono),
            self.tz_minutes,
        )

    def _local(self, mono):
        utc = self.clock.utc(mono)
        return None if utc is None else utc + self.tz_minutes * MINUTE

    def _card_failed(self, nap):
        """Leave the session: its folder may be damaged where it was last written."""
        faults = min(self.state.card_faults + 1, 255)
        self.state.card_faults = faults
        self.state.put(states.LIVE, False)
        if faults < CARD_FAULTS:
            return nap
        self._try(led.blink, self.hal, led.CARD)
        return LONG_NAP

    def _until_next(self):
        """Milliseconds until the next waking, early enough for the shutter to open when the photo is due."""
        nap = max(self.state.due - self.state.lead - self.clock.mono(), 10)
        self.state.planned = self.clock.mono() + nap
        return nap

    def _wait(self, milliseconds):
        """Pass the time awake, with the camera open."""
        self.hal.feed()
        while milliseconds > 0:
            part = min(milliseconds, FEED_EVERY)
            self.hal.sleep_ms(part)
            self.hal.feed()
            milliseconds -= part

    def _close_camera(self):
        if self.camera is not None:
            self._try(self.camera.close)
        if self.settings["cam_power_off"]:
            self.hal.cam_power(False)

    def _remember(self, nap):
        self.state.slept = self.hal.now_ms()
        self.state.nap = nap
        self.hal.rtc_save(self.state.pack())

    def _note(self, kind, text):
        """A journal line of an event."""
        self._line("%s %d %s" % (kind, self.clock.mono(), text))

    def _line(self, text):
        if self.journal_open:
            self.card.log(self.state.session, text)

    def _try(self, step, *arguments):
        """Do a step of the way to sleep; its failure is printed and changes nothing."""
        try:
            step(*arguments)
        except Exception as error:  # noqa: BLE001  (nothing may stand between the camera and its sleep)
            print("on the way to sleep:", repr(error))
