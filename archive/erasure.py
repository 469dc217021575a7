"""Erasure: forgetting photos so that nothing of them is left in the archive's home.

1. one transaction: rows, vectors and remembered questions go; a mark of each photo stays, and a note of what is to do
2. the last answer goes, and every file that is named after a photo: originals first, then what else was made from it
3. index shards are written anew without it
4. SQLite's log is emptied; while somebody reads an older state it cannot be, and the note stays

Whatever ends a run in between, the note is there when the archive is next opened to write, and the rest is done then.
Whoever keeps files that are made of one photo names them after its digest, and they go with it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Protocol

from archive import last_answer, moments, residue, shelving
from archive.disk import sync
from archive.errors import CatalogDamaged, UsageError
from archive.photos.names import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from archive.arrivals import Arrivals
    from archive.catalog.reader import CatalogReader
    from archive.catalog.writer import Catalog
    from archive.originals import Originals
    from archive.protocols import VectorIndex
    from archive.residue import Piece
    from archive.types import Pair, Photo

    class SweptIndex(VectorIndex, Protocol):
        """An index that can erase what no manifest names."""

        def sweep(self, keep: Sequence[str]) -> object:
            """Erase what is of none of these shards."""


NAMES_SHOWN = 5
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Which:
    """The photos that are meant: those named, or those of a time range and a camera; a side that is None is open.

    A photo is named by its id, its sha256 in hex, or the path of its original.
    """

    names: Sequence[str] = ()
    after: datetime | None = None
    before: datetime | None = None
    camera: str | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """Where something of a photo can be; `index` gives the index of any pair, whose id comes first.

    `drop_unknown` erases indexes of pairs that the catalog does not know.
    """

    home: Path
    catalog: Catalog
    originals: Originals
    arrivals: Arrivals
    index: Callable[[int, Pair], SweptIndex]
    drop_unknown: Callable[[], None]


@dataclass(slots=True)
class Receipt:
    """What was erased, in numbers: a receipt must not say what was on it.

    `purged` is False while a reader keeps SQLite's log from being emptied. `residue` names files in which pieces of
    the photos were found after all; it is None where nobody searched.
    """

    photos: int = 0
    files: int = 0
    bytes: int = 0
    shards: int = 0
    purged: bool = True
    searched: int = 0
    residue: list[Path] | None = field(default=None)

    def in_words(self) -> Iterator[str]:
        """The receipt for a person."""
        yield (
            f"{self.photos:,} photo{'s' * (self.photos != 1)} forgotten: "
            f"{self.files:,} file{'s' * (self.files != 1)} of {self.bytes:,} bytes erased, "
            f"{self.shards} shard{'s' * (self.shards != 1)} written anew"
        )
        if not self.purged:
            yield "purge pending: somebody reads the archive, so SQLite's log keeps old pages; run: archive forget"
        if self.residue is None:
            return
        yield f"searched {self.searched:,} files for what may be left: found in {len(self.residue)}"
        yield from (f"  {path}" for path in self.residue)

    def as_object(self) -> dict[str, Any]:
        """The receipt for a program, as `archive forget --json` prints it."""
        residue = None if self.residue is None else [str(path) for path in self.residue]
        return {
            "photos": self.photos,
            "files": self.files,
            "bytes": self.bytes,
            "shards_written": self.shards,
            "purge": "done" if self.purged else "pending",
            "verified": None if residue is None else {"files": self.searched, "residue": residue},
        }


def choose(reader: CatalogReader, which: Which) -> list[Photo]:
    """The photos that are meant, in the order of their ids.

    Raises:
        UsageError: a photo that was named is not there.
    """
    if which.names:
        ids = [_named(reader, name) for name in which.names]
    else:
        allowed = reader.photos_between(which.after, which.before, which.camera)
        ids = [] if allowed.ids is None else allowed.ids.tolist()
    found = reader.photos(ids)
    for name, photo_id in zip(which.names, ids, strict=False):
        if photo_id not in found:
            raise UsageError(f"there is no photo {printable(name)}; `archive query --json` shows each photo's id")
    return [found[photo_id] for photo_id in sorted(found)]


def preview(photos: Sequence[Photo], now: datetime) -> Iterator[str]:
    """What erasing these photos would take, for a person to look at first."""
    if not photos:
        yield "no photo is meant by that"
        return
    taken = sorted(photo.captured_at for photo in photos if photo.captured_at is not None)
    ends = [moments.calendar(moment, now) for moment in (*taken[:1], *taken[1:][-1:])]
    span = f", taken {' to '.join(ends)}" if ends else ""
    untimed = f", {len(photos) - len(taken)} at an unknown time" if len(taken) < len(photos) else ""
    cameras = sorted({photo.camera for photo in photos if photo.camera})
    by = f", by {', '.join(map(printable, cameras[:NAMES_SHOWN]))}" if cameras else ""
    yield f"to be erased: {len(photos):,} photo{'s' * (len(photos) > 1)}{span}{untimed}{by}"
    for photo in photos[:NAMES_SHOWN]:
        yield f"  {photo.id}  {printable(photo.name)}"
    if len(photos) > NAMES_SHOWN:
        yield f"  and {len(photos) - NAMES_SHOWN:,} more"


def _named(reader: CatalogReader, name: str) -> int:
    stem = PurePath(name).stem
    if _DIGEST.fullmatch(stem):
        return reader.photo_id(stem) or 0
    return int(name) if _ID.fullmatch(name) else 0


def erase(photos: Sequence[Photo], places: Places, *, verify: bool) -> Receipt:
    """Erase photos; with `verify`, look through every file of the home for pieces of them afterwards."""
    pieces = list(islice(_pieces(photos, places), residue.MOST_PIECES)) if verify else []
    places.catalog.erase([photo.id for photo in photos])
    receipt = Receipt(photos=len(photos))
    finish(places, receipt)
    if verify:
        _verify(pieces, places, receipt)
    return receipt


def finish(places: Places, receipt: Receipt) -> None:
    """Do what an erasure has left to do; each step may be done again."""
    waiting = places.catalog.erasures()
    if not waiting:
        return
    digests = {digest for digest in waiting if digest is not None}
    if digests:
        last_answer.forget(places.home)
        _erase_files(digests, places, receipt)
        places.arrivals.keep(lambda digest: digest not in digests)
        _purge_shards(places, receipt)
        places.catalog.note_files_erased()
    receipt.purged = places.catalog.checkpoint()
    if receipt.purged:
        places.catalog.note_log_emptied()


def _erase_files(digests: set[str], places: Places, receipt: Receipt) -> None:
    gone = set()
    for digest in sorted(digests):
        with places.catalog.letting_go(digest) as is_nobodys:
            if is_nobodys:  # a file that somebody else has, too, is his
                sizes = places.originals.erase(digest)
                receipt.files += len(sizes)
                receipt.bytes += sum(sizes)
                gone.add(digest)
    elsewhere = (path for path in _files(places.home, but=places.originals.folder) if path.name[:64] in gone)
    for path in elsewhere:
        receipt.files += 1
        receipt.bytes += path.stat().st_size
        path.unlink()
        sync(path.parent)


def _purge_shards(places: Places, receipt: Receipt) -> None:
    for pair_id, pair in places.catalog.pairs().items():
        index = places.index(pair_id, pair)
        receipt.shards += shelving.purge(places.catalog, index, pair_id)
        index.sweep([shard.name for shard in places.catalog.shards(pair_id)])
    places.drop_unknown()


def _pieces(photos: Sequence[Photo], places: Places) -> Iterator[Piece]:
    """What to look for: every digest first, then pictures and vectors, photo by photo.

    What a photo that stays rightly has is nothing to look for: the same file, or vectors that were carried over.
    """
    surviving = places.catalog.surviving([photo.id for photo in photos])
    photos = [photo for photo in photos if not surviving.holds(photo.digest)]
    for photo in photos:
        yield from residue.pieces_of_digest(photo.digest)
    beside = {pair_id: surviving.neighbours(pair_id) for pair_id in places.catalog.pairs()}
    for photo in photos:
        with suppress(CatalogDamaged):  # lost or altered: there is no picture to look for
            yield from residue.pieces_of_picture(places.originals.read(photo.digest, photo.suffix))
        for exemplar in places.catalog.exemplars_of(photo.id):
            yield from residue.pieces_of_picture(exemplar)
        for pair_id, staying in beside.items():
            theirs = _vector_pieces(places.catalog, pair_id, staying[photo.id])
            yield from _vector_pieces(places.catalog, pair_id, {photo.id}) - theirs


def _vector_pieces(catalog: Catalog, pair_id: int, photos: set[int]) -> set[Piece]:
    packs = catalog.packs_of(pair_id, photos).values()
    return {piece for pack in packs for piece in residue.pieces_of_vectors(pack.vectors)}


def _verify(pieces: Sequence[Piece], places: Places, receipt: Receipt) -> None:
    receipt.residue = _residue(pieces, places, receipt)
    if any(path.parent == places.home for path in receipt.residue):
        # SQLite zeroes what it deletes; should it ever leave a piece inside a page, every page is written anew.
        places.catalog.rewrite()
        receipt.purged = places.catalog.checkpoint()
        receipt.residue = _residue(pieces, places, receipt)


def _residue(pieces: Sequence[Piece], places: Places, receipt: Receipt) -> list[Path]:
    files = list(_files(places.home))
    receipt.searched = len(files)
    return sorted({found.path for found in residue.search(files, pieces) if not _is_rightly_there(found, places)})


def _is_rightly_there(found: residue.Residue, places: Places) -> bool:
    """Whether it is a remaining photo, or made of one, that shares bytes with an erased one: two of one camera do."""
    named = _DIGEST.match(found.path.name)
    return found.of_a_picture and named is not None and places.catalog.is_held(named[0])


def _files(folder: Path, but: Path | None = None) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path == but:
            continue
        if path.is_dir():
            yield from _files(path, but)
        elif path.is_file():
            yield path
