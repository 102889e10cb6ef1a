"""`jobs.Stages` for a trial's process: asks the store actor first, and sends what is missing to a stage
actor.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError

from steerheal.errors import ArtefactLost, StageError, StoreAway
from steerheal.jobs import Job, Result

RENEW_SECONDS = 5.0
# A job that was begun this often and never finished is what kills its actor.
MOST_STARTS = 3
# How long to wait for an actor that restarts (it loads its model again).
PATIENCE_SECONDS = 900.0


class ClusterLost(Exception):
    """A stage actor is gone for good; the trial is interrupted, not failed."""


@dataclass(frozen=True)
class Handles:
    """Ray handles that the driver gives to every trial: the store actor, and per stage its replicas."""

    store: Any
    stages: dict[str, tuple[Any, ...]]

    def actor(self, stage: str, turn: int) -> Any:
        """The replica whose turn it is. A key keeps its turn, so that equal jobs share one answer."""
        replicas = self.stages[stage]
        return replicas[turn % len(replicas)]


class RayStages:
    """One trial's door to the actors. `client` names the trial in leases and on the display."""

    def __init__(self, handles: Handles, client: str):
        self.handles = handles
        self.client = client
        self.renewed = 0.0

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """Results in the order of `jobs`. All jobs come to an end before the first failure is raised; a store that
        stays away (StoreAway) ends them all.
        """
        keys = [job.key for job in jobs]
        errand = _Errand(self, dict(zip(keys, jobs, strict=True)))
        try:
            while errand.under_way:
                landed, _ = ray.wait(list(errand.under_way), num_returns=1, timeout=RENEW_SECONDS)
                self._renew()
                for reference in landed:
                    errand.advance(reference)
        finally:
            held = [key for key in keys if key not in errand.finished]
            self.handles.store.release.remote(held, self.client)
        for key in keys:
            if isinstance(errand.finished[key], StageError):
                raise errand.finished[key]
        return [errand.finished[key] for key in keys]

    def _renew(self) -> None:
        if time.monotonic() - self.renewed > RENEW_SECONDS:
            self.renewed = time.monotonic()
            self.handles.store.renew.remote(self.client)


class _Errand:
    """The jobs of one `run`: each is first asked for at the store actor, then, if need be, computed."""

    def __init__(self, stages: RayStages, jobs: dict[str, Job]):
        self.handles, self.client = stages.handles, stages.client
        self.jobs = jobs
        self.finished: dict[str, Result | StageError] = {}
        # What is awaited: reference -> (key, whether it is being computed or still asked for).
        self.under_way: dict[Any, tuple[str, bool]] = {}
        self.turns: dict[str, int] = {}
        self.away_since: float | None = None
        for key in jobs:
            self._ask(key)

    def _ask(self, key: str) -> None:
        reference = self.handles.store.acquire.remote(key, self.jobs[key].stage, self.client)
        self.under_way[reference] = (key, False)

    def _compute(self, key: str, alone: bool) -> None:
        job = self.jobs[key]
        actor = self.handles.actor(job.stage, self.turns[key])
        self.under_way[actor.run.remote(job, alone)] = (key, True)

    def advance(self, reference: Any) -> None:
        """Take in one answer: finish its job, or send the job on its next way."""
        key, computing = self.under_way.pop(reference)
        try:
            answer = ray.get(reference)
        except RayActorError as death:
            self._after_death(key, computing, death)
            return
        self.away_since = None
        if isinstance(answer, StoreAway) or (not computing and answer.away):
            raise answer if computing else StoreAway(answer.away)
        if computing:
            self.finished[key] = answer
            self._tell(key, answer)
        elif answer.compute:
            self.turns[key] = answer.turn
            self._compute(key, alone=False)
        else:
            self.finished[key] = answer.result or StageError(answer.error)

    def _tell(self, key: str, answer: Result | StageError) -> None:
        """The store actor passes the outcome on to whoever waits for it; what failed for want of an artefact, others
        may try in their turn.
        """
        if isinstance(answer, ArtefactLost):
            self.handles.store.lost.remote(answer.key)
            self.handles.store.release.remote([key], self.client)
        elif isinstance(answer, StageError):
            self.handles.store.failed.remote(key, str(answer))
        else:
            self.handles.store.done.remote(answer)

    def _after_death(self, key: str, computing: bool, death: RayActorError) -> None:
        """An actor died: try again when it is back, alone if the job was running, and not for ever."""
        now = time.monotonic()
        self.away_since = self.away_since or now
        if not isinstance(death, ActorUnavailableError) or now - self.away_since > PATIENCE_SECONDS:
            raise ClusterLost(f"the process for {self.jobs[key].stage} is gone and does not come back")
        time.sleep(1.0)
        if not computing:
            self._ask(key)
            return
        starts = ray.get(self.handles.store.times_started.remote(key))
        if starts < MOST_STARTS:
            self._compute(key, alone=starts > 0)
            return
        self.finished[key] = StageError(
            f"{self.jobs[key].stage}: the stage's process died {starts} times under this job; it is given up"
        )
        self._tell(key, self.finished[key])
