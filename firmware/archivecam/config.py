"""What a person may set: CONFIG.TXT on the card, and the few words that ingest leaves in SYNC.TXT."""

DEFAULTS = {
    "interval": 30,
    "sleep": "deep",
    "frame": "UXGA",
    "quality": 85,
    "settle_ms": 1500,
    "rotate": 0,
    "hmirror": 0,
    "vflip": 0,
    "brightness": 0,
    "contrast": 0,
    "saturation": 0,
    "gainceiling": 4,
    "led": 1,
    "cam_power_off": 1,
    "reserve_mb": 8,
    "tz_min": "sync",
    "wifi_ssid": "",
    "wifi_pass": "",
    "ntp_host": "pool.ntp.org",
    "ntp_every_min": 120,
    "privacy_pin": -1,
    "battery_pin": -1,
    "battery_ratio": 200,
    "battery_stop_mv": 3400,
}

FRAMES = {
    "UXGA": (1600, 1200),
    "SXGA": (1280, 1024),
    "HD": (1280, 720),
    "XGA": (1024, 768),
    "SVGA": (800, 600),
    "VGA": (640, 480),
}
"""Pixels of each frame size, as the sensor delivers them."""

_RANGES = {
    "interval": (2, 3600),
    "quality": (40, 95),
    "settle_ms": (0, 10_000),
    "hmirror": (0, 1),
    "vflip": (0, 1),
    "brightness": (-2, 2),
    "contrast": (-2, 2),
    "saturation": (-2, 2),
    "led": (0, 1),
    "cam_power_off": (0, 1),
    "reserve_mb": (2, 4096),
    "tz_min": (-840, 840),
    "ntp_every_min": (10, 10_080),
    "battery_ratio": (100, 2000),
    "battery_stop_mv": (2500, 5000),
}

_CHOICES = {
    "sleep": ("deep", "none"),
    "frame": tuple(FRAMES),
    "rotate": (0, 90, 180, 270),
    "gainceiling": (2, 4, 8, 16, 32, 64, 128),
    "privacy_pin": (-1, 1, 3, 12, 13),
    "battery_pin": (-1, 12, 13),
}

DEEP_INTERVAL = 8
"""Seconds below which deep sleep cannot keep up: waking alone takes about three."""


def parse(content):
    """(settings, complaints) of CONFIG.TXT; a bad value keeps its default and is complained about."""
    settings = dict(DEFAULTS)
    complaints = []
    for number, key, value in _lines(content, complaints):
        if key not in DEFAULTS:
            complaints.append("line %d: no setting %s" % (number, key))
            continue
        checked = _checked(key, value)
        if checked is None:
            complaints.append("line %d: %s=%s, uses %s" % (number, key, value, settings[key]))
        else:
            settings[key] = checked
    if settings["sleep"] == "deep" and settings["interval"] < DEEP_INTERVAL:
        complaints.append("interval=%d needs sleep=none, uses %d" % (settings["interval"], DEEP_INTERVAL))
        settings["interval"] = DEEP_INTERVAL
    return settings, complaints


def parse_sync(content):
    """(sync id, UTC in ms, minutes east of UTC) that ingest left on the card; None for each that is missing."""
    words = {key: value for _, key, value in _lines((content or b"").replace(b" ", b"\n"), [])}
    return words.get("sync"), _integer(words.get("utc_ms")), _integer(words.get("tz_min"))


def _lines(content, complaints):
    """(line number, key, value) of each line that sets something."""
    if content[:3] == b"\xef\xbb\xbf":  # an editor's byte order mark
        content = content[3:]
    for number, line in enumerate(content.split(b"\n"), 1):
        text = _ascii(line).strip()
        if not text or text[0] == "#":
            continue
        key, equals, value = text.partition("=")
        if equals:
            yield number, key.strip().lower(), value.strip()
        else:
            complaints.append("line %d: no = in it" % number)


def _ascii(line):
    try:
        return line.decode()
    except UnicodeError:
        return "".join([chr(code) if code < 128 else "?" for code in line])


def _checked(key, value):
    """The value as its setting wants it, or None."""
    default = DEFAULTS[key]
    if key == "tz_min" and value == "sync":
        return value
    if key in _CHOICES and isinstance(default, str):
        return _one_of(value, _CHOICES[key])
    if isinstance(default, str) and key != "tz_min":
        return value
    number = _integer(value.partition("#")[0].strip())
    if key in _CHOICES:
        return number if number in _CHOICES[key] else None
    low, high = _RANGES[key]
    return number if number is not None and low <= number <= high else None


def _one_of(value, choices):
    value = value.partition("#")[0].strip()
    for choice in choices:
        if choice.lower() == value.lower():
            return choice
    return None


def _integer(text):
    try:
        return int(text)
    except (TypeError, ValueError):
        return None
