"""One loaded model that runs the jobs of many trials, packed.

While a batch runs, requests wait; then the stage with the most waiting jobs goes next, up to `pack` adapters at once,
after a short linger in which its neighbours (trials in step with each other) arrive too.
"""

import asyncio
import contextlib
import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import ray
from ray.exceptions import RayActorError, RayError

from steerheal.actors.watch import Place, here
from steerheal.errors import StageError, StoreAway, UserError, in_a_line
from steerheal.jobs import Job, Result
from steerheal.store import Store

# So many deaths in a row, with no job finished in between, are no single job's fault.
MOST_DEATHS = 10
# Jobs that need no adapter of their own fill a batch up to so many times `pack`.
MOST_JOBS = 4
# A batch starts when no request has come for this long, or for this share of what the stage's last batch took: one that
# a job missed by a moment is as long again. After so many times that it starts in any case.
LINGER_SECONDS = 0.25
LINGER_SHARE = 0.02
MOST_LINGERS = 8


class Worker(Protocol):
    """What an actor hosts; `fingerprint` identifies its model."""

    fingerprint: str
    progress: dict[str, Any]
    store: Store

    def run_batch(self, jobs: Sequence[Job]) -> list[Result | Exception]:
        """Jobs of one stage in one pass; an entry is an exception where that job alone failed."""

    def export(self, student: tuple[str, ...], bands: Any = None) -> dict[str, bytes]:
        """A history, or what counts of it in a band, as one PEFT adapter: its files by name."""


@dataclass
class Waiting:
    """A request in the queue. `alone`: it is under suspicion and gets a batch of its own."""

    key: str
    job: Job
    alone: bool
    answer: asyncio.Future


class StageActor:
    """Thin: a queue, one compute thread, and a Worker that does the work.

    `store_actor` is a name and no handle: a restarted actor is made again from its arguments.
    """

    def __init__(
        self,
        load: Callable[[str], Worker],
        device: str,
        pack: int,
        store_actor: str,
        linger: float = LINGER_SECONDS,
    ):
        self.pack = pack
        self.linger = linger
        self.store_actor = ray.get_actor(store_actor)
        self.queues: dict[str, deque[Waiting]] = {}
        self.answers: dict[str, asyncio.Future] = {}
        self.took: dict[str, float] = {}
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="compute")
        self.busy: asyncio.Task | None = None
        self.told = False
        self.node = ray.get_runtime_context().get_node_id()
        self.worker, self.problem = None, self._doomed()
        if self.problem is None:
            self._load(load, device)

    def _doomed(self) -> str | None:
        """Why this process need not try what those before it died of."""
        if not ray.get_runtime_context().was_current_actor_reconstructed:
            return None
        with contextlib.suppress(RayActorError):
            deaths = ray.get(self.store_actor.restarted.remote())
            if deaths >= MOST_DEATHS:
                return f"the stages' process died {deaths} times in a row without finishing a job; is memory short?"
        return None

    def _load(self, load: Callable[[str], Worker], device: str) -> None:
        try:
            self.worker = load(device)
        except UserError as error:
            self.problem = str(error)
        except Exception as error:
            traceback.print_exc()
            self.problem = f"the model cannot be loaded: {in_a_line(error)}"

    async def loaded(self) -> tuple[str | None, str | None]:
        """The loaded base's fingerprint, or the one line that says why it could not be loaded."""
        return (self.worker.fingerprint if self.worker else None), self.problem

    async def progress(self) -> tuple[Place | None, dict[str, Any], list[str]]:
        """A sign of life: where this process is (None when it has no model, of which the last says why, once), what it
        computes (stage, jobs, done, total; empty between batches), and what the store has had to say in it since the last
        call.
        """
        if self.worker is None:
            told, self.told = self.told, True
            return None, {}, [] if told else [f"a process takes no jobs: {self.problem}"]
        return here(), dict(self.worker.progress), self.worker.store.heard()

    async def pid(self) -> int:
        """This process, for whoever watches it."""
        return os.getpid()

    async def export(self, student: Sequence[str], bands: Any = None) -> dict[str, bytes]:
        """A history, or what counts of it in a band, as one PEFT adapter: its files by name."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.thread, self.worker.export, tuple(student), bands)

    async def run(self, job: Job, alone: bool = False) -> Result | StageError | StoreAway | UserError:
        """The job's result; a job's own failure comes back as a StageError, as data, and so does the store's absence; a
        UserError says that this actor has no model. Equal jobs share one answer.
        """
        if self.worker is None:
            return UserError(self.problem)
        key = job.key
        if key not in self.answers:
            self.answers[key] = answer = asyncio.get_running_loop().create_future()
            self.queues.setdefault(job.stage, deque()).append(Waiting(key, job, alone, answer))
            if self.busy is None:
                self.busy = asyncio.create_task(self._work())
        return await asyncio.shield(self.answers[key])

    async def _work(self) -> None:
        """Batch after batch until nothing waits."""
        while any(self.queues.values()):
            await self._linger()
            batch = self._next_batch()
            await self._announce([waiting.key for waiting in batch])
            loop, began = asyncio.get_running_loop(), time.monotonic()
            outcomes = await loop.run_in_executor(self.thread, self._compute, [waiting.job for waiting in batch])
            self.took[batch[0].job.stage] = time.monotonic() - began
            for waiting, outcome in zip(batch, outcomes, strict=True):
                self.answers.pop(waiting.key)
                waiting.answer.set_result(outcome)
        self.busy = None

    async def _linger(self) -> None:
        """Trials in step with each other ask at nearly the same time; a little patience makes one batch of
        them.
        """
        began, before = time.monotonic(), 0
        took = max(self.took.get(stage, 0.0) for stage, queue in self.queues.items() if queue)
        quiet = max(self.linger, LINGER_SHARE * took)
        while before < (waiting := sum(map(len, self.queues.values()))):
            if self._full() or time.monotonic() - began > MOST_LINGERS * quiet:
                return
            before = waiting
            await asyncio.sleep(quiet)

    def _full(self) -> bool:
        """Whether the next batch would gain nothing by waiting."""
        queue = max(self.queues.values(), key=len)
        return sum(waiting.job.adapters for waiting in queue) >= self.pack

    async def _announce(self, keys: list[str]) -> None:
        """Before a batch may kill this process, its jobs are written down elsewhere."""
        with contextlib.suppress(RayError):
            await self.store_actor.started.remote(keys, self.node)

    def _next_batch(self) -> list[Waiting]:
        """The longest queue's first jobs, of up to `pack` adapters; a suspect travels alone, and first."""
        queue = max(self.queues.values(), key=len)
        for waiting in queue:
            if waiting.alone:
                queue.remove(waiting)
                return [waiting]
        batch, room = [], self.pack
        while queue and len(batch) < MOST_JOBS * self.pack and (room := room - queue[0].job.adapters) >= 0:
            batch.append(queue.popleft())
        return batch

    def _compute(self, jobs: list[Job]) -> list[Result | StageError | StoreAway]:
        """Run a batch; when it fails as a whole, each job runs alone, so that only the guilty one fails."""
        try:
            return [_as_data(job, outcome) for job, outcome in zip(jobs, self.worker.run_batch(jobs), strict=True)]
        except StoreAway as away:
            return [away for _ in jobs]
        except Exception as error:
            if len(jobs) == 1:
                return [_as_data(jobs[0], error)]
            traceback.print_exc()
        return [self._compute([job])[0] for job in jobs]


def _as_data(job: Job, outcome: Result | Exception) -> Result | StageError:
    """Exceptions of any type as a StageError, which crosses process borders; the trace stays in the actor's
    log.
    """
    if isinstance(outcome, Result | StageError):
        return outcome
    traceback.print_exception(outcome)
    return StageError(f"{job.stage}: {in_a_line(outcome)}")
