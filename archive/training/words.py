"""The words that the pocket's text side learns from: names of things, and phrases around them.

The lists of names come inside installed packages: WordNet's nouns with timm, the vocabularies of LVIS, Objects365,
Open Images and ADE20K with ultralytics. The phrases are made up here.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import yaml

from archive.training.photographs import photographs
from archive.training.synonyms import COLOUR_WORDS, KINDS, SYNONYMS
from archive.training.teachers import CLASSIFIER_LABELS, shared

if TYPE_CHECKING:
    import numpy as np

VOCABULARIES = ("coco", "lvis", "Objects365", "open-images-v7", "ade20k")

TEMPLATES = (
    "{}", "{}", "{}", "my {}", "my {}", "a {}", "the {}", "a photo of a {}", "where is my {}",
    "where did I leave my {}",
    "where are the {}", "find the {}", "find my {}", "show me the {}", "a picture of a {}", "there is a {}", "some {}",
    "the {} on the table", "a {} on the desk", "a {} on the wall", "the {} in the kitchen", "a {} on the floor",
    "a {} in the street", "the {} on the shelf", "a {} outside", "my {} in the bag", "last time I saw the {}",
    "somebody holding a {}", "a {} next to a window", "a close up of a {}", "the {} I bought", "our {}", "her {}",
    "his {}",
    "an old {}", "a new {}", "a small {}", "a big {}", "a large {}", "a little {}", "two {}", "a pair of {}",
    "{} at home",
    "a wooden {}", "a plastic {}", "a metal {}", "a glass {}", "an open {}", "an empty {}", "a broken {}", "dirty {}",
)  # fmt: skip
COLOURED = ("{} {}", "my {} {}", "a {} {}", "the {} {}", "where is the {} {}", "a small {} {}", "a {} {} on the table")


class Phrase(NamedTuple):
    """A text, the thing that it is about, and the colour that it asks for, if any."""

    text: str
    thing: str
    colour: str | None = None


def everyday_names() -> list[str]:
    """Names of things that people own and meet, without repetition."""
    names = class_names()
    for vocabulary in VOCABULARIES:
        for entry in _names_of(vocabulary):
            names += entry.lower().split("/")
    for line in (shared() / CLASSIFIER_LABELS).read_text().splitlines():
        names += line.lower().split(", ")[:2]
    names += [name.lower() for photo in photographs() for name in photo.names]
    return _distinct(names)


def class_names() -> list[str]:
    """What the detector's classes are called, and the kinds that several of them belong to."""
    return _distinct([*SYNONYMS, *(other for others in SYNONYMS.values() for other in others.split("|")), *KINDS])


def all_nouns() -> list[str]:
    """WordNet's nouns for what can be photographed, rare ones too."""
    return _distinct(
        name.lower()
        for line in _timm("imagenet_synset_to_lemma.txt")
        for name in line.split("\t")[1].strip().split(", ")
    )


def definitions() -> list[str]:
    """What WordNet says of them: sentences, to learn to read from."""
    return _distinct(" ".join(line.split("\t")[1].split()[:14]) for line in _timm("imagenet_synset_to_definition.txt"))


def phrase(thing: str, noise: np.random.Generator) -> Phrase:
    """A phrase about a thing; one in four names a colour."""
    if noise.random() < 0.25:
        word = list(COLOUR_WORDS)[int(noise.integers(len(COLOUR_WORDS)))]
        return Phrase(COLOURED[int(noise.integers(len(COLOURED)))].format(word, thing), thing, COLOUR_WORDS[word])
    return Phrase(TEMPLATES[int(noise.integers(len(TEMPLATES)))].format(thing), thing)


def _names_of(vocabulary: str) -> list[str]:
    path = _package("ultralytics") / "cfg" / "datasets" / f"{vocabulary}.yaml"
    return list(yaml.safe_load(path.read_text(encoding="utf-8"))["names"].values())


def _timm(name: str) -> list[str]:
    return (_package("timm") / "data" / "_info" / name).read_text(encoding="utf-8").splitlines()


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{name} is not installed; `make environment` brings it")
    return Path(spec.origin).parent


def _distinct(names: object) -> list[str]:
    return [name for name in dict.fromkeys(" ".join(str(name).split()) for name in names) if name]  # type: ignore[attr-defined]
