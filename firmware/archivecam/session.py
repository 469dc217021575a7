"""Sessions: one uninterrupted life of the chip's clock, from power-on to power-off."""

from archivecam import VERSION, clock
from archivecam import state as states

SLACK = 600_000
"""Milliseconds by which a sleep may overrun and still be the sleep that was asked for."""


def continues(hal, state, card):
    """Whether this waking goes on with the session that fell asleep.

    It does where the raw clock ran on as a sleeping clock does, and the card is the one with that session on it.
    """
    if not state.has(states.LIVE) or not _slept_well(hal.now_ms(), state):
        return False
    header = card.header(state.session)
    return header is not None and header.startswith(_identity(hal, state))


def begin(waking, digest):
    """Open a new session on the card; gives its state."""
    hal = waking.hal
    before = waking.state
    kept_time = waking.told or (waking.cause == "deepsleep" and _slept_well(hal.now_ms(), before))
    wanted = _wanted(hal)
    fresh = states.renewed(before)
    fresh.session = waking.card.new_session(wanted)
    fresh.nonce = hal.random32()
    fresh.base = hal.now_ms()
    fresh.put(states.LIVE, True)
    if waking.told:
        fresh.clock = clock.SOURCES.index("usb")
    elif kept_time and before.clock:
        fresh.clock = before.clock
        fresh.synced = before.synced + before.base - fresh.base
        fresh.time_due = before.time_due + before.base - fresh.base
    waking.card.log(fresh.session, _header(waking, fresh, digest))
    hal.rtc_save(fresh.pack())
    _remember_number(hal, fresh.session)
    return fresh


def note_time(waking, error_ms):
    """Journal that the wall clock is known: mono, UTC, and by how much that may be wrong."""
    state = waking.state
    mono = state.synced
    waking.card.log(
        state.session,
        "T %d %d %d %s" % (mono, waking.clock.utc(mono), error_ms, waking.clock.source()),
    )


def photo_note(waking, number, mono, facts):
    """What a photo says about itself, for its UserComment."""
    state = waking.state
    utc = waking.clock.utc(mono)
    known = "clk=none utc=- age=-" if utc is None else "clk=%s utc=%d age=%d" % (
        waking.clock.source(), utc, waking.clock.age(mono),
    )  # fmt: skip
    return "archive-cam/1 dev=%s ses=%d rnd=%08x seq=%d mono=%d %s tz=%d %s" % (
        waking.hal.device_id(), state.session, state.nonce, number, mono, known, waking.tz_minutes, facts,
    )  # fmt: skip


def unique(waking, number):
    """32 hex digits that no other photo has: device, nonce, session, number."""
    state = waking.state
    return "%s%08x%06x%06x" % (waking.hal.device_id(), state.nonce, state.session & 0xFFFFFF, number & 0xFFFFFF)


def schedule(state, settings, mono):
    """When the next photo is due, after one whose shutter opened at `mono`; learns how long waking takes."""
    interval = settings["interval"] * 1000
    if state.planned and mono >= state.planned:
        took = min(mono - state.planned, interval // 2, 60_000)
        state.lead = took if state.lead == 0 else (3 * state.lead + took) // 4
        state.planned = 0
    due = (state.due or mono) + interval
    if due <= mono + interval // 4:
        due = mono + interval
    state.due = due


def _slept_well(now, state):
    return state.slept <= now <= state.slept + state.nap + state.nap // 8 + SLACK


def _wanted(hal):
    try:
        return hal.nvs_get("session") + 1
    except OSError:
        return 1


def _remember_number(hal, number):
    """The card decides which numbers are free; the chip's own memory only makes finding one quick."""
    try:
        hal.nvs_set("session", number)
    except OSError as error:
        print("session number not kept:", error)


def _identity(hal, state):
    return "H v=1 dev=%s ses=%d rnd=%08x " % (hal.device_id(), state.session, state.nonce)


def _header(waking, state, digest):
    cause = "sleep" if waking.cause == "deepsleep" else waking.cause
    sync, synced, _ = waking.sync
    return _identity(
        waking.hal, state
    ) + "fw=%s cause=%s sleep=%s cfg=%08x sync=%s synced=%s tz=%d boots=%d faults=%d" % (
        VERSION,
        cause,
        waking.settings["sleep"],
        digest,
        sync or "-",
        "-" if synced is None else synced,
        waking.tz_minutes,
        waking.boots,
        state.card_faults,
    )
