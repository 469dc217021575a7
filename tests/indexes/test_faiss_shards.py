from __future__ import annotations

import errno
import hashlib
import os
import random
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from threading import current_thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.indexes import codes, container, engines, faiss_shards, opened, parts, training
from archive.indexes.faiss_shards import FaissIndex
from archive.indexes.rows import belonging_to, between
from archive.scanning import LIKELY
from tests.contracts.vector_index import (
    VectorIndexContract,
    by_hand,
    clustered_rows,
    in_three_shards,
    random_rows,
    segments,
)
from tests.indexes.stored import StoredIndex

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from archive.types import Halves, Ids, Shard, Vectors
    from tests.contracts.vector_index import NewIndex

DIM = 16
CLUSTERED = 100


class TestFlatShards(VectorIndexContract):
    @pytest.fixture
    def new_index(self, tmp_path: Path) -> NewIndex:
        return lambda dim: FaissIndex(tmp_path / "index", dim)


class TestClusteredShards(VectorIndexContract):
    """Few rows: the codes name them all, or a filter does, and the stored vectors decide."""

    exact = False

    @pytest.fixture
    def new_index(self, tmp_path: Path) -> NewIndex:
        return lambda dim: StoredIndex(tmp_path / "index", dim, ivf_at=1)


class TestCodesDecideWhichAreCompared(VectorIndexContract):
    """As with many rows: nothing is compared but what the codes name."""

    exact = False

    @pytest.fixture
    def new_index(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewIndex:
        monkeypatch.setattr(faiss_shards, "EXACT_BELOW", 0)
        return lambda dim: StoredIndex(tmp_path / "index", dim, ivf_at=1)


class MixedIndex(StoredIndex):
    """An archive that grew: its first shard is flat, and those that follow are clustered."""

    def add(self, ids: Ids, vectors: Vectors | Halves, packs: tuple[int, int], wearers: Ids | None = None) -> Shard:
        """Build the shard; from now on the others are large."""
        shard = super().add(ids, vectors, packs, wearers)
        self._ivf_at = 1
        return shard


class TestMixedShards(VectorIndexContract):
    exact = False
    named_among = LIKELY  # the most that one shard's rows can score stands beside what those of another do

    @pytest.fixture
    def new_index(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewIndex:
        monkeypatch.setattr(faiss_shards, "EXACT_BELOW", 0)
        return lambda dim: MixedIndex(tmp_path / "index", dim, ivf_at=10**6)


def filled(folder: Path, shards: int = 1, rows: int = 120, ivf_at: int = 10**6) -> tuple[FaissIndex, list[Shard]]:
    """An index of some shards of so many rows each, and what a manifest says of it."""
    index = FaissIndex(folder, DIM, ivf_at=ivf_at)
    ids, vectors = segments(shards * rows), random_rows(shards * rows, DIM, seed=7)
    manifest = []
    for number in range(shards):
        span = slice(number * rows, (number + 1) * rows)
        manifest.append(index.add(ids[span], vectors[span], (number * 10 + 1, number * 10 + 10)))
    return index, manifest


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


QUERY = random_rows(1, DIM, seed=8)
NO_WORDS = np.empty((0, DIM), np.float32)


@pytest.mark.parametrize("ivf_at", [CLUSTERED, 10**6])
def test_the_manifest_finds_everything_again(tmp_path: Path, ivf_at: int) -> None:
    index, manifest = filled(tmp_path, shards=3, ivf_at=ivf_at)
    again = FaissIndex(tmp_path, DIM, manifest)
    assert len(again) == 360
    assert again.broken == []
    assert again.search(QUERY, 50) == index.search(QUERY, 50)


def test_the_manifest_tells_the_files_size_and_sha256(tmp_path: Path) -> None:
    _, [shard] = filled(tmp_path)
    content = (tmp_path / shard.name).read_bytes()
    assert (shard.size, shard.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    filled(folder, ivf_at=CLUSTERED)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_the_same_rows_never_get_the_same_name_or_content(tmp_path: Path) -> None:
    _, [one] = filled(tmp_path)
    _, [other] = filled(tmp_path)
    assert one.name != other.name
    assert one.sha256 != other.sha256


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    _, manifest = filled(tmp_path)
    index = FaissIndex(tmp_path, DIM, manifest)
    (tmp_path / manifest[0].name).unlink()
    assert index.broken == manifest


def test_a_reader_keeps_what_it_opened_when_the_writer_removes_it(tmp_path: Path) -> None:
    writer, manifest = filled(tmp_path, shards=2, ivf_at=CLUSTERED)
    reader = FaissIndex(tmp_path, DIM, manifest)
    before = reader.search(QUERY, 30)
    for shard in manifest:
        writer.remove(shard)
    assert reader.search(QUERY, 30) == before


def test_a_removed_shard_leaves_no_file(tmp_path: Path) -> None:
    index, [one, other] = filled(tmp_path, shards=2)
    index.remove(one)
    assert names(tmp_path) == {other.name}


# Damage: never an error, never a wrong answer.


def missing(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def zeroed_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[1024:2048] = bytes(1024)
    path.write_bytes(content)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [missing, empty, truncated, longer, zeroed_page, a_folder])
@pytest.mark.parametrize("ivf_at", [CLUSTERED, 10**6])
def test_a_damaged_shard_is_named_and_the_others_answer(
    tmp_path: Path, damage: Callable[[Path], None], ivf_at: int
) -> None:
    _, manifest = filled(tmp_path, shards=3, ivf_at=ivf_at)
    damage(tmp_path / manifest[1].name)
    index = FaissIndex(tmp_path, DIM, manifest)
    found = index.search(QUERY, 360)
    assert index.broken == [manifest[1]]
    assert len(index) == 240
    ids = segments(360)
    assert {match.segment for match in found} == {*ids[:120].tolist(), *ids[240:].tolist()}


@pytest.mark.parametrize("ivf_at", [CLUSTERED, 10**6])
def test_every_flipped_bit_is_detected(tmp_path: Path, ivf_at: int) -> None:
    _, [shard] = filled(tmp_path, ivf_at=ivf_at)
    path = tmp_path / shard.name
    whole = path.read_bytes()
    dice = random.Random(11)
    anywhere = [dice.randrange(8 * len(whole)) for _ in range(300)]
    in_the_heads = [dice.randrange(8 * 64) for _ in range(50)] + [8 * 1024 + dice.randrange(8 * 200) for _ in range(50)]
    for bit in anywhere + in_the_heads:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        index = FaissIndex(tmp_path, DIM, [shard])
        assert index.broken == [shard]
        assert index.search(QUERY, 5) == []


def test_a_shard_of_another_dimension_is_broken(tmp_path: Path) -> None:
    _, [shard] = filled(tmp_path)
    index = FaissIndex(tmp_path, DIM + 1, [shard])
    assert index.broken == [shard]
    assert index.search(random_rows(1, DIM + 1, seed=1), 5) == []


@pytest.mark.parametrize(
    ("place", "content"), [(0, b"NOTSHARD"), (8, b"\x07"), (64 + 8 * 120, b"what faiss does not know")]
)
def test_a_shard_that_this_version_cannot_parse_is_broken(tmp_path: Path, place: int, content: bytes) -> None:
    _, [shard] = filled(tmp_path)
    altered = bytearray((tmp_path / shard.name).read_bytes())
    altered[place : place + len(content)] = content
    (tmp_path / shard.name).write_bytes(altered)
    as_if_written_so = replace(shard, sha256=hashlib.sha256(altered).hexdigest())
    assert FaissIndex(tmp_path, DIM, [as_if_written_so]).broken == [as_if_written_so]


def test_a_broken_shard_can_be_removed(tmp_path: Path) -> None:
    _, [shard] = filled(tmp_path)
    empty(tmp_path / shard.name)
    index = FaissIndex(tmp_path, DIM, [shard])
    assert index.broken == [shard]
    index.remove(shard)
    assert index.broken == []
    assert names(tmp_path) == set()


# Filters: which rows count.


@given(
    photos=st.sets(st.integers(0, 40)),
    segments_of=st.dictionaries(st.integers(0, 40), st.integers(1, 4)),
)
def test_the_segments_of_photos_are_those_and_no_others(photos: set[int], segments_of: dict[int, int]) -> None:
    held = [photo << 10 | place for photo in sorted(segments_of) for place in range(segments_of[photo])]
    wanted = belonging_to(np.array(sorted(photos), np.int64), np.array(held, np.int64))
    assert wanted.tolist() == [segment >> 10 in photos for segment in held]


@given(
    photos=st.sets(st.integers(0, 40)),
    segments=st.lists(st.integers(0, 40 << 10), min_size=1).map(sorted),
)
def test_of_photos_only_those_outside_what_a_shard_covers_are_left_out_before_it_is_looked_at(
    photos: set[int], segments: list[int]
) -> None:
    all_of_them, held = np.array(sorted(photos), np.int64), np.array(segments, np.int64)
    own = between(all_of_them, segments[0], segments[-1])
    assert own.tolist() == [one for one in sorted(photos) if segments[0] >> 10 <= one <= segments[-1] >> 10]
    np.testing.assert_array_equal(belonging_to(own, held), belonging_to(all_of_them, held))


# Cells: shared by all clustered shards, needed by none of them to be read.


def test_clustered_shards_share_one_file_of_cells(tmp_path: Path) -> None:
    filled(tmp_path, shards=3, ivf_at=CLUSTERED)
    [cells] = tmp_path.glob("*.cells")
    assert cells.stem == hashlib.sha256(cells.read_bytes()).hexdigest()


@pytest.mark.parametrize("damage", [missing, empty, truncated, a_folder])
def test_damaged_cells_lose_nothing_and_are_trained_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    _, manifest = filled(tmp_path, ivf_at=CLUSTERED)
    [cells] = tmp_path.glob("*.cells")
    damage(cells)
    reopened = FaissIndex(tmp_path, DIM, manifest, ivf_at=CLUSTERED)
    assert reopened.broken == manifest
    assert reopened.search(QUERY, 120) == []
    later = reopened.add(segments(120, first_photo=500), random_rows(120, DIM, seed=9), (11, 20))
    assert len(FaissIndex(tmp_path, DIM, [*manifest, later])) == 120
    trained = container.read_training(tmp_path, DIM)
    assert trained is not None
    assert trained.training.middles.shape[1] == DIM


def test_no_centre_stands_for_only_a_few_rows() -> None:
    crowd = random_rows(1, DIM, seed=1).repeat(400, axis=0)
    crowd[:3] = random_rows(3, DIM, seed=2)
    learned = training.train(crowd, NO_WORDS)
    assert 1 <= len(learned.middles) <= 400 // training.ROWS_PER_CELL
    odd = (crowd[:3] - learned.mean) @ learned.codes.T
    assert np.linalg.norm(odd[:, np.newaxis] - learned.middles, axis=2).min() > 0.1


# Crashes and full disks: a name means whole content.

ADD_AND_DIE = """
import os, signal, sys
from pathlib import Path
import numpy as np
from archive.indexes.faiss_shards import FaissIndex
from tests.contracts.vector_index import random_rows, segments

folder, call, ivf_at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
index = FaissIndex(folder, 16, ivf_at=ivf_at)
def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
if call == "write":
    from archive.indexes import engines
    engines.write = die
elif call == "fsync":
    os.fsync = die
elif call == "rename":
    Path.rename = die
elif call == "fsync-folder":
    from archive.indexes import container
    container.sync = die
index.add(segments(120), random_rows(120, 16, seed=1), (1, 24))
"""


@pytest.mark.parametrize("ivf_at", [1, 10**6])
@pytest.mark.parametrize("call", ["write", "fsync", "rename", "fsync-folder"])
def test_a_process_killed_while_it_adds_leaves_only_what_sweep_erases(tmp_path: Path, call: str, ivf_at: int) -> None:
    index, manifest = filled(tmp_path)
    before = index.search(QUERY, 120)
    killed = subprocess.run(
        [sys.executable, "-c", ADD_AND_DIE, str(tmp_path), call, str(ivf_at)], check=False, timeout=120
    )
    assert killed.returncode == -signal.SIGKILL
    left = names(tmp_path) - {manifest[0].name}
    assert left
    if call != "fsync-folder":
        assert not [name for name in left if name.endswith(".shard")]
    index = FaissIndex(tmp_path, DIM, manifest)
    swept = index.sweep({shard.name for shard in manifest})
    intact_cells = container.read_training(tmp_path, DIM)
    assert set(swept) == left - ({intact_cells.name} if intact_cells else set())
    assert {name for name in names(tmp_path) if not name.endswith(".cells")} == {manifest[0].name}
    assert index.search(QUERY, 120) == before


def test_sweep_keeps_the_manifest_and_the_cells_in_use(tmp_path: Path) -> None:
    index, [kept, orphan] = filled(tmp_path, shards=2, ivf_at=CLUSTERED)
    [cells] = tmp_path.glob("*.cells")
    (tmp_path / ("0" * 64 + ".cells")).write_bytes(b"damaged")
    (tmp_path / "0123456789abcdef.partial").write_bytes(b"half")
    swept = index.sweep([kept.name])
    assert swept == ["0" * 64 + ".cells", "0123456789abcdef.partial", orphan.name]
    assert names(tmp_path) == {kept.name, cells.name}
    assert index.sweep([kept.name]) == []


def test_a_dropped_index_leaves_nothing_and_may_be_filled_anew(tmp_path: Path) -> None:
    ids, vectors = segments(50), random_rows(50, DIM, seed=1)
    index = FaissIndex(tmp_path / "index", DIM)
    index.drop()
    index.add(ids, vectors, (1, 10))
    index.drop()
    assert not (tmp_path / "index").exists()
    assert (len(index), index.broken, index.search(vectors[:1], 5)) == (0, [], [])
    index.add(ids, vectors, (1, 10))
    assert len(index) == 50


def test_sweep_of_a_folder_that_never_was_finds_nothing(tmp_path: Path) -> None:
    assert FaissIndex(tmp_path / "none", DIM).sweep([]) == []


@pytest.mark.parametrize("ivf_at", [CLUSTERED, 10**6])
def test_a_file_limit_reached_while_writing_is_an_os_error_and_leaves_no_file(tmp_path: Path, ivf_at: int) -> None:
    import resource

    index, manifest = filled(tmp_path, ivf_at=ivf_at)
    before = names(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for limit in range(1, manifest[0].size, manifest[0].size // 12):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            try:
                with pytest.raises(OSError) as raised:  # noqa: PT011  (the errno is checked below)
                    index.add(segments(120), random_rows(120, DIM, seed=1), (1, 24))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert raised.value.errno == errno.EFBIG
            assert names(tmp_path) == before
    finally:
        signal.signal(signal.SIGXFSZ, ignored)
    assert len(index) == 120


def test_a_full_disk_is_an_os_error_and_leaves_no_file(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        index = FaissIndex(disk / "index", DIM)
        # The last shard fits but for its last part: where faiss's own writer says nothing.
        for rows in (3_000, 1_700, 1_640):
            with pytest.raises(OSError) as raised:  # noqa: PT011  (the errno is checked below)
                index.add(segments(rows), random_rows(rows, DIM, seed=1), (1, 24))
            assert raised.value.errno == errno.ENOSPC
            assert names(disk / "index") == set()
        shard = index.add(segments(500), random_rows(500, DIM, seed=1), (1, 24))
        assert len(FaissIndex(disk / "index", DIM, [shard])) == 500
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# Two processes: one adds, the other reads.

ADD_SOME = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from archive.indexes.faiss_shards import FaissIndex
from tests.contracts.vector_index import random_rows, segments

index = FaissIndex(Path(sys.argv[1]), 16, ivf_at=100)
for number in range(20):
    shard = index.add(segments(120, 1 + 24 * number), random_rows(120, 16, seed=number), (number + 1, number + 1))
    print(json.dumps(asdict(shard)), flush=True)
"""


def test_a_reader_finds_each_shard_as_soon_as_the_writer_names_it(tmp_path: Path) -> None:
    import json

    from archive.types import Shard

    manifest: list[Shard] = []
    with subprocess.Popen([sys.executable, "-c", ADD_SOME, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            manifest.append(Shard(**json.loads(line)))
            reader = FaissIndex(tmp_path, DIM, manifest)
            assert len(reader.search(QUERY, 10**6)) == 120 * len(manifest)
            assert reader.broken == []
    assert writer.returncode == 0
    assert len(manifest) == 20


def test_importing_the_adapter_does_not_import_faiss() -> None:
    code = "import sys, archive.indexes.faiss_shards; sys.exit('faiss' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_search_agrees_with_a_hand_made_answer_across_both_kinds(tmp_path: Path) -> None:
    index = FaissIndex(tmp_path, DIM, ivf_at=200)
    ids, vectors = segments(500), random_rows(500, DIM, seed=3)
    index.add(ids[:100], vectors[:100], (1, 20))
    index.add(ids[100:], vectors[100:], (21, 100))
    found = [match.segment for match in index.search(QUERY, 40)]
    expected = {match.segment for match in by_hand(ids, vectors, QUERY, 20)}
    assert expected <= set(found)
    assert not np.array_equal(found, sorted(found))


# Training: learned once, told to the shards by its mark, and gone with what it was learned from.


@pytest.fixture(autouse=True)
def cells_as_of_millions(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many cells that only some of them are read, of a few thousand rows."""
    monkeypatch.setattr(training, "ROWS_PER_CELL", 16)
    monkeypatch.setattr(faiss_shards, "FIRST_PARTS", 8)


def many(folder: Path, rows: int = 4_000, shards: int = 1) -> tuple[StoredIndex, list[Shard]]:
    """An index whose cells are many, of rows like those of pictures."""
    pictures, _ = clustered_rows(rows, 32, concepts=200, seed=4)
    index, ids, part = StoredIndex(folder, 32, ivf_at=1), segments(rows), rows // shards
    spans = [slice(part * number, part * (number + 1)) for number in range(shards)]
    return index, [index.add(ids[span], pictures[span], (n * 900 + 1, n * 900 + 900)) for n, span in enumerate(spans)]


@pytest.mark.parametrize("ivf_at", [1, 10**6])
def test_rows_that_are_given_as_halves_are_found_as_the_same_numbers_are(tmp_path: Path, ivf_at: int) -> None:
    pictures, _ = clustered_rows(2_000, 32, concepts=200, seed=4)
    halves = pictures.astype(np.float16)
    found = []
    for name, rows in (("halves", halves), ("floats", halves.astype(np.float32))):
        index = FaissIndex(tmp_path / name, 32, ivf_at=ivf_at)
        index.add(segments(2_000), rows, (1, 400))
        found.append(index.search(random_rows(1, 32, seed=3), 50))
    assert found[0] == found[1]


def test_growth_never_trains_anew(tmp_path: Path) -> None:
    index, _ = many(tmp_path, shards=4)
    [cells] = tmp_path.glob("*.cells")
    stored = container.read_training(tmp_path, 32)
    assert stored is not None
    assert stored.lesson == container.Lesson(1_000, 1, 900)
    index.add(segments(500, first_photo=9_000), random_rows(500, 32, seed=9), (9_000, 9_100))
    assert list(tmp_path.glob("*.cells")) == [cells]


def test_a_shard_is_broken_without_the_training_that_it_was_built_upon(tmp_path: Path) -> None:
    _, [shard] = many(tmp_path)
    [cells] = tmp_path.glob("*.cells")
    other = tmp_path / "other"
    many(other, rows=3_000)
    cells.unlink()
    assert FaissIndex(tmp_path, 32, [shard]).broken == [shard]
    [strange] = other.glob("*.cells")
    strange.rename(tmp_path / strange.name)
    assert FaissIndex(tmp_path, 32, [shard]).broken == [shard]


def test_training_outlives_its_shards_only_as_long_as_one_of_them_stays(tmp_path: Path) -> None:
    index, [one, other] = many(tmp_path, shards=2)
    assert index.sweep([one.name]) == [other.name]
    assert len(list(tmp_path.glob("*.cells"))) == 1
    index.sweep([])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("still", "unlearned"), [(1_000, False), (900, False), (899, True), (0, True)])
def test_a_training_that_a_tenth_was_forgotten_of_is_erased(tmp_path: Path, still: int, unlearned: bool) -> None:
    index, manifest = many(tmp_path, rows=1_000)
    asked: list[tuple[int, int]] = []

    def counted(first: int, last: int) -> int:
        asked.append((first, last))
        return still

    assert index.broken == []
    assert index.unlearn(counted) is unlearned
    assert asked == [(1, 900)]
    assert index.broken == (manifest if unlearned else [])
    assert len(list(tmp_path.glob("*.cells"))) == (not unlearned)


def test_without_a_training_there_is_nothing_to_unlearn(tmp_path: Path) -> None:
    assert FaissIndex(tmp_path, DIM).unlearn(lambda first, last: 0) is False


def test_no_row_stands_in_the_training(tmp_path: Path) -> None:
    crowd, words = clustered_rows(2_000, 32, concepts=200, seed=4)
    learned = training.train(crowd, words)
    coded = (crowd - learned.mean) @ learned.codes.T
    apart = np.linalg.norm(coded[:, np.newaxis] - learned.middles, axis=2).min(axis=1)
    assert apart.min() > 0.01 * np.linalg.norm(coded, axis=1).mean()


def test_a_row_belongs_to_the_cell_whose_middle_is_nearest_by_the_first_dimensions() -> None:
    crowd, _ = clustered_rows(40_000, 32, concepts=200, seed=4)
    centres = np.ascontiguousarray(crowd[:500, :20])
    apart = np.linalg.norm(crowd[::97, np.newaxis, :20] - centres, axis=2)
    assert np.array_equal(training.cells_of(crowd, centres)[::97], apart.argmin(axis=1))


def test_few_rows_make_one_cell() -> None:
    learned = training.train(random_rows(12, DIM, seed=1), NO_WORDS)
    assert len(learned.middles) == 1


def test_products_of_codes_and_asks_are_those_of_the_vectors() -> None:
    crowd, words = clustered_rows(2_000, 32, concepts=200, seed=4)
    learned = training.train(crowd, words)
    near = (words @ learned.asks.T) @ ((crowd - learned.mean) @ learned.codes.T).T + (words @ learned.mean)[:, None]
    assert np.abs(near - words @ crowd.T).max() < 1e-3


def test_what_words_ask_about_is_kept_first() -> None:
    crowd = random_rows(3_000, 500, seed=1)
    corner = random_rows(200, 32, seed=2)
    words = np.concatenate([corner, np.zeros((200, 468), np.float32)], axis=1)
    learned = training.train(crowd, words)
    assert learned.codes.shape == (codes.kept(500), 500)
    near = (words @ learned.asks.T) @ ((crowd - learned.mean) @ learned.codes.T).T + (words @ learned.mean)[:, None]
    assert np.abs(near - words @ crowd.T).max() < 0.05


# Codes: what the kernel reads is what the table says.


@pytest.mark.parametrize("kept", [1, 7, 8, 16, 100, 163, 432])
def test_every_dimension_is_held_once_and_the_first_twice(kept: int) -> None:
    places = codes.places(kept)
    assert len(places) % 2 == 0
    times = np.bincount(places.ravel(), minlength=kept)[:kept]
    assert times.tolist() == [2] * min(kept, codes.FINE) + [1] * (kept - min(kept, codes.FINE))


def test_no_more_dimensions_are_kept_than_there_are_or_have_a_place() -> None:
    assert [codes.kept(dim) for dim in (3, 256, 432, 512)] == [3, 256, 432, 432]


def test_what_is_decoded_is_right_on_average_and_near() -> None:
    falling = np.arange(1, 161, dtype=np.float32) ** -0.5
    rows = np.random.default_rng(1).standard_normal((4_000, 160), np.float32) * falling
    steps = codes.learn(rows)
    halves = codes.coded(rows, steps)
    asked = np.random.default_rng(2).standard_normal(160, np.float32) * falling
    table, present = codes.tables(asked, steps, codes.places(160))
    near = table[np.arange(len(table)), halves].sum(axis=1) - present
    true = rows @ asked
    assert abs(float(near @ true) / float(true @ true) - 1) < 0.05
    assert np.corrcoef(near, true)[0, 1] > 0.95


def test_no_product_is_more_than_a_row_s_codes_allow() -> None:
    falling = np.arange(1, 161, dtype=np.float32) ** -0.5
    rows = np.random.default_rng(1).standard_normal((4_000, 160), np.float32) * falling
    rows[::50] *= 3  # what stands out lies beyond the steps
    steps = codes.learn(rows)
    halves = codes.coded(rows, steps)
    said = halves[:, -1] < codes.STEPS - 1  # the last value stands for more, too
    assert said.mean() > 0.98
    assert halves[::50, -1].mean() > halves[1::50, -1].mean() + 3
    for one in np.random.default_rng(2).integers(0, 4_000, 20):
        table, present = codes.tables(rows[one], steps, codes.places(160), along=1.0)
        most = table[np.arange(len(table)), halves].sum(axis=1) - present
        assert (rows @ rows[one] <= most + 1e-3)[said].all()


def test_rows_that_are_all_alike_have_codes_too() -> None:
    rows = np.zeros((5, 20), np.float32)
    steps = codes.learn(rows)
    assert np.isfinite(steps.means).all()
    table, present = codes.tables(np.ones(20, np.float32), steps, codes.places(20))
    halves = codes.coded(rows, steps)
    assert np.allclose(table[np.arange(len(table)), halves].sum(axis=1) - present, 0)


def test_the_kernel_scores_rows_as_their_codes_say(tmp_path: Path) -> None:
    pictures, words = clustered_rows(3_000, 32, concepts=200, seed=4)
    index, ids = FaissIndex(tmp_path, 32, ivf_at=1, words=lambda: words), segments(3_000)
    index.add(ids, pictures, (1, 600))
    stored = container.read_training(tmp_path, 32)
    assert stored is not None
    learned, asked = stored.training, engines.Cells(stored.training).ask(words[:1])
    projected = np.asarray((pictures - learned.mean) @ learned.codes.T, np.float32)
    owners = training.cells_of(projected, learned.middles)
    halves = codes.coded(np.asarray(projected - learned.middles[owners], np.float32), learned.steps)
    by_codes = asked.table[np.arange(len(asked.table)), halves].sum(axis=1)
    by_codes += asked.near[owners]
    found = {match.segment: match.score for match in index.search(words[:1], 3_000)}
    kernel = np.array([found[segment] for segment in ids.tolist()])
    assert np.abs(kernel - by_codes).max() < 0.02
    assert np.abs(kernel - by_codes).mean() < 0.004


# Parts: a shard divides the cells of its training for its own rows, and a search reads few of them.


def cell_like(rows: int, seed: int = 5) -> Vectors:
    """Rows of one cell in the dimensions that tell its parts apart."""
    return np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 300, 2_000])
def test_a_cell_is_divided_at_whole_blocks_and_loses_no_row(rows: int) -> None:
    order, sizes = parts.divided(cell_like(rows))
    assert sorted(order) == list(range(rows))
    assert sizes.sum() == rows
    assert (sizes > 0).all()
    assert not (sizes[:-1] % codes.BLOCK).any()


def test_rows_that_are_all_the_same_are_divided_too() -> None:
    order, sizes = parts.divided(np.ones((1_000, 8), np.float32))
    assert len(order) == sizes.sum() == 1_000


def test_rows_of_a_part_lie_nearer_to_each_other_than_those_of_its_cell() -> None:
    rows = cell_like(4_000)
    order, sizes = parts.divided(rows)
    each = np.split(rows[order], np.cumsum(sizes)[:-1])
    assert np.mean([one.var(axis=0).sum() for one in each]) < 0.7 * rows.var(axis=0).sum()


@pytest.fixture
def few_large_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where an archive has grown far beyond what its training was learned from."""
    monkeypatch.setattr(training, "ROWS_PER_CELL", 500)
    monkeypatch.setattr(parts, "ROWS", 40)


@pytest.mark.usefixtures("few_large_cells")
def test_parts_say_where_their_rows_lie_and_how_far_from_there(tmp_path: Path) -> None:
    pictures, words = clustered_rows(3_000, 32, concepts=200, seed=4)
    stored = container.write_training(tmp_path, training.train(pictures, words), container.Lesson(3_000, 1, 600))
    engine, divided = engines.clustered(pictures, stored.training)
    learned = stored.training
    coded = np.asarray((pictures - learned.mean) @ learned.codes.T, np.float32)
    assert divided.rows.sum() == 3_000
    assert len(divided.rows) > 2 * len(learned.middles)
    for cell in np.unique(divided.cells):
        size = engine.invlists.list_size(int(cell))
        numbers, begun = faiss_ids(engine, int(cell), size), 0
        for part in np.flatnonzero(divided.cells == cell):
            own = coded[numbers[begun : begun + divided.rows[part]]] - learned.middles[cell]
            begun += int(divided.rows[part])
            middle = np.zeros(32, np.float32)
            middle[: divided.middles.shape[1]] = divided.middles[part]
            np.testing.assert_allclose(own.mean(axis=0), middle, atol=2e-3)
            spread = np.sqrt(((own - middle) ** 2).sum(axis=1).mean())
            np.testing.assert_allclose(spread, divided.spreads[part], atol=2e-3)


def faiss_ids(engine: Any, cell: int, size: int) -> NDArray[np.int64]:  # noqa: ANN401
    """The row numbers in a list of faiss's."""
    import faiss

    numbers = np.empty(size, np.int64)
    faiss.memcpy(faiss.swig_ptr(numbers), engine.invlists.get_ids(cell), numbers.nbytes)
    return numbers


@pytest.mark.usefixtures("few_large_cells")
@pytest.mark.parametrize("dim", [8, 32, 100])
def test_all_parts_hold_the_rows_of_all_cells_with_their_scores(tmp_path: Path, dim: int) -> None:
    pictures, words = clustered_rows(3_000, dim, concepts=200, seed=4)
    index = FaissIndex(tmp_path, dim, ivf_at=1, words=lambda: words)
    index.add(segments(3_000), pictures, (1, 600))
    [shard], [cells] = index._healthy(), index._cells.values()
    asked = cells.ask(words[:1])
    every = asked.some(shard.parts, np.ones(len(shard.parts.rows), np.bool_))
    rows, scores = engines.read_lists(shard.in_parts, asked, every, 3_000, None)
    same, those = engines.read_lists(shard.engine, asked, asked.all(), 3_000, None)
    assert sorted(rows) == list(range(3_000))
    np.testing.assert_allclose(scores[np.argsort(rows)], those[np.argsort(same)], atol=2e-3)


@pytest.mark.usefixtures("few_large_cells")
def test_the_same_rows_are_divided_and_coded_the_same_way(tmp_path: Path) -> None:
    pictures, words = clustered_rows(3_000, 32, concepts=200, seed=4)
    index = FaissIndex(tmp_path, 32, ivf_at=1, words=lambda: words)
    shards = [index.add(segments(3_000), pictures, (number, number)) for number in (1, 2)]
    one, other = ((tmp_path / shard.name).read_bytes() for shard in shards)
    assert one[64:] == other[64:]  # but for the head, which has a number that no other has


@pytest.mark.usefixtures("few_large_cells")
def test_a_search_finds_nine_of_ten_in_a_third_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss_shards, "EXACT_BELOW", 0)
    pictures, words = clustered_rows(8_000, 32, concepts=200, seed=4)
    index, ids = StoredIndex(tmp_path, 32, ivf_at=1, words=lambda: words), segments(8_000)
    for number, span in enumerate((slice(4_000), slice(4_000, 8_000))):
        index.add(ids[span], pictures[span], (number * 800 + 1, number * 800 + 800))
    looked_at: list[int] = []
    read_lists = engines.read_lists

    def told(engine: Any, asked: Any, lists: Any, *others: Any) -> Any:  # noqa: ANN401
        looked_at.append(sum(engine.invlists.list_size(number) for number in lists.numbers.tolist()))
        return read_lists(engine, asked, lists, *others)

    monkeypatch.setattr(engines, "read_lists", told)
    found = [{match.segment for match in index.search(word, 10)} for word in words[:40, np.newaxis]]
    truth = [{match.segment for match in by_hand(ids, pictures, word, 10)} for word in words[:40, np.newaxis]]
    assert np.mean([len(some & best) for some, best in zip(found, truth, strict=True)]) >= 9
    assert sum(looked_at) < 40 * 8_000 / 3


# The catalog decides: what it no longer has is not found, and nothing that is there is missed for it.


def test_every_list_of_codes_is_mapped_where_the_kernel_can_read_it(tmp_path: Path) -> None:
    import faiss

    _, [shard] = many(tmp_path)
    content = container.read_shard(tmp_path, shard, 32)
    assert content is not None
    engine = faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(content.engine), content.engine.size))
    lists = engine.invlists
    places = [int(lists.get_codes(cell)) for cell in range(lists.nlist) if lists.list_size(cell)]
    mapped = content.engine.ctypes.data
    assert all(mapped < place < mapped + content.engine.size for place in places)
    assert min(places) % 64 == 0
    assert {place % 32 for place in places} == {0}


def test_what_the_catalog_no_longer_has_is_never_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss_shards, "EXACT_BELOW", 0)
    index, _ = many(tmp_path)
    query = random_rows(1, 32, seed=3)
    before = [match.segment for match in index.search(query, 200)]
    index.forget(before[:150])
    found = [match.segment for match in index.search(query, 50)]
    assert found == before[150:]


def test_a_filter_to_few_rows_compares_each_of_them(tmp_path: Path) -> None:
    index, _ = many(tmp_path, rows=20_000)
    query, photos = random_rows(1, 32, seed=3), np.array([7, 4_000], np.int64)
    assert len(index.search(query, 10, photos)) == 10
    assert index.asked_for == [10]
    index.search(query, 10)
    assert index.asked_for[1] < 1_000


@pytest.mark.parametrize("share", [2, 10, 40])
def test_a_filter_loses_no_hit_for_the_cells_that_it_empties(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: int
) -> None:
    monkeypatch.setattr(faiss_shards, "EXACT_BELOW", 0)
    pictures, words = clustered_rows(6_000, 32, concepts=200, seed=4)
    index, ids = StoredIndex(tmp_path, 32, ivf_at=1, words=lambda: words), segments(6_000)
    index.add(ids, pictures, (1, 1_200))
    photos = np.arange(1, 1_201, share, dtype=np.int64)
    wanted = np.isin(ids >> 10, photos)
    for word in words[:20, np.newaxis]:
        truth = {match.segment for match in by_hand(ids[wanted], pictures[wanted], word, 10)}
        found = {match.segment for match in index.search(word, 10, photos)}
        assert len(found) == 10
        assert len(truth & found) >= 9


@pytest.mark.parametrize("exact_below", [0, faiss_shards.EXACT_BELOW])
@pytest.mark.parametrize("kind", [StoredIndex, MixedIndex])
def test_a_time_range_loses_no_hit_for_the_photos_in_it_that_were_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[StoredIndex], exact_below: int
) -> None:
    monkeypatch.setattr(faiss_shards, "EXACT_BELOW", exact_below)
    index, ids, pictures, words = in_three_shards(
        lambda dim: kind(tmp_path, dim, ivf_at=10**6 if kind is MixedIndex else 1)
    )
    kinds = {engines.is_clustered(opened.engine) for opened in index._healthy()}
    assert kinds == ({False, True} if kind is MixedIndex else {True})
    forgotten = np.random.default_rng(8).permutation(np.arange(1, 481))[:240]
    index.forget(ids[np.isin(ids >> 10, forgotten)].tolist())
    there = ~np.isin(ids >> 10, forgotten)

    @settings(max_examples=40, deadline=None)
    @given(first=st.integers(1, 480), count=st.integers(1, 38), limit=st.integers(1, 250), word=st.integers(0, 59))
    def finds(first: int, count: int, limit: int, word: int) -> None:
        photos = np.setdiff1d(np.arange(first, first + count, dtype=np.int64), forgotten)
        wanted = there & np.isin(ids >> 10, photos)
        found = index.search(words[word][None], min(limit, 90), photos)
        expected = by_hand(ids[wanted], pictures[wanted], words[word][None], min(limit, 90))
        if wanted.sum() <= faiss_shards.CANDIDATES or exact_below:
            assert [match.segment for match in found] == [match.segment for match in expected]
        assert len(found) == len(expected)
        assert not np.isin([match.segment >> 10 for match in found], forgotten).any()

    finds()


def test_several_shards_read_at_once_name_what_they_do_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faiss_shards, "EXACT_BELOW", 0)
    index, _ = many(tmp_path, shards=5)
    word = random_rows(1, 32, seed=3)
    readers: list[set[str]] = []
    read_lists = engines.read_lists

    def told(*asked: Any) -> Any:  # noqa: ANN401
        readers[-1].add(current_thread().name)
        return read_lists(*asked)

    monkeypatch.setattr(engines, "read_lists", told)
    found = []
    for least_shards in (1, 100):
        monkeypatch.setattr(opened, "SIDE_BY_SIDE_FROM", least_shards)
        readers.append(set())
        reached = index.reaching(word, 0.3, 1_000)
        readers.append(set())  # of the search, which reads too little to be divided
        found.append((reached, index.search(word, 20)))
    (side_by_side, nearest), (in_turn, same) = found
    assert np.array_equal(side_by_side.segments, in_turn.segments)
    assert np.array_equal(side_by_side.scores, in_turn.scores)
    assert nearest == same
    assert current_thread().name not in readers[0]
    assert readers[2] == {current_thread().name}


@pytest.mark.parametrize("dim", [8, 16, 48, 128])
def test_hardly_a_row_scores_more_than_it_is_said_to_in_a_space_of_any_size(tmp_path: Path, dim: int) -> None:
    rows, words = random_rows(1_500, dim, seed=1), random_rows(300, dim, seed=2)
    index, ids = FaissIndex(tmp_path, dim, ivf_at=1, words=lambda: words[:200]), segments(1_500)
    index.add(ids, rows, (1, 300))
    more = []
    for word in words[200:]:
        found = index.reaching(word[None], -1.0, 3_000)
        more.append(rows[np.searchsorted(ids, found.segments)] @ word - found.scores)
    assert np.mean(np.concatenate(more) > index.nearness) < 0.01
    assert np.max(np.concatenate(more)) < 0.05


@pytest.mark.parametrize("distinct", [1, 2, 5])
def test_rows_that_are_the_same_are_all_named(tmp_path: Path, distinct: int) -> None:
    index, ids = FaissIndex(tmp_path, 64, ivf_at=1), segments(1_500)
    index.add(ids, np.resize(random_rows(distinct, 64, seed=8), (1_500, 64)), (1, 300))
    assert len(index.reaching(random_rows(1, 64, seed=9), -1.0, 3_000).segments) == 1_500


def test_a_filter_to_photos_far_from_what_is_asked_for_names_the_nearest_of_them(tmp_path: Path) -> None:
    pictures, words = clustered_rows(6_000, 32, concepts=200, seed=4)
    index, ids = StoredIndex(tmp_path, 32, ivf_at=1), segments(6_000)
    index.add(ids, pictures, (1, 1_200))
    for word in words[:5, np.newaxis]:
        farthest = np.array([match.segment for match in by_hand(ids, pictures, -word, 600)], np.int64)
        photos = np.unique(farthest >> 10)
        wanted = np.isin(ids >> 10, photos) & (pictures @ word[0] < np.median(pictures @ word[0]))
        photos = np.unique(ids[wanted] >> 10)
        photos = photos[~np.isin(photos, ids[~wanted] >> 10)]
        best = by_hand(ids[np.isin(ids >> 10, photos)], pictures[np.isin(ids >> 10, photos)], word, 1)[0].segment
        assert best in index.reaching(word, 1.0, 1_000, photos).segments[:LIKELY]


# Older files: what opens goes on answering, and is told to be renewed.


def test_a_flat_shard_of_the_version_before_still_answers(tmp_path: Path) -> None:
    index, [shard] = filled(tmp_path)
    before = index.search(QUERY, 50)
    assert index.outdated == []
    content = bytearray((tmp_path / shard.name).read_bytes())
    content[8:12], content[40:64] = b"\1\0\0\0", bytes(24)
    (tmp_path / shard.name).write_bytes(content)
    older = replace(shard, sha256=hashlib.sha256(content).hexdigest())
    again = FaissIndex(tmp_path, DIM, [older])
    assert again.search(QUERY, 50) == before
    assert again.outdated == [older]


def test_a_clustered_shard_of_the_version_before_is_searched_from_the_catalog_until_it_is_renewed(
    tmp_path: Path,
) -> None:
    _, [shard] = many(tmp_path)
    [cells] = tmp_path.glob("*.cells")
    older = bytearray(cells.read_bytes())
    older[8:12] = b"\4\0\0\0"
    cells.unlink()
    (tmp_path / f"{hashlib.sha256(older).hexdigest()}.cells").write_bytes(older)
    before = FaissIndex(tmp_path, 32, [shard], ivf_at=1)
    assert before.broken == [shard]
    renewed = before.add(segments(4_000), clustered_rows(4_000, 32, concepts=200, seed=4)[0], (1, 900))
    again = FaissIndex(tmp_path, 32, [renewed], ivf_at=1)
    assert (len(again), again.broken) == (4_000, [])


def test_a_shard_with_cells_of_its_own_is_searched_from_the_catalog(tmp_path: Path) -> None:
    import faiss

    ids, vectors = segments(120), random_rows(120, DIM, seed=7)
    engine = faiss.index_factory(DIM, "IVF2,SQ8", faiss.METRIC_INNER_PRODUCT)
    engine.train(vectors)
    engine.add(vectors)
    name = container.new_shard_name(1, 24)
    with container.durable(tmp_path, name) as file:
        container.write_head(file, ids, DIM, "1.0.0")
        engines.write(engine, file)
    from archive.types import Shard

    older = Shard(name, file.sha256, file.size, 120, 1, 24)
    index = FaissIndex(tmp_path, DIM, [older])
    assert index.broken == [older]
    assert index.outdated == [older]
    assert index.search(QUERY, 5) == []


def test_a_newer_view_of_the_catalog_decides_over_the_same_opened_shards(tmp_path: Path) -> None:
    index, _ = many(tmp_path)
    query = random_rows(1, 32, seed=3)
    before = [match.segment for match in index.search(query, 40)]

    def without_the_best(wanted: Ids) -> tuple[Ids, Vectors]:
        return index.vectors_of(wanted[wanted != before[0]])

    assert [match.segment for match in index.over(without_the_best).search(query, 39)] == before[1:]
    assert [match.segment for match in index.search(query, 40)] == before
