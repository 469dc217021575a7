"""A person is told before a pulled pair is fitted to the machine, and only then."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from archive import bootstrap, parts
from archive.pairs.registry import find
from archive.runtimes.kept import INT8
from archive.settings import PairChoice
from archive.types import Pair
from tests.catalog.freeze import DATABASES

if TYPE_CHECKING:
    from archive.settings import Settings


def test_the_built_in_pair_needs_no_preparation(settings: Settings) -> None:
    assert parts.preparation(settings, PairChoice(name="pocket"), None) is None
    assert parts.preparation(settings, PairChoice(segmenter="grid", embedder="my-clip"), None) is None


def test_a_catalog_that_is_not_upgraded_yet_keeps_nobody_from_beginning(settings: Settings) -> None:
    settings.home.mkdir(exist_ok=True)
    settings.catalog.touch()
    assert bootstrap.preparation(settings, PairChoice(name="pocket")) is None
    shutil.copy(DATABASES / "0002.sqlite", settings.catalog)
    assert bootstrap.preparation(settings, PairChoice(name="pocket")) is None


def test_a_pulled_pair_is_prepared_once(settings: Settings) -> None:
    standard = find("standard")
    assert standard.segmenter.weights is not None
    assert parts.preparation(settings, PairChoice(name="standard"), None) is not None
    yolo, tower = (str(one.sha256)[:12] for one in (standard.segmenter.weights, standard.embedder.files[0]))
    for folder in (f"yolo-{yolo}-1024px", f"clip-768-32-256@{tower}-0a1b2c3d"):
        assert parts.preparation(settings, PairChoice(name="standard"), None) is not None
        (settings.graphs / folder).mkdir(parents=True)
        (settings.graphs / folder / "graphs.json").write_text("{}")
    assert parts.preparation(settings, PairChoice(name="standard"), None) is None


def pair(segmenter: str, space: str) -> Pair:
    return Pair("standard", segmenter, space, 512, "standard", "standard")


def test_an_archive_keeps_its_precisions_and_a_new_one_may_choose() -> None:
    int8 = pair(f"yolo-c9f78716a81c-{INT8}-1024px/clean", f"clip@92c26d60d320/0a1b2c3d/{INT8}")
    exact = pair("yolo-c9f78716a81c-1024px/clean", "clip@92c26d60d320/0a1b2c3d")
    assert parts._kept_precisions("standard", "standard", [int8]) == ("int8", "int8")
    assert parts._kept_precisions("standard", "standard", [exact]) == ("exact", "exact")
    assert parts._kept_precisions("large", "standard", [exact]) == (None, "exact")
    assert parts._kept_precisions("standard", "standard", [None]) == (None, None)


def test_of_several_pairs_with_the_same_parts_the_first_decides() -> None:
    other = pair("grid", "clip@0")._replace(segmenter_source="large", embedder_source="large")
    int8, exact = pair(f"yolo-{INT8}-1024px", f"clip@1/{INT8}"), pair("yolo-1024px", "clip@1")
    assert parts._kept_precisions("standard", "standard", [other, int8, exact]) == ("int8", "int8")
    assert parts._kept_precisions("standard", "standard", [exact, int8]) == ("exact", "exact")
    assert parts._kept_precisions("large", "standard", [int8, other]) == ("exact", "int8")
