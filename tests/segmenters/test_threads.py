"""A property that each thread has for itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, get_ident

from archive.segmenters.threads import PerThread


class Owner:
    """Remembers which threads made something."""

    def __init__(self) -> None:
        self.made_by: list[int] = []

    @PerThread
    def thing(self) -> object:
        """Something of one's own."""
        self.made_by.append(get_ident())
        return object()


def test_a_thread_makes_it_once_and_keeps_it() -> None:
    owner = Owner()
    assert owner.thing is owner.thing
    assert len(owner.made_by) == 1


def test_two_threads_and_two_owners_never_share_it() -> None:
    owner, together = Owner(), Barrier(2)

    def take() -> object:
        together.wait(timeout=10)
        return owner.thing

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: take(), range(2))
    assert first is not second
    assert len(set(owner.made_by)) == 2
    assert Owner().thing is not owner.thing
