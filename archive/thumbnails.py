"""Small pictures of photos, made once: files that can all be made again, and that are erased with their photo."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = ".new"
_JPEG_END = b"\xff\xd9"


class Thumbnails:
    """A folder of JPEG files, `<first two hex digits>/<sha256 of the original>.jpg`; folders are 0700, files 0600."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, digest: str) -> Path:
        """Where the thumbnail of the original with that digest is, or would be."""
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"not a digest: {digest!r}")
        return self._folder / digest[:2] / f"{digest}.jpg"

    def get(self, digest: str) -> bytes | None:
        """The thumbnail, or None where there is none, or a power cut left only a part of one."""
        try:
            content = self.path(digest).read_bytes()
        except FileNotFoundError:
            return None
        return content if content.endswith(_JPEG_END) else None

    def put(self, digest: str, content: bytes) -> None:
        """Keep a thumbnail: it is there whole, or not at all.

        Its file is named after the photo from the first byte on, for whatever is so named goes when the photo goes.

        Raises:
            FileNotFoundError: the photo was erased meanwhile.
        """
        path = self.path(digest)
        for folder in (self._folder, path.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        # Not synced: what a power cut leaves is recognised by its end and made again.
        with NamedTemporaryFile(dir=path.parent, prefix=digest, suffix=_UNFINISHED, delete=False) as file:
            unfinished = Path(file.name)
            try:
                file.write(content)
                file.flush()
                unfinished.replace(path)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise

    def erase(self, digest: str) -> bool:
        """Erase the thumbnail of a photo; whether there was one."""
        path = self.path(digest)
        there = path.exists()
        path.unlink(missing_ok=True)
        return there

    def stored(self) -> Iterator[tuple[str, Path]]:
        """Digest and path of every thumbnail on the disk, and of nothing else that may lie there."""
        for path in sorted(self._folder.glob("??/*.jpg")):
            if _DIGEST.fullmatch(path.stem):
                yield path.stem, path

    def sweep(self) -> None:
        """Delete what killed servers left unfinished."""
        for path in self._folder.glob(f"??/*{_UNFINISHED}"):
            path.unlink(missing_ok=True)
