"""Cards for the simulator: a folder, a FAT image, and an image with the power cut at a chosen sector write."""

import os

SECTOR = 512


class Folder:
    """A folder of the host that answers as a mounted FAT file system does; for CPython.

    `free` is the room that it claims to have.
    """

    def __init__(self, root, free=1 << 30):
        self.root = root
        self.free = free
        self.writes = 0

    def open(self, path, mode):
        return open(self.root + path, mode)

    def mkdir(self, path):
        os.mkdir(self.root + path)

    def ilistdir(self, path):
        for name in sorted(os.listdir(self.root + path)):
            yield (name, 0x4000, 0, 0)

    def statvfs(self, path):
        return (SECTOR, SECTOR, 1 << 21, self.free // SECTOR, self.free // SECTOR, 0, 0, 0, 0, 255)


class Disk:
    """A block device over an image file. `log`, where given, gets each sector written: number, then bytes.

    `faults` holds the numbers of the sector reads and writes that fail.
    """

    def __init__(self, path, log=None, faults=()):
        self.file = open(path, "r+b")
        self.file.seek(0, 2)
        self.sectors = self.file.tell() // SECTOR
        self.log = open(log, "wb") if log else None
        self.faults = set(faults)
        self.reads = 0
        self.writes = 0

    def readblocks(self, block, buffer, offset=0):
        before = self.reads + self.writes
        self.reads += len(buffer) // SECTOR
        self._fail(before)
        self.file.seek(block * SECTOR)
        self.file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        before = self.reads + self.writes
        self.writes += len(buffer) // SECTOR
        self._fail(before)
        if self.log:
            for index in range(len(buffer) // SECTOR):
                self.log.write((block + index).to_bytes(4, "little"))
                self.log.write(buffer[index * SECTOR : (index + 1) * SECTOR])
        self.file.seek(block * SECTOR)
        self.file.write(buffer)

    def ioctl(self, request, argument):
        if request == 4:
            return self.sectors
        if request == 5:
            return SECTOR
        return 0

    def save(self, path):
        """Copy the image as it is now."""
        self.file.seek(0)
        with open(path, "wb") as copy:
            while True:
                part = self.file.read(1 << 16)
                if not part:
                    return
                copy.write(part)

    def close(self):
        self.file.close()
        if self.log:
            self.log.close()

    def _fail(self, before):
        for operation in range(before, self.reads + self.writes):
            if operation in self.faults:
                raise OSError(5)


class CutDisk:
    """The image as it was after the first `cut` sector writes of a log, over an image that stays as it is.

    With `torn` the last of those sectors holds its new first half and its old second half.
    """

    def __init__(self, path, log, cut, torn):
        self.file = open(path, "rb")
        self.file.seek(0, 2)
        self.sectors = self.file.tell() // SECTOR
        self.changed = {}
        self.reads = 0
        self.writes = 0
        with open(log, "rb") as writes:
            for index in range(cut):
                number = int.from_bytes(writes.read(4), "little")
                content = writes.read(SECTOR)
                if torn and index == cut - 1:
                    content = content[: SECTOR // 2] + self._sector(number)[SECTOR // 2 :]
                self.changed[number] = content
        self.new = {}

    def _sector(self, number):
        if number in self.changed:
            return self.changed[number]
        self.file.seek(number * SECTOR)
        return self.file.read(SECTOR)

    def readblocks(self, block, buffer, offset=0):
        for index in range(len(buffer) // SECTOR):
            buffer[index * SECTOR : (index + 1) * SECTOR] = self._sector(block + index)

    def writeblocks(self, block, buffer, offset=0):
        for index in range(len(buffer) // SECTOR):
            content = bytes(buffer[index * SECTOR : (index + 1) * SECTOR])
            self.changed[block + index] = content
            self.new[block + index] = content

    def ioctl(self, request, argument):
        if request == 4:
            return self.sectors
        if request == 5:
            return SECTOR
        return 0

    def save_changes(self, path):
        """Write what changed since the cut, as a log."""
        with open(path, "wb") as file:
            for number, content in self.new.items():
                file.write(number.to_bytes(4, "little"))
                file.write(content)
