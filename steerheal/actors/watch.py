"""Whether the actors are alive and get on: asks each for a sign of life, and says who owes one since when."""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

# How long an actor may be silent, and a batch without progress, before a line says so.
SILENT_SECONDS = 60.0
STILL_SECONDS = 600.0
# After so long a silence the actor is ended; it starts again, and its jobs too.
HUNG_SECONDS = 1800.0


@dataclass(frozen=True)
class Place:
    """Where an actor's process is."""

    pid: int
    address: str
    node: str

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.address}"


def here() -> Place:
    """Of this process."""
    return Place(os.getpid(), ray.util.get_node_ip_address(), ray.get_runtime_context().get_node_id())


def end(pid: int) -> None:
    """Kill one of Ray's actors on this node: one that hangs does not hear of Ray's own way to do it."""
    with open(f"/proc/{pid}/cmdline", "rb") as title:
        if title.read().startswith(b"ray::"):
            os.kill(pid, signal.SIGKILL)


@dataclass
class Watched:
    """An actor: its name for people, the question that it was asked last, and what it said before."""

    name: str
    actor: Any
    asked: Any = None
    heard: float = field(default_factory=time.monotonic)
    moved: float = field(default_factory=time.monotonic)
    place: Place | None = None
    been: bool = False
    task: dict = field(default_factory=dict)
    ended: float = 0.0


class Watch:
    """One question at a time to each actor, so that none piles up before one that hangs."""

    def __init__(self, actors: Sequence[tuple[str, Any]]):
        self.watched: list[Watched] = []
        self.said: list[str] = []
        for name, actor in actors:
            self.add(name, actor)

    def add(self, name: str, actor: Any) -> None:
        """One more, under its name for people."""
        self.watched.append(Watched(name, actor))

    def there(self, actors: Sequence[Any]) -> list[Any]:
        """Those that have answered since they were started last; if none has, those that ever have."""
        mine = [one for one in self.watched if one.actor in actors]
        return [one.actor for one in mine if one.place] or [one.actor for one in mine if one.been]

    def look(self, patience: float = 1.0) -> None:
        """Ask, wait a moment for the answers, end who has been silent for too long."""
        for one in self.watched:
            one.asked = one.asked or one.actor.progress.remote()
        if self.watched:
            ray.wait([one.asked for one in self.watched], num_returns=len(self.watched), timeout=patience)
        for one in self.watched:
            self._take(one)

    def _take(self, one: Watched) -> None:
        now = time.monotonic()
        try:
            place, task, said = ray.get(one.asked, timeout=0)
        except GetTimeoutError:
            if one.place and now - max(one.heard, one.ended) > HUNG_SECONDS:
                one.ended = now
                there = NodeAffinitySchedulingStrategy(one.place.node, soft=False)
                ray.remote(end).options(num_cpus=0, scheduling_strategy=there).remote(one.place.pid)
            return
        except RayError:
            # Between two lives, or dead for good, which those who wait for its results find out.
            one.asked, one.place, one.task = None, None, {}
            return
        self.said += said
        if task != one.task or not task:
            one.moved = now
        one.asked, one.heard, one.place, one.task, one.been = None, now, place, task, one.been or place is not None

    def notices(self) -> list[str]:
        """What the actors' stores have had to say since the last call."""
        heard, self.said = self.said, []
        return heard

    @property
    def computing(self) -> list[dict[str, Any]]:
        """What the actors do, as far as they said."""
        return [one.task for one in self.watched if one.task]

    @property
    def worries(self) -> dict[str, tuple[str, float]]:
        """Of the actors that give reason to worry: the name → what is wrong, and for how many seconds."""
        now, found = time.monotonic(), {}
        for one in self.watched:
            place = f" ({one.place})" if one.place else ""
            if now - one.heard > SILENT_SECONDS and not one.place:
                found[one.name] = (
                    f"the process for {one.name} is not there: it starts, or waits for room",
                    now - one.heard,
                )
            elif now - one.heard > SILENT_SECONDS:
                found[one.name] = f"the process for {one.name}{place} has not answered", now - one.heard
            elif now - one.moved > STILL_SECONDS:
                found[one.name] = f"the process for {one.name}{place} shows no progress", now - one.moved
        return found
