"""The card: numbered sessions of numbered photos, and a journal beside them.

Each file gets its final name once. Nothing is ever renamed, rewritten or deleted: on FAT each of those can take a
finished photo with it when the power fails between two sectors.
"""

import binascii

ROOT = "/ARCHIVE"
CONFIG = ROOT + "/CONFIG.TXT"
SYNC = ROOT + "/SYNC.TXT"

PHOTOS_PER_FOLDER = 200
"""FAT searches a folder from its start for each new name: 29 sector reads at 100 names, 505 at 2000."""

LAST_SESSION = 9_999_999

# Numbers that every port shares; the module `errno` lacks some of them on the chip.
_ENOENT = 2
_EEXIST = 17
_ENOSPC = 28


class Card:
    """A mounted FAT file system; raises OSError as it does."""

    def __init__(self, vfs):
        self.vfs = vfs

    def text(self, path, limit=8192):
        """The first bytes of a file, or None where there is none."""
        try:
            file = self.vfs.open(path, "rb")
        except OSError as error:
            if error.args[0] == _ENOENT:
                return None
            raise
        with file:
            return file.read(limit)

    def free_kib(self):
        """Room that is left."""
        status = self.vfs.statvfs("/")
        return status[1] * status[4] // 1024

    def new_session(self, wanted):
        """Make the folder of a new session, and give its number: `wanted`, or the next that is free.

        The listing only saves steps. It ends early, without a word, where the card cannot be read, so only the
        folder's creation decides.
        """
        self._folder(ROOT)
        if self._folder(session_path(wanted)):
            return wanted
        number = max(wanted, self._last_session()) + 1
        while number <= LAST_SESSION:
            if self._folder(session_path(number)):
                return number
            number += 1
        raise OSError(_ENOSPC)

    def create(self, session, number):
        """Create a photo under its final name: (file, number), a later number where `number` is taken.

        The photo is safe once the file was closed without an error.
        """
        while True:
            try:
                return self._create(session, number), number
            except OSError as error:
                if error.args[0] != _EEXIST:
                    raise
            number += 1

    def log(self, session, text):
        """Add a line to the session's journal, with its CRC32."""
        with self.vfs.open(session_path(session) + "/LOG.TXT", "ab") as file:
            write(file, seal(text))

    def header(self, session):
        """The first line of a session's journal, without its CRC; None where it is missing or not whole."""
        try:
            content = self.text(session_path(session) + "/LOG.TXT", 512)
        except OSError:
            return None
        return unseal(content.split(b"\n", 1)[0]) if content else None

    def _create(self, session, number):
        path = photo_path(session, number)
        try:
            return self.vfs.open(path, "xb")
        except OSError as error:
            if error.args[0] != _ENOENT:
                raise
        self._folder(path[: path.rfind("/")])
        return self.vfs.open(path, "xb")

    def _folder(self, path):
        """Make a folder; False where the name is taken."""
        try:
            self.vfs.mkdir(path)
        except OSError as error:
            if error.args[0] == _EEXIST:
                return False
            raise
        return True

    def _last_session(self):
        last = 0
        for entry in self.vfs.ilistdir(ROOT):
            name = entry[0]
            if len(name) == 8 and name[0] == "S" and name[1:].isdigit():
                last = max(last, int(name[1:]))
        return last


def session_path(session):
    """The folder of a session."""
    return "%s/S%07d" % (ROOT, session)


def photo_path(session, number):
    """The file of a photo."""
    return "%s/%03d/%08d.JPG" % (session_path(session), number // PHOTOS_PER_FOLDER, number)


def seal(text):
    """A journal line: printable ASCII, a star, the CRC32 of what stands before it."""
    clean = bytes([code if 32 <= code < 127 and code != 42 else 46 for code in text.encode()])
    return clean + b"*%08x\n" % binascii.crc32(clean)


def unseal(line):
    """The text of a journal line, or None where its CRC is wrong."""
    body, star, crc = line.rpartition(b"*")
    if not star or crc.strip() != b"%08x" % binascii.crc32(body):
        return None
    return body.decode()


def write(file, part):
    """Write all of a part, or raise."""
    if file.write(part) != len(part):
        raise OSError(_ENOSPC)
