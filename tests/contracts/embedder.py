"""What every embedder promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from archive.protocols import Embedder
    from archive.types import Pixels, Vectors

TEXTS = ("my keys", "a photo of a red cup", "Schlüssel über Straße", "我的钥匙", "🍌")
SAME = 1e-5


def coloured_crops(*sides: int) -> list[Pixels]:
    """A square crop for each side, each with another pattern."""
    noise = np.random.default_rng(7)
    return [noise.integers(0, 256, (side, side, 3), np.uint8) for side in sides]


def assert_vectors(vectors: Vectors, count: int, dim: int) -> None:
    assert vectors.shape == (count, dim)
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=SAME)


class EmbedderContract:
    """Subclass it with a fixture `embedder`."""

    def test_crops_become_unit_rows(self, embedder: Embedder) -> None:
        assert_vectors(embedder.embed_images(coloured_crops(24, 64, 90)), 3, embedder.dim)

    def test_texts_become_unit_rows(self, embedder: Embedder) -> None:
        assert_vectors(embedder.embed_text(TEXTS), len(TEXTS), embedder.dim)

    def test_nothing_becomes_no_rows(self, embedder: Embedder) -> None:
        assert_vectors(embedder.embed_images([]), 0, embedder.dim)
        assert_vectors(embedder.embed_text([]), 0, embedder.dim)

    def test_crops_keep_their_order_and_do_not_mix(self, embedder: Embedder) -> None:
        crops = coloured_crops(*range(20, 39))
        alone = np.concatenate([embedder.embed_images([crop]) for crop in crops])
        np.testing.assert_allclose(embedder.embed_images(crops), alone, atol=SAME)

    def test_texts_keep_their_order_and_do_not_mix(self, embedder: Embedder) -> None:
        alone = np.concatenate([embedder.embed_text([text]) for text in TEXTS])
        np.testing.assert_allclose(embedder.embed_text(TEXTS), alone, atol=SAME)

    def test_the_same_input_gives_the_same_rows(self, embedder: Embedder) -> None:
        crops = coloured_crops(40)
        np.testing.assert_array_equal(embedder.embed_images(crops), embedder.embed_images(crops))
        np.testing.assert_array_equal(embedder.embed_text(TEXTS), embedder.embed_text(TEXTS))

    def test_different_words_and_crops_differ(self, embedder: Embedder) -> None:
        words = embedder.embed_text(["a banana", "a fire engine"])
        black, white = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 255, np.uint8)
        assert words[0] @ words[1] < 1 - SAME
        crops = embedder.embed_images([black, white])
        assert crops[0] @ crops[1] < 1 - SAME

    def test_crops_are_left_as_they_were(self, embedder: Embedder) -> None:
        crops = coloured_crops(33)
        before = crops[0].copy()
        embedder.embed_images(crops)
        np.testing.assert_array_equal(crops[0], before)

    def test_space_and_dim_stay(self, embedder: Embedder) -> None:
        before = (embedder.space, embedder.dim)
        embedder.embed_text(["a"])
        assert (embedder.space, embedder.dim) == before
        assert embedder.space.isprintable()
