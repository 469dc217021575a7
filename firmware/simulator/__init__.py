"""A board without a board: the firmware's own code on a host, with a card, a clock, a camera and faults to order.

Runs under the MicroPython unix port, where the card is a FAT image, and under CPython, where it is a folder.
"""
