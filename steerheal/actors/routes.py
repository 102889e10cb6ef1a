"""Which of a stage's processes a job goes to.

Trials that were healed in one pass are in step, and their next jobs share passes too if they go to the same process. So
a student's jobs follow it to the process that trained it (which has its adapters in memory), and other jobs go where
least is under way.
"""

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

# A process that has had nothing to do for so long takes students over from one that has at least two jobs.
IDLE_SECONDS = 2.0


class Routes:
    """`serving`: stage → the processes that are there for it; empty until `serve` is told."""

    def __init__(self) -> None:
        self.serving: Mapping[str, Sequence[Any]] = {}
        self.sent: dict[str, Any] = {}
        self.homes: dict[str, list[Any]] = {}
        self.landed: dict[Any, float] = {}

    def route(self, key: str, stage: str, adapter: str | None, under_way: Collection[str]) -> Any:
        """The process for a job; None while none is known to be there.

        adapter: the top of the job's student, a Heal artefact's key; under_way: the keys of all jobs that are. A key
        stays where it was sent, so that equal jobs share one answer.
        """
        there = self.serving.get(stage, ())
        if there and self.sent.get(key) not in there:
            self.sent[key] = self._choose(there, adapter, under_way)
            if stage == "heal":
                self.homes[key] = [self.sent[key]]
        return self.sent.get(key)

    def _choose(self, there: Sequence[Any], adapter: str | None, under_way: Collection[str]) -> Any:
        load = Counter(self.sent[key] for key in under_way if key in self.sent)
        free = min(there, key=lambda process: load[process])
        if adapter is None:
            return free
        homes = self.homes.setdefault(adapter, [])
        home = next((process for process in homes if process in there), None)
        idle = not load[free] and time.monotonic() - self.landed.get(free, 0.0) > IDLE_SECONDS
        if home is None or (idle and load[home] > 1):
            homes.insert(0, free)
            return free
        return home

    def over(self, key: str) -> None:
        """A job's outcome is there."""
        if (process := self.sent.pop(key, None)) is not None:
            self.landed[process] = time.monotonic()
