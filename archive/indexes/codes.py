"""How clustered shards code a row: half a byte for each of many sub-quantizers.

A product quantizer (Jégou, Douze and Schmid, "Product quantization for nearest neighbor search", 2011) whose parts are
unlike: the dimensions that words ask most about have two half bytes, others one, and of those that they ask little
about two, four or eight share one. What is decoded is stretched until it is right on average: k-means alone draws rows
towards the middle of their cell, the more the fewer bits they have, and what a word finds lies far out in hundreds of
dimensions at once. (That an estimate be right on average counts more than that it be near is also what RaBitQ found:
Gao and Long, 2024.)

Of a million vectors made up like a larger tower's, 48 candidates by these codes hold all of the true ten of words but
two of a hundred that their cells do. Half a byte for each of 192 dimensions is half as much again, and needs 96.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archive.types import Vectors

    Codes = NDArray[np.uint8]

STEPS = 16

FINE = 8
"""Dimensions, the first, that have two half bytes each: 256 equal steps."""

LAYOUT = ((40, 1), (20, 2), (16, 4), (35, 8))
"""So many sub-quantizers of so many dimensions each, of those that follow.

In a smaller space those that are left over halve the widest. (Of 4,400 real vectors of 256 numbers, 99.4 % of the true
ten are then among 48 candidates, and 98.2 % where the narrow ones are halved or none are.)
"""

BLOCK = 32
"""Rows whose codes stand together, as faiss's kernel takes them."""

_OUTERMOST, _BEYOND = 8, 1 / 8
"""Equal steps reach so much of their range beyond the mean of so many outermost rows: the outermost would be one row's
own, and what a word finds lies far out."""

_HARDLY_ANY = 0.999
"""Of a thousand rows one lacks more than the last half byte can say, and one less than its least."""

_ROUNDED = 0.6
"""Rounding takes less than that many steps times the root of the tables' number: two standard deviations of numbers
that lie evenly between two steps, each of which has the root of a twelfth."""

WIDEST = max(width for _, width in LAYOUT)
_IN_REGISTER = np.array([0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15])
"""The rows of half a block in the order in which the kernel holds them."""


class Steps(NamedTuple):
    """What half bytes stand for.

    means      float32 (subs, 16, 8): the nearest to a row's part gives its half byte; what a part lacks is one
    stretches  float32 (subs,): how much longer than that a part is taken to be
    lacks      float32 (16,): how long the part of a row is that its half bytes do not say, of the dimensions that are
               coded. The last of them says that, and with its first value that there is no row
    """

    means: NDArray[np.float32]
    stretches: NDArray[np.float32]
    lacks: NDArray[np.float32]


class _Part(NamedTuple):
    """Sub-quantizers of one width, and the dimensions that they hold, the last of them perhaps beyond a row's end."""

    subs: slice
    dims: slice
    width: int


def kept(dim: int) -> int:
    """How many dimensions of a space are coded."""
    return min(dim, FINE + sum(count * width for count, width in LAYOUT))


def learn(rows: Vectors) -> Steps:
    """The steps for rows like these (n, kept), which are what vectors are beyond the middles of their cells."""
    rows = np.resize(rows, (max(len(rows), STEPS), rows.shape[1]))
    fine, parts = _laid_out(rows.shape[1])
    means = np.ones((_count(fine, parts), STEPS, WIDEST), np.float32)
    stretches = np.ones(len(means), np.float32)
    means[: 2 * fine, :, 0] = _even_steps(rows[:, :fine])
    for part in parts:
        own = _columns(rows, part)
        means[part.subs, :, : part.width], stretches[part.subs] = _k_means(own, part.width)
    steps = Steps(means, stretches, np.zeros(STEPS, np.float32))
    _, lacking = _coded(rows, steps)
    shortest, longest = np.quantile(lacking, (1 - _HARDLY_ANY, _HARDLY_ANY))
    return steps._replace(lacks=np.append(0, np.linspace(shortest, longest, STEPS - 1)).astype(np.float32))


def coded(rows: Vectors, steps: Steps) -> Codes:
    """The half bytes of rows (n, kept), one in each byte (n, subs); the last of each row says how much it lacks."""
    codes, lacking = _coded(rows, steps)
    codes[:, -1] = 1 + np.searchsorted(steps.lacks[1:-1], lacking)
    return codes


def places(kept: int) -> NDArray[np.intp]:
    """Which dimensions each sub-quantizer holds (subs, 8); `kept` stands for none."""
    fine, parts = _laid_out(kept)
    found = np.full((_count(fine, parts), WIDEST), kept)
    found[: 2 * fine, 0] = np.tile(np.arange(fine), 2)
    for part in parts:
        dims = np.arange(part.dims.start, part.dims.stop)
        found[part.subs, : part.width] = np.minimum(dims, kept).reshape(-1, part.width)
    return found


def tables(
    vector: Vectors, steps: Steps, held: NDArray[np.intp], along: float = 0.0, apart: float = 0.0
) -> tuple[NDArray[np.float32], float]:
    """What each step adds to the product with a vector (kept,): float32 (subs, 16), and what is to be taken off again.

    That is what the last half byte of every row adds. faiss's kernel cannot tell a row that scores least from none, and
    blocks are filled up with rows that have a zero there instead. It also adds what the row's code lacks, as if that
    had the cosine `along` with the vector, and what the kernel's rounding may take. `held` is `places`, and `apart` by
    how much the middles of cells score more than others.
    """
    parts = np.append(vector, np.float32(0))[held] * steps.stretches[:, np.newaxis]
    table: NDArray[np.float32] = np.matmul(steps.means, parts[:, :, np.newaxis])[:, :, 0]
    # The kernel rounds to steps of a 255th of the widest table, so that this one is kept narrow, and to a 65,535th of
    # all that tables and cells can come to, which must leave something of it.
    widths = table.max(axis=1) - table.min(axis=1)
    present = max(float(widths.max()) / 8, (float(widths.sum()) + apart) / 4096, 1e-6)
    lacking = along * float(np.linalg.norm(vector)) * steps.lacks[1:]
    table[-1, 1:] = present + lacking - lacking[0]
    widest = max(float(widths.max()), float(table[-1].max()))
    rounded = _ROUNDED * widest / 255 * len(table) ** 0.5 if along else 0.0
    return table, present - float(lacking[0]) - rounded


def packed(codes: Codes) -> Codes:
    """Half bytes (n, subs) of whole blocks as the kernel reads them: (n / 32, 16 * subs)."""
    blocks = codes.reshape(-1, BLOCK, codes.shape[1]).transpose(0, 2, 1)
    both = blocks[:, :, _IN_REGISTER] | blocks[:, :, _IN_REGISTER + BLOCK // 2] << 4
    return np.ascontiguousarray(both).reshape(len(blocks), -1)


def _coded(rows: Vectors, steps: Steps) -> tuple[Codes, NDArray[np.float32]]:
    """The half bytes but the last (n, subs), and how long the part of each row is that they lack (n,).

    That is not the same for all: of what stands out of its cell it is several times as much, since it lies beyond what
    the steps reach. A rare thing is of that kind, and the word that finds it points there.
    """
    fine, parts = _laid_out(rows.shape[1])
    codes = np.zeros((len(rows), len(steps.means)), np.uint8)
    left = np.array(rows, np.float32)
    for subs in (slice(fine), slice(fine, 2 * fine)):
        codes[:, subs], decoded = _nearest(left[:, :fine], steps.means[subs, :, :1])
        left[:, :fine] -= decoded
    for part in parts:
        codes[:, part.subs], decoded = _nearest(_columns(rows, part), steps.means[part.subs, :, : part.width])
        own = left[:, part.dims]
        own -= (decoded * np.repeat(steps.stretches[part.subs], part.width))[:, : own.shape[1]]
    return codes, np.sqrt(np.einsum("ij,ij->i", left, left))


def _laid_out(kept: int) -> tuple[int, list[_Part]]:
    """How many of the dimensions have two half bytes, whose sub-quantizers come first; and the parts that follow."""
    fine = min(FINE, kept)
    parts, sub, dim = [], 2 * fine, fine
    for width, count in _counts(kept - fine).items():
        if count:
            parts.append(_Part(slice(sub, sub + count), slice(dim, dim + count * width), width))
            sub, dim = sub + count, dim + count * width
    return fine, parts


def _counts(dims: int) -> dict[int, int]:
    """How many sub-quantizers of each width hold that many dimensions."""
    counts, spare = {}, sum(count for count, _ in LAYOUT)
    for most, width in LAYOUT:
        counts[width] = min(most, -(-max(dims, 0) // width))
        dims -= counts[width] * width
        spare -= counts[width]
    for width in sorted(counts, reverse=True)[:-1]:
        halved = min(spare, counts[width])
        counts[width] -= halved
        counts[width // 2] += 2 * halved
        spare -= halved
    return counts


def _count(fine: int, parts: list[_Part]) -> int:
    """So many sub-quantizers, the one that says that there is a row among them; an even number, as the kernel wants."""
    needed = (parts[-1].subs.stop if parts else 2 * fine) + 1
    return needed + needed % 2


def _columns(rows: Vectors, part: _Part) -> Vectors:
    """The dimensions of a part, zero where a row has no more."""
    missing = max(0, part.dims.stop - rows.shape[1])
    return np.ascontiguousarray(np.pad(rows[:, part.dims], ((0, 0), (0, missing))), np.float32)


def _even_steps(rows: Vectors) -> NDArray[np.float32]:
    """Sixteen coarse steps of each dimension, then the sixteen within one: (2 * dims, 16)."""
    ordered = np.sort(rows, axis=0)
    least, most = (some.mean(axis=0)[:, np.newaxis] for some in (ordered[:_OUTERMOST], ordered[-_OUTERMOST:]))
    step = (1 + 2 * _BEYOND) * (most - least) / STEPS**2
    places = np.arange(STEPS)
    coarse = (least + most) / 2 + step * STEPS * (places - (STEPS - 1) / 2)
    fine = step * (places - (STEPS - 1) / 2)
    return np.concatenate([coarse, fine])


def _k_means(rows: Vectors, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The means of each sub-quantizer of a part's columns, and its stretch."""
    import faiss

    subs = rows.shape[1] // width
    quantizer = faiss.ProductQuantizer(rows.shape[1], subs, 4)
    quantizer.cp.min_points_per_centroid = 1
    quantizer.train(rows)
    decoded = quantizer.decode(quantizer.compute_codes(rows))
    along, itself = (
        np.einsum("nsw,nsw->s", one.reshape(-1, subs, width), rows.reshape(-1, subs, width)) for one in (decoded, rows)
    )
    stretches = np.divide(itself, along, out=np.ones(subs, np.float32), where=along > 0)
    return faiss.vector_to_array(quantizer.centroids).reshape(subs, STEPS, width), stretches


def _nearest(rows: Vectors, means: NDArray[np.float32]) -> tuple[Codes, Vectors]:
    """The numbers of the nearest means, of each sub-quantizer (n, subs), and those means side by side."""
    import faiss

    subs, _, width = means.shape
    paired = width == 1  # faiss compares pairs six times as fast as single numbers
    if paired:
        rows, means = (np.stack([one, np.zeros_like(one)], axis=-1) for one in (rows, means[:, :, 0]))
        rows, width = rows.reshape(len(rows), -1), 2
    quantizer = faiss.ProductQuantizer(subs * width, subs, 4)
    faiss.copy_array_to_vector(np.ascontiguousarray(means).ravel(), quantizer.centroids)
    both = quantizer.compute_codes(np.ascontiguousarray(rows))
    decoded = quantizer.decode(both)
    codes = np.stack([both & (STEPS - 1), both >> 4], axis=2).reshape(len(rows), -1)[:, :subs]
    return codes, decoded[:, ::2] if paired else decoded
