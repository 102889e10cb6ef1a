"""Ray for one sweep: started on loopback with token authentication, the shared actors placed, everything ended after.

Placements: `process`, one actor for all kinds, on the CPU or one GPU; `gpu`, one actor per kind, sharing one GPU;
`spread`, one kind per GPU, with replicas. RAY_ADDRESS joins a cluster that is already there instead.
"""

import os

# Before Ray is imported: on Linux, too, a cluster of one machine listens on loopback alone.
if not os.environ.get("RAY_ADDRESS"):
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")

import contextlib
import logging
import warnings
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from steerheal.actors.stage_actor import StageActor, Worker
from steerheal.actors.stages import Handles
from steerheal.actors.store_actor import StoreActor
from steerheal.config.sources import Kind, Resources
from steerheal.errors import UserError

KINDS: dict[str, tuple[str, ...]] = {
    "generation": ("extract", "collect", "canary"),
    "trainer": ("heal",),
    "evaluation": ("evaluate",),
}
MAX_RESTARTS = 10
OBJECT_STORE_BYTES = 256 * 2**20
SHUTDOWN_SECONDS = 10.0

Loader = Callable[[str], Worker]


class Cluster:
    """The actors of one sweep. A context manager: what it started, it ends.

    `load(device)` makes the Worker inside an actor; `device` is "cpu" or "cuda".
    """

    def __init__(self, resources: Resources, load: Loader, store_root: str):
        self.resources, self.load, self.store_root = resources, load, store_root
        self.stage_actors: list[Any] = []

    def __enter__(self) -> "Cluster":
        start_ray(self.resources)
        self.store = ray.remote(StoreActor).options(
            num_cpus=0, max_restarts=MAX_RESTARTS, max_concurrency=10_000
        ).remote(self.store_root)
        self.handles = Handles(self.store, self._place())
        return self

    def __exit__(self, *_: object) -> None:
        for actor in [*self.stage_actors, self.store]:
            with contextlib.suppress(RayError):
                ray.kill(actor)
        ray.shutdown()

    def _place(self) -> dict[str, tuple[Any, ...]]:
        """Stage name -> its replicas."""
        kinds = {kind: getattr(self.resources, kind) for kind in KINDS}
        gpus = ray.cluster_resources().get("GPU", 0)
        if self.resources.placement == "process":
            actor = self._actor(Kind(cpus=float(os.cpu_count() or 1), gpus=min(1.0, gpus)))
            return {stage: (actor,) for stages in KINDS.values() for stage in stages}
        if gpus < sum(kind.gpus * kind.replicas for kind in kinds.values()):
            raise UserError(
                f"resources: the actors ask for more than the {gpus:g} GPUs that Ray sees; "
                "use placement: process, or lower gpus and replicas"
            )
        placed: dict[str, tuple[Any, ...]] = {}
        for name, kind in kinds.items():
            replicas = tuple(self._actor(kind) for _ in range(kind.replicas))
            placed |= {stage: replicas for stage in KINDS[name]}
        return placed

    def _actor(self, kind: Kind) -> Any:
        device = "cuda" if kind.gpus else "cpu"
        options = {"num_cpus": kind.cpus, "num_gpus": kind.gpus, "max_restarts": MAX_RESTARTS}
        actor = ray.remote(StageActor).options(**options, max_concurrency=10_000).remote(
            self.load, device, self.resources.pack, self.store
        )
        self.stage_actors.append(actor)
        return actor

    def facts(self) -> Any:
        """What the loaded models say of themselves, when all are loaded; UserError if one cannot be."""
        answers = ray.get([actor.facts.remote() for actor in self.stage_actors])
        for _, problem in answers:
            if problem:
                raise UserError(problem)
        return answers[0][0]

    def snapshot(self) -> dict:
        """Hits, misses and who waits for what; empty while the store actor is away."""
        try:
            return ray.get(self.store.snapshot.remote(), timeout=5)
        except (RayActorError, ray.exceptions.GetTimeoutError):
            return {"hits": {}, "misses": {}, "clients": {}}


def start_ray(resources: Resources) -> None:
    """A fresh local cluster (or the one of RAY_ADDRESS), without dashboard and without its chatter."""
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
    if address := os.environ.get("RAY_ADDRESS"):
        ray.init(address=address, **quiet)
        return
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    kinds = [getattr(resources, kind) for kind in KINDS]
    placed = sum(kind.cpus * kind.replicas for kind in kinds)
    if resources.placement == "process":
        placed = os.cpu_count() or 1
    # Logical CPUs: every trial's process takes one, although it mostly waits.
    ray.init(
        address="local",
        num_cpus=int(placed + 0.999) + resources.concurrent,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        **quiet,
    )
