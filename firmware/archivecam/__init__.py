"""The firmware of the wearable camera: one photo at each waking, kept safely on the card.

    from archivecam import app, hal_esp32
    app.run(hal_esp32.Board())

Only `hal_esp32` imports hardware modules; everything else also runs under the MicroPython unix port and CPython.
"""

VERSION = "1.0.0"
