"""The pairs that the archive knows: which parts, from where, under which licence, and what the bytes must be.

A `sha256` stands here only where a published source names it; a comment says which. None means unpinned: such a file
is fetched with `--trust-on-first-use` only. The config of an embedder is not downloaded: `archive.pairs.shelf` writes
it from the architecture that open_clip itself ships.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from archive.cleanup import CleanUp
from archive.errors import UsageError
from archive.pairs.shipped import is_shipped

if TYPE_CHECKING:
    from collections.abc import Mapping

SegmenterKind = Literal["yolo", "sam", "grid", "whole", "one-look"]
Triple = tuple[float, float, float]


class Weights(NamedTuple):
    """One file of weights. `sha256` is hex, `size` is bytes; either is None where no source names it."""

    file: str
    url: str
    sha256: str | None
    size: int | None
    licence: str


class SegmenterSpec(NamedTuple):
    """A segmenter and its settings.

    `size` is the longer side of its input in pixels, `confidence` the least that a region needs, and `overlap` the IoU
    above which the weaker of two regions goes. A `one-look` segmenter may look once more, with `closer` for the longer
    side. A `grid`, `whole` or `one-look` segmenter has no weights to fetch.
    """

    name: str
    kind: SegmenterKind
    weights: Weights | None
    size: int
    confidence: float
    overlap: float
    closer: int | None = None


class Preprocessing(NamedTuple):
    """How pixels become the input of an image tower, in open_clip's terms."""

    mean: Triple
    std: Triple
    interpolation: str
    resize_mode: str


class EmbedderSpec(NamedTuple):
    """An embedder: `architecture` is open_clip's name, `files` are safetensors and, if need be, a vocabulary."""

    name: str
    architecture: str
    files: tuple[Weights, ...]
    preprocessing: Preprocessing


class PairSpec(NamedTuple):
    """A segmenter and an embedder that answer together.

    `crop_context` is the share of a box's width and height that is added on each of its sides before it is embedded.
    A `shipped` pair comes with the archive itself; its embedder looks at regions, not at crops.
    """

    name: str
    segmenter: SegmenterSpec
    embedder: EmbedderSpec
    purpose: str
    crop_context: float
    cleanup: CleanUp = CleanUp()

    @property
    def shipped(self) -> bool:
        """Whether it comes with the archive itself."""
        return is_shipped(self.name)

    @property
    def files(self) -> tuple[Weights, ...]:
        """Everything that a pull fetches."""
        return (*((self.segmenter.weights,) if self.segmenter.weights else ()), *self.embedder.files)


def find(name: str) -> PairSpec:
    """The pair of that name.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    if name not in PAIRS:
        raise UsageError(f"there is no pair {name!r}; known pairs: {', '.join(PAIRS)}")
    return PAIRS[name]


_SAFETENSORS = "open_clip_model.safetensors"  # the name that open_clip looks for first in a local folder

# https://github.com/openai/CLIP, clip.py `_transform`; open_clip's default for every tower trained after it.
_CLIP_PREPROCESSING = Preprocessing(
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
    interpolation="bicubic",
    resize_mode="shortest",
)

# sha256 and size: vision2grasp pins this very URL, and a model lock for data-juicer 1.5.4 names the same file under
# release v8.2.0. The FastSAM authors' own copy, e9034d74..., is an older pickle.
_FASTSAM_S = Weights(
    file="FastSAM-s.pt",
    url="https://github.com/ultralytics/assets/releases/download/v8.4.0/FastSAM-s.pt",
    sha256="c9f78716a81c7aff0d608ccc73e1b82ab3aaad86005049f6a92106a0be6d0844",
    size=23_851_578,
    licence="AGPL-3.0",
)

# sha256 and size: the model lock for data-juicer 1.5.4, for this very URL; v8.4.0 has a file of the same size. The
# authors' own copy is c0be4e7d..., 144943063 bytes.
_FASTSAM_X = Weights(
    file="FastSAM-x.pt",
    url="https://github.com/ultralytics/assets/releases/download/v8.2.0/FastSAM-x.pt",
    sha256="752cadc2828edb1cd4bc4f9eb587100631af06ea2108f4c9ed56df4755701e76",
    size=144_972_346,
    licence="AGPL-3.0",
)

# Neither of the design's two candidates: MobileCLIP2-S0 is for research only, and ViT-B-16-SigLIP2 computes three times
# as many patches and carries a vocabulary of 256,000. This tower is the best that a permissive licence gives for
# each second of a CPU: 72.8 % zero-shot ImageNet at 32-pixel patches.
# sha256 and size: the release notes of RawCull and the fixtures of VisionGrep pin this revision.
_DATACOMP_B32 = EmbedderSpec(
    name="ViT-B-32-256-datacomp",
    architecture="ViT-B-32-256",
    files=(
        Weights(
            file=_SAFETENSORS,
            url="https://huggingface.co/laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K/resolve/"
            "4afec35ffe57a943d569ff7ee888061830164da8/open_clip_model.safetensors",
            sha256="92c26d60d3200ed5ed040dff31a8d19f8140648da8007216c25744c478deef27",
            size=605_189_364,
            licence="MIT",
        ),
    ),
    preprocessing=_CLIP_PREPROCESSING,
)

# sha256 and size: the hub's own file list for this revision, as several projects quote it. OpenAI publishes the weights
# under MIT; the repackaging as safetensors is marked Apache-2.0.
_OPENAI_B32 = EmbedderSpec(
    name="ViT-B-32-openai",
    architecture="ViT-B-32-quickgelu",  # OpenAI's towers were trained with the quick GELU
    files=(
        Weights(
            file=_SAFETENSORS,
            url="https://huggingface.co/timm/vit_base_patch32_clip_224.openai/resolve/"
            "a6f597a30f7b82c51704746581f9a4e41421e878/open_clip_model.safetensors",
            sha256="e6d1bd7789aa45192b3bf90570a789b478bae1b74ebcce7eddd908e83a2b7c31",
            size=605_143_284,
            licence="MIT",
        ),
    ),
    preprocessing=_CLIP_PREPROCESSING,
)

# sha256: one public project pins this revision. No source names the size; by its shapes it is about 2.7 GB.
# Preprocessing: `_pecfg` in open_clip's pretrained.py.
_PERCEPTION_L14 = EmbedderSpec(
    name="PE-Core-L-14-336",
    architecture="PE-Core-L-14-336",
    files=(
        Weights(
            file=_SAFETENSORS,
            url="https://huggingface.co/timm/PE-Core-L-14-336/resolve/"
            "8eff41b3f687e50a323662c2dda5eb3588c6dd35/open_clip_model.safetensors",
            sha256="b1fff7093c32a01d98a2d82098f9adf788b30f0efee639916520b3e4302f786b",
            size=None,
            licence="Apache-2.0",
        ),
    ),
    preprocessing=Preprocessing(
        mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bilinear", resize_mode="squash"
    ),
)

_POCKET = PairSpec(
    name="pocket",
    segmenter=SegmenterSpec("pocket-regions", "one-look", None, size=1024, confidence=0.04, overlap=0.7),
    embedder=EmbedderSpec("pocket", "pocket", (), _CLIP_PREPROCESSING),
    purpose="comes with the archive and works at once: everyday things by their everyday names",
    crop_context=0.0,
    # A vector costs nothing but its bytes here, so smaller things may have one, and a full table has more than an empty
    # one: with 27 segments for a photo on average that finds .64 of the small things, the 30 surest of each .56.
    cleanup=CleanUp(least_side=5, least_share=1 / 20_000, same_overlap=0.5, limit=60),
)

_POCKET_CLOSE = _POCKET._replace(
    name="pocket-close",
    segmenter=_POCKET.segmenter._replace(name="pocket-regions-close", closer=1600),
    purpose="the same weights, looking closer for small things; three times the work: for when the machine has time",
    # What is found besides must not crowd out what was found before.
    cleanup=replace(_POCKET.cleanup, limit=100),
)

PAIRS: Mapping[str, PairSpec] = MappingProxyType(
    {
        pair.name: pair
        for pair in (
            PairSpec(
                name="standard",
                # 1024 px because what is looked for is often small, and the small network affords it; a low confidence
                # because the clean-up keeps the surest regions of a photo, however many there are.
                segmenter=SegmenterSpec("FastSAM-s", "yolo", _FASTSAM_S, size=1024, confidence=0.01, overlap=0.7),
                embedder=_DATACOMP_B32,
                purpose="the default: the best answers for each second of a CPU",
                crop_context=0.15,
            ),
            PairSpec(
                name="large",
                segmenter=SegmenterSpec("FastSAM-x", "yolo", _FASTSAM_X, size=1024, confidence=0.01, overlap=0.7),
                embedder=_PERCEPTION_L14,
                purpose="the best answers, with a GPU; a pull of about 2.8 GB",
                crop_context=0.15,
            ),
            PairSpec(
                name="seed",
                # https://github.com/xanderchinxyz/Semantic-Search-with-SAM, main.ipynb: imgsz, conf and iou.
                segmenter=SegmenterSpec("FastSAM-x-384", "yolo", _FASTSAM_X, size=384, confidence=0.3, overlap=0.9),
                embedder=_OPENAI_B32,
                purpose="exactly the published notebook, for comparison",
                crop_context=0.0,
            ),
            _POCKET,
            _POCKET_CLOSE,
        )
    }
)
"""Every pair by its name, the recommended one first."""

PREFERRED = ("standard", "large", "pocket")
"""Pairs that may be chosen without being named, the best first; the last is always there, and quick."""

AUTO = "auto"
"""What stands for the best pair that is on disk."""
