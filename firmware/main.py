"""Started by MicroPython at each waking; `flash.py` copies it to the chip as it is."""

from archivecam import app, hal_esp32

app.run(hal_esp32.Board())
