"""What of the Ray executor needs no Ray."""

from __future__ import annotations

import pytest

from archive.errors import UsageError
from archive.executors.ray import Place


def test_an_address_says_where_the_ray_is_and_what_is_asked_of_it() -> None:
    assert Place.parse("ray://auto") == Place("auto", workers=0, cpus=1.0, gpus=0.0, batch=4)
    full = Place.parse("ray://head:6379?workers=8&cpus=2&gpus=0.5&batch=16")
    assert full == Place("head:6379", workers=8, cpus=2.0, gpus=0.5, batch=16)


@pytest.mark.parametrize("wrong", ["ray://", "http://head", "ray://a?workers=x", "ray://a?batch=0", "ray://a?speed=9"])
def test_an_address_that_makes_no_sense_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="must be like ray://auto"):
        Place.parse(wrong)
