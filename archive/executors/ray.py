"""The executor of many machines: Ray's actors hold the models, and this process hands out photos and takes packs back.

Ray itself retries and restarts nothing: an actor whose machine is gone would be waited for as long as that stays away.
What a lost actor had in hand goes to another one, so each photo comes back exactly once, in the order it was given.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from archive.errors import ArchiveError, PhotoError, UsageError
from archive.protocols import Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from archive.protocols import Reused
    from archive.types import Pack

    Watch = Callable[[bytes], Pack]

IN_FLIGHT = 2
"""Batches that an actor has at a time: one that it works on, one that waits, so that it never does."""

BATCH = 4
"""Photos in a batch, if nothing else was configured."""

LOSSES = 3
"""Actors that may be lost with a photo in hand before the photo is held to be the cause.

After the first its batch is handed out with no other, after the second the photo is.
"""

STARTS = 4
"""Actors that are started for each that is wanted, before something is held to be wrong with all of them."""

PATIENCE = 600.0
"""Seconds to wait for a first or a next actor: a machine may have to be rented and started."""

_LOOK_EVERY = 1.0
_KNOCKING_PATIENCE = 5.0
_USUAL = {"workers": "0", "cpus": "1", "gpus": "0", "batch": str(BATCH)}


@dataclass(frozen=True, slots=True)
class Place:
    """A Ray, and what is asked of it: so many `workers`, each of so many processors; 0 is one on each machine.

    `batch` photos are handed out together.
    """

    address: str
    workers: int = 0
    cpus: float = 1.0
    gpus: float = 0.0
    batch: int = BATCH

    @classmethod
    def parse(cls, url: str) -> Place:
        """Read `ray://auto` or `ray://host:port`, with `?workers=8&cpus=2&gpus=1&batch=4` where that is wanted.

        Raises:
            UsageError: it is no such address.
        """
        parts = urlsplit(url)
        options = {**_USUAL, **dict(parse_qsl(parts.query))}
        try:
            workers, batch = int(options["workers"]), int(options["batch"])
            cpus, gpus = float(options["cpus"]), float(options["gpus"])
            is_understood = parts.scheme == "ray" and parts.netloc and options.keys() == _USUAL.keys()
        except ValueError:
            is_understood = False
        if not is_understood or workers < 0 or batch < 1 or cpus < 0 or gpus < 0:
            raise UsageError(f"the executor must be like ray://auto?workers=8&gpus=1 or ray://HOST:6379; it is {url}")
        return cls(parts.netloc, workers, cpus, gpus, batch)


class RayExecutor:
    """Observes photos on the machines of a Ray.

    `make_watch` is pickled and called once in each actor, on a machine that has the archive installed and the pair's
    weights; what it returns makes a pack of a photo's bytes.
    """

    def __init__(self, place: Place, make_watch: Callable[[], Watch], *, patience: float = PATIENCE) -> None:
        self._place = place
        self._make_watch = make_watch
        self._patience = patience

    def observe_all(
        self, photos: Iterable[Sent], reused: Reused | None = None
    ) -> Iterator[tuple[Sent, Pack | PhotoError]]:
        """Each photo with its pack, in order, or with the reason why it alone has none.

        Nothing is reused: photos that follow one another are looked at on different machines.
        Where the iterable ends in an error of the archive, what it gave before that is still observed and returned.

        Raises:
            ArchiveError: there is no such Ray, or no actor is left and none begins.
        """
        with _connected(self._place) as workers:
            crew = _Crew(self._place, self._make_watch, workers, self._patience)
            try:
                yield from _Run(photos, crew, self._place.batch).results()
            finally:
                crew.dismiss()


class _Watcher:
    """What an actor is: the models of one pair, and one photo after the other."""

    def __init__(self, make_watch: Callable[[], Watch]) -> None:
        self._watch = make_watch()

    def ready(self) -> None:
        """Answers once the models are there."""

    def observe(self, contents: Sequence[bytes]) -> list[Pack | str]:
        """A pack for each photo; a photo that cannot be observed fails alone, with its reason."""
        return [self._observed(content) for content in contents]

    def _observed(self, content: bytes) -> Pack | str:
        try:
            return self._watch(content)
        except Exception as error:  # noqa: BLE001  (whatever is in a photo, the others of its batch are no worse for it)
            return " ".join(f"{type(error).__name__}: {error}".split())


@dataclass(slots=True, eq=False)
class _Batch(Generic[Sent]):
    """Photos that go together, by their places in the order; so many actors were lost with them in hand."""

    photos: list[tuple[int, Sent]]
    losses: int = 0


class _Answer(NamedTuple):
    """What came back: packs or reasons, or None where the actor was lost."""

    batch: _Batch[Any]
    results: list[Pack | str] | None


@dataclass(slots=True, eq=False)
class _Member:
    """An actor at work, and the batches that it has in hand by what Ray calls their results."""

    actor: Any
    in_hand: dict[Any, _Batch[Any]] = field(default_factory=dict)

    def has_room(self) -> bool:
        """Whether it can take one more; beside a batch that may end it nothing is put at risk."""
        return len(self.in_hand) < IN_FLIGHT and not any(batch.losses for batch in self.in_hand.values())


class _Crew:
    """The actors of one run: those at work, those that begin, and how many may still be started."""

    def __init__(self, place: Place, make_watch: Callable[[], Watch], workers: int, patience: float) -> None:
        import ray

        options = {"num_cpus": place.cpus, "num_gpus": place.gpus, "max_restarts": 0, "max_task_retries": 0}
        self._new = ray.remote(**options)(_Watcher).remote
        self._make_watch = make_watch
        self._starts = STARTS * workers
        self._patience = patience
        self._beginning: dict[Any, Any] = {}
        self._members: list[_Member] = []
        self._alone_since = monotonic()
        self._last_problem = "none has begun"
        for _ in range(workers):
            self._start()

    @property
    def size(self) -> int:
        """Actors at work."""
        return len(self._members)

    def take(self, batch: _Batch[Any]) -> None:
        """Hand a batch to the member that has the least to do."""
        member = min((one for one in self._members if one.has_room()), key=lambda one: len(one.in_hand))
        result = member.actor.observe.remote([photo.content for _, photo in batch.photos])
        member.in_hand[result] = batch

    def has_room(self) -> bool:
        """Whether somebody can take one more batch."""
        return any(member.has_room() for member in self._members)

    def has_idle(self) -> bool:
        """Whether somebody has nothing in hand."""
        return any(not member.in_hand for member in self._members)

    def answers(self) -> list[_Answer]:
        """Wait for something to happen; what came back, and what was lost.

        Raises:
            ArchiveError: nobody is at work, and nobody will be.
        """
        import ray

        waited_for = [*self._beginning, *(result for member in self._members for result in member.in_hand)]
        done, _ = ray.wait(waited_for, num_returns=1, timeout=_LOOK_EVERY) if waited_for else ([], [])
        answers = []
        for reference in done:
            if reference in self._beginning:
                self._welcome(reference)
            else:
                answers += self._collect(reference)
        if self._members:
            self._alone_since = monotonic()
        elif not self._beginning or monotonic() - self._alone_since > self._patience:
            raise ArchiveError(
                f"no worker of the Ray is left ({self._last_problem}); what is in stays in: look at `ray status`, then "
                "run the same command again"
            )
        return answers

    def dismiss(self) -> None:
        """Let all of them go."""
        import ray

        for actor in (*self._beginning.values(), *(member.actor for member in self._members)):
            ray.kill(actor)

    def _start(self) -> None:
        if self._starts > 0:
            self._starts -= 1
            actor = self._new(self._make_watch)
            self._beginning[actor.ready.remote()] = actor

    def _welcome(self, reference: Any) -> None:  # noqa: ANN401  (Ray's types stay inside the adapter)
        import ray

        actor = self._beginning.pop(reference)
        try:
            ray.get(reference)
        except ray.exceptions.RayError as error:
            self._last_problem = _one_line(error)
            self._start()
        else:
            self._members.append(_Member(actor))

    def _collect(self, reference: Any) -> list[_Answer]:  # noqa: ANN401
        import ray

        member = next((one for one in self._members if reference in one.in_hand), None)
        if member is None:  # lost with another of its batches, a moment ago
            return []
        try:
            results = ray.get(reference)
        except ray.exceptions.RayError as error:
            self._last_problem = _one_line(error)
            self._members.remove(member)
            ray.kill(member.actor)
            self._start()
            return [_Answer(batch, None) for batch in member.in_hand.values()]
        return [_Answer(member.in_hand.pop(reference), results)]


class _Run(Generic[Sent]):
    """One pass over the photos: what is read but not handed out, what is done but not yet its turn."""

    def __init__(self, photos: Iterable[Sent], crew: _Crew, batch: int) -> None:
        self._photos = iter(photos)
        self._crew = crew
        self._batch = batch
        self._read = 0
        self._given = 0
        self._is_at_end = False
        self._failure: ArchiveError | None = None
        self._again: deque[_Batch[Sent]] = deque()
        self._done: dict[int, tuple[Sent, Pack | PhotoError]] = {}

    def results(self) -> Iterator[tuple[Sent, Pack | PhotoError]]:
        while True:
            while batch := self._next():
                self._crew.take(batch)
            while self._given in self._done:
                yield self._done.pop(self._given)
                self._given += 1
            if self._is_at_end and self._given == self._read:
                break
            for answer in self._crew.answers():
                self._sort_in(answer)
        if self._failure is not None:
            raise self._failure

    def _next(self) -> _Batch[Sent] | None:
        """What can be handed out now: what was lost goes first, and no more is read while much waits for its turn."""
        if self._again:
            return self._again.popleft() if self._crew.has_idle() else None
        most_waiting = 2 * IN_FLIGHT * self._crew.size * self._batch
        if self._is_at_end or not self._crew.has_room() or self._read - self._given >= most_waiting:
            return None
        batch: _Batch[Sent] = _Batch([])
        while len(batch.photos) < self._batch and not self._is_at_end:
            try:
                batch.photos.append((self._read, next(self._photos)))
                self._read += 1
            except StopIteration:
                self._is_at_end = True
            except ArchiveError as error:
                self._is_at_end, self._failure = True, error
        return batch if batch.photos else None

    def _sort_in(self, answer: _Answer) -> None:
        batch: _Batch[Sent] = answer.batch
        if answer.results is None:
            self._lose(batch)
            return
        for (place, photo), result in zip(batch.photos, answer.results, strict=True):
            self._done[place] = (photo, PhotoError(result) if isinstance(result, str) else result)

    def _lose(self, batch: _Batch[Sent]) -> None:
        """Hand it out again; photos that were lost twice each go alone, so that one that ends its worker is found."""
        losses = batch.losses + 1
        if losses >= LOSSES:
            for place, photo in batch.photos:
                self._done[place] = (photo, PhotoError(f"ended {losses} workers that looked at it"))
        elif losses > 1:
            self._again += (_Batch([one], losses) for one in batch.photos)
        else:
            self._again.append(_Batch(batch.photos, losses))


@contextmanager
def _connected(place: Place) -> Iterator[int]:
    """This process as a driver of that Ray; the number of actors to start there."""
    # Ray reads these when it is imported. It is not to report to anybody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    try:
        _knock(place.address)
        ray.init(address=place.address, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:
        raise ArchiveError(
            f"there is no Ray at {place.address} ({_one_line(error)}); start it with `ray start --head`, and on each "
            "further machine with `ray start --address=HOST:6379`"
        ) from error
    try:
        yield place.workers or sum(node["Alive"] for node in ray.nodes())
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Ray itself waits for minutes, with a page of words, for an address where nobody is.

    Raises:
        OSError: nobody is.
    """
    host, separator, port = address.rpartition(":")
    if separator:
        socket.create_connection((host, int(port)), _KNOCKING_PATIENCE).close()


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
