"""`jobs.Stages` for a trial's process: asks the store actor first, and sends what is missing to a stage
actor.
"""

import time
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError, RayTaskError

from steerheal.errors import ArtefactLost, StageError, StoreAway, UserError
from steerheal.jobs import Job, Result

RENEW_SECONDS = 5.0
# A job that was begun this often and never finished is what kills its actor.
MOST_STARTS = 3
# Between two attempts to reach an actor that is away.
BREATH_SECONDS = 1.0
# A request that was lost after so long had reached a live actor.
ALIVE_SECONDS = 10.0
# How long to wait for an actor that restarts (it loads its model again).
PATIENCE_SECONDS = 900.0


class ClusterLost(Exception):
    """An actor is gone for good; the trial is interrupted, not failed."""


class RayStages:
    """One trial's door to the actors, by way of the store actor. `client` names the trial in leases and on the display.

    A trial one of whose jobs keeps killing its actor is in quarantine: it may not ask for anything more.
    """

    def __init__(self, store: Any, client: str):
        self.store = store
        self.client = client
        self.renewed = 0.0
        self.quarantine: StageError | None = None

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """Results in the order of `jobs`. All jobs come to an end before the first failure is raised; a store that
        stays away (StoreAway) ends them all.
        """
        if self.quarantine:
            raise self.quarantine
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
            self.store.release.remote(held, self.client)
        for key in keys:
            if isinstance(errand.finished[key], StageError):
                raise errand.finished[key]
        return [errand.finished[key] for key in keys]

    def _renew(self) -> None:
        if time.monotonic() - self.renewed > RENEW_SECONDS:
            self.renewed = time.monotonic()
            self.store.renew.remote(self.client)


class _Errand:
    """The jobs of one `run`: each is first asked for at the store actor, then, if need be, computed.

    A job whose actor dies is asked for anew: it may have been stored by then.
    """

    def __init__(self, stages: RayStages, jobs: dict[str, Job]):
        self.stages, self.store, self.client = stages, stages.store, stages.client
        self.jobs = jobs
        self.finished: dict[str, Result | StageError] = {}
        # What is awaited: reference -> (key, whether it is being computed or still asked for, since when).
        self.under_way: dict[Any, tuple[str, bool, float]] = {}
        self.away_since: float | None = None
        self.breath = 0.0
        for key in jobs:
            self._ask(key)

    def _ask(self, key: str) -> None:
        job = self.jobs[key]
        reference = self.store.acquire.remote(key, job.stage, self.client, job.adapter)
        self.under_way[reference] = (key, False, time.monotonic())

    def _compute(self, key: str, ticket: Any) -> None:
        """Send a job to its actor, when there is one: alone, if it was under way when an actor died; not at all, if too
        often.
        """
        starts = _deaths(ticket.starts)
        if starts >= MOST_STARTS or self.stages.quarantine:
            self._give_up(key, starts)
            return
        if ticket.actor is None:
            self._breathe()
            self._ask(key)
            return
        self.under_way[ticket.actor.run.remote(self.jobs[key], starts > 0)] = (key, True, time.monotonic())

    def advance(self, reference: Any) -> None:
        """Take in one answer: finish its job, or send the job on its next way."""
        key, computing, since = self.under_way.pop(reference)
        try:
            answer = ray.get(reference)
        except RayTaskError:
            raise
        except RayError as loss:
            self._after_loss(key, since, loss)
            return
        if isinstance(answer, StoreAway) or (not computing and answer.away):
            raise answer if computing else StoreAway(answer.away)
        if computing:
            self.away_since = None
            if isinstance(answer, UserError):
                raise ClusterLost(str(answer))
            self.finished[key] = answer
            self._tell(key, answer)
        elif answer.compute:
            self._compute(key, answer)
        else:
            self.finished[key] = answer.result or StageError(answer.error)

    def _tell(self, key: str, answer: Result | StageError) -> None:
        """The store actor passes the outcome on to whoever waits for it; what failed for want of an artefact, others
        may try in their turn.
        """
        if isinstance(answer, ArtefactLost):
            self.store.lost.remote(answer.key)
            # What was begun and not finished for want of it is no death.
            self.store.give_up.remote(key, self.client)
        elif isinstance(answer, StageError):
            self.store.failed.remote(key, str(answer))
        else:
            self.store.done.remote(answer)

    def _give_up(self, key: str, starts: int) -> None:
        """Quarantine the trial. Others who want the same job try it themselves."""
        self.stages.quarantine = self.stages.quarantine or StageError(
            f"{self.jobs[key].stage}: the stage's process died {starts} times under this job; the trial is given up"
        )
        self.finished[key] = self.stages.quarantine
        self.store.give_up.remote(key, self.client)

    def _after_loss(self, key: str, since: float, loss: RayError) -> None:
        """An actor died, or an answer was lost with its node: ask again, but not for ever."""
        now = time.monotonic()
        if self.away_since is None or now - since > ALIVE_SECONDS:
            self.away_since = now
        if isinstance(loss, ActorDiedError) or now - self.away_since > PATIENCE_SECONDS:
            raise ClusterLost(f"the process for {self.jobs[key].stage} is gone and does not come back")
        self._breathe()
        self._ask(key)

    def _breathe(self) -> None:
        """Before what did not work is tried again; once for all that did not at the same time."""
        if time.monotonic() - self.breath > BREATH_SECONDS:
            time.sleep(BREATH_SECONDS)
            self.breath = time.monotonic()


def _deaths(nodes: Sequence[str]) -> int:
    """How many of a job's starts ended with its actor: those on nodes that live, since a lost node explains itself."""
    alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]} if nodes else ()
    return sum(node in alive for node in nodes)
