"""Ray for one sweep: started on loopback with token authentication, the shared actors placed, everything
ended after.

Placements: `process`, all kinds in one actor, on the CPU or a GPU, and `processes` such actors; `gpu`, one actor per
kind, sharing one GPU; `spread`, one kind per GPU, with replicas. RAY_ADDRESS joins a cluster that is already there instead.
"""

import contextlib
import logging
import math
import os
import shlex
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import ray
from ray._private import services
from ray.exceptions import ActorDiedError, RayActorError, RayError

from steerheal.actors.stage_actor import StageActor, Worker
from steerheal.actors.stages import Handles
from steerheal.actors.store_actor import StoreActor
from steerheal.actors.watch import Watch
from steerheal.config.sections import Bands
from steerheal.config.sources import Kind, Resources
from steerheal.errors import UserError

KINDS: dict[str, tuple[str, ...]] = {
    "generation": ("extract", "collect", "canary"),
    "trainer": ("pairs", "heal"),
    "evaluation": ("evaluate", "score", "style"),
}
# What each of the three kinds takes of the GPU that they share.
GPU_SHARE = 0.33
# Ray starts actors again for as long as the sweep lives; who dies too often is found out by counting deaths
# (`stages`, `stage_actor`).
RESTARTS = -1
OBJECT_STORE_BYTES = 256 * 2**20
# How Ray starts processes. Quoted, since Ray's shell line breaks on a path with spaces; the variable is what
# Tune asks for its trials: with equal environments they take over processes that were started ahead of them.
WORKERS = {"py_executable": shlex.quote(sys.executable), "env_vars": {"PL_DISABLE_FORK": "1"}}

Loader = Callable[[str], Worker]


def joined() -> bool:
    """Whether the sweep runs in a cluster that was there before."""
    return bool(os.environ.get("RAY_ADDRESS"))


def trial_cpus() -> float:
    """What a trial's process takes. One's own cluster has a logical CPU for each that may run at once; in a cluster that
    is joined they take little, so that an actor whose node is lost finds room beside them on another.
    """
    return 0.1 if joined() else 1.0


class Cluster:
    """The actors of one sweep. A context manager: what it started, it ends.

    `load(device)` makes the Worker inside an actor; `device` is "cpu" or "cuda".
    """

    def __init__(self, resources: Resources, load: Loader, store_root: str):
        self.resources, self.load, self.store_root = resources, load, store_root
        self.named: list[tuple[str, Any]] = []

    def __enter__(self) -> "Cluster":
        start_ray(self.resources)
        try:
            shared = {"num_cpus": 0, "max_restarts": RESTARTS, "max_concurrency": 10_000}
            name = f"steerheal-store-{uuid.uuid4().hex}"
            self.store = ray.remote(StoreActor).options(name=name, **shared).remote(self.store_root)
            self.store_name = name
            self.handles = Handles(self.store, self._place())
        except BaseException:
            ray.shutdown()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for actor in [*self.stage_actors, self.store]:
            with contextlib.suppress(RayError):
                ray.kill(actor)
        ray.shutdown()

    def _place(self) -> dict[str, tuple[Any, ...]]:
        """Stage name -> its replicas."""
        gpus = ray.cluster_resources().get("GPU", 0)
        if self.resources.placement == "process":
            kind = Kind(replicas=self.resources.processes, cpus=self._process_cpus(), gpus=min(1.0, gpus))
            self._check_gpus([kind], gpus)
            _check_cpus([kind])
            actors = tuple(self._actor(_name("the model", n, kind), kind) for n in range(kind.replicas))
            return {stage: actors for stages in KINDS.values() for stage in stages}
        kinds = {name: getattr(self.resources, name) for name in KINDS}
        if self.resources.placement == "gpu":
            kinds = {
                name: kind.model_copy(update={"replicas": 1, "gpus": GPU_SHARE})
                for name, kind in kinds.items()
            }
        self._check_gpus(list(kinds.values()), gpus)
        _check_cpus(list(kinds.values()))
        placed: dict[str, tuple[Any, ...]] = {}
        for name, kind in kinds.items():
            replicas = tuple(self._actor(_name(name, n, kind), kind) for n in range(kind.replicas))
            placed |= {stage: replicas for stage in KINDS[name]}
        return placed

    def _check_gpus(self, kinds: Sequence[Kind], gpus: float) -> None:
        wanted = sum(kind.gpus * kind.replicas for kind in kinds)
        if gpus < wanted:
            raise UserError(
                f"resources.placement: {self.resources.placement} needs {wanted:g} GPUs, there are {gpus:g}; "
                "lower gpus, replicas or processes"
            )

    def _process_cpus(self) -> float:
        """Of one of the processes: its share of this machine, or in a cluster, whose nodes it shares, what is asked for."""
        if joined():
            return max(getattr(self.resources, name).cpus for name in KINDS)
        return float(max(1, (os.cpu_count() or 1) // self.resources.processes))

    def _actor(self, name: str, kind: Kind) -> Any:
        device = "cuda" if kind.gpus else "cpu"
        options = {"num_cpus": kind.cpus, "num_gpus": kind.gpus, "max_restarts": RESTARTS}
        actor = (
            ray.remote(StageActor)
            .options(**options, max_concurrency=10_000)
            .remote(self.load, device, self.resources.pack, self.store_name)
        )
        self.named.append((name, actor))
        return actor

    @property
    def stage_actors(self) -> list[Any]:
        """All of them."""
        return [actor for _, actor in self.named]

    def fingerprint(self) -> str:
        """Of the base, when every actor has loaded it; UserError if one cannot. From then on they are watched."""
        answers = [_loaded(actor) for actor in self.stage_actors]
        for _, problem in answers:
            if problem:
                raise UserError(problem)
        self.watch = Watch([("the store", self.store), *self.named])
        return answers[0][0]

    def export(self, student: Sequence[str], bands: Bands | None = None) -> dict[str, bytes]:
        """A history, or what counts of it in a band, as one PEFT adapter: its files by name."""
        return ray.get(self.handles.stages["heal"][0].export.remote(student, bands))

    def post_again(self, settings: Mapping[int, str], posted: Sequence[int] | None) -> None:
        """Tell a store actor that was restarted what it has forgotten; `posted` is what it knows (None: it is
        away).
        """
        for number in settings.keys() - set(settings if posted is None else posted):
            self.store.post.remote(number, settings[number])

    def snapshot(self) -> dict:
        """Hits, misses, who waits for what, what is computed, what gives reason to worry, and what the stores have had
        to say since the last call; what is away at the moment is left out.
        """
        found = {"hits": {}, "misses": {}, "clients": {}, "posted": None, "notices": []}
        with contextlib.suppress(RayError):
            found |= ray.get(self.store.snapshot.remote(), timeout=5)
        self.watch.look()
        found["notices"] += self.watch.notices()
        return found | {"computing": self.watch.computing, "worries": self.watch.worries}


def _loaded(actor: Any) -> tuple[str | None, str | None]:
    """What an actor says of its model, however often it dies of it."""
    while True:
        try:
            return ray.get(actor.loaded.remote())
        except ActorDiedError as death:
            return None, f"the model cannot be loaded: {str(death).strip().splitlines()[-1]}"
        except RayActorError:
            time.sleep(1.0)


def _name(name: str, number: int, kind: Kind) -> str:
    """For people: the kind, with a number if there are several of it."""
    return f"{name} {number + 1}" if kind.replicas > 1 else name


def _check_cpus(kinds: Sequence[Kind]) -> None:
    """Refuse what Ray would let wait for ever: actors that no node holds, or no CPU left for a trial."""
    nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    largest = max(kind.cpus for kind in kinds)
    wanted = trial_cpus() + sum(kind.cpus * kind.replicas for kind in kinds)
    if largest > max(nodes) or wanted > sum(nodes):
        raise UserError(
            f"resources: {wanted:g} CPUs are needed, {largest:g} of them on one node; the cluster has "
            f"{sum(nodes):g}, at most {max(nodes):g} on a node; lower cpus and replicas, or add nodes"
        )


def start_ray(resources: Resources) -> None:
    """A fresh local cluster (or the one of RAY_ADDRESS), without dashboard and without its chatter."""
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
    if address := os.environ.get("RAY_ADDRESS"):
        _join(address, quiet)
        return
    kinds = [getattr(resources, kind) for kind in KINDS]
    placed = sum(kind.cpus * kind.replicas for kind in kinds)
    if resources.placement == "process":
        placed = max(os.cpu_count() or 1, resources.processes)
    with _own_process_groups():
        ray.init(
            address="local",
            num_cpus=math.ceil(placed) + resources.concurrent,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            runtime_env=WORKERS,
            **quiet,
        )


@contextlib.contextmanager
def _own_process_groups() -> Iterator[None]:
    """A signal to the sweep's process group (timeout, a batch system) is then for the driver, which ends Ray in good
    order; it would wait a minute for servers that the signal had ended. If the driver dies, the kernel ends them.
    """
    plain = services.ConsolePopen
    services.ConsolePopen = partial(plain, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = plain


def _join(address: str, quiet: dict[str, Any]) -> None:
    """The cluster at an address; UserError when it does not answer, or not to this token."""
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UserError(
            f"RAY_ADDRESS: no cluster at {address} lets this process in ({reason}); "
            "start one as docker/README.md says, or unset RAY_ADDRESS"
        ) from None
