"""For `mpremote exec`, inside the three seconds after a reset.

mpremote connect PORT resume exec --no-follow "import archivecam.tool as t; t.set_utc(1790000000000)"
mpremote connect PORT resume exec "import archivecam.tool as t; t.info()"
"""

from archivecam import VERSION, app, hal_esp32
from archivecam import state as states


def set_utc(utc_ms):
    """Set the clock to a Unix time in ms, and begin a session that knows it; the chip then sleeps."""
    board = hal_esp32.Board()
    board.step_ms(utc_ms - board.now_ms())
    app.run(board, True)


def info():
    """Print what the chip remembers."""
    board = hal_esp32.Board()
    print("archive-fw", VERSION, "device", board.device_id(), "reset", board.reset_cause())
    print("session", board.nvs_get("session"), "unproductive boots", board.nvs_get("boots"))
    state = states.unpack(board.rtc_load())
    print("sleep memory", "none" if state is None else "session %d, next photo %d" % (state.session, state.number))
