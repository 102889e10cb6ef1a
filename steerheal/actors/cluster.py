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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import ray
from ray._private import services
from ray.exceptions import ActorDiedError, RayActorError, RayError

from steerheal.actors.room import check_room, fitting
from steerheal.actors.stage_actor import StageActor, Worker
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
        self.groups: dict[str, tuple[Kind, tuple[str, ...]]] = {}
        self.actors: dict[str, list[Any]] = {}
        self.nodes: list[dict[str, float]] = []
        self.serving: dict[str, list[Any]] = {}
        self.watch: Watch | None = None

    def __enter__(self) -> "Cluster":
        start_ray(self.resources)
        try:
            shared = {"num_cpus": 0, "max_restarts": RESTARTS, "max_concurrency": 10_000}
            self.store_name = f"steerheal-store-{uuid.uuid4().hex}"
            self.store = ray.remote(StoreActor).options(name=self.store_name, **shared).remote(self.store_root)
            self.groups = self._groups()
            check_room(self._least(), offers(), trial_cpus(), self.resources.placement)
            self._grow()
        except BaseException:
            ray.shutdown()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for actor in [*self.stage_actors, self.store]:
            with contextlib.suppress(RayError):
                ray.kill(actor)
        ray.shutdown()

    def _groups(self) -> dict[str, tuple[Kind, tuple[str, ...]]]:
        """Name for people -> what its processes take and how many there should be, and the stages that they run."""
        if self.resources.placement == "process":
            gpus = min(1.0, ray.cluster_resources().get("GPU", 0.0))
            kind = Kind(replicas=self.resources.processes, cpus=self._process_cpus(), gpus=gpus)
            return {"the model": (kind, tuple(stage for stages in KINDS.values() for stage in stages))}
        kinds = {name: getattr(self.resources, name) for name in KINDS}
        if self.resources.placement == "gpu":
            shared = {"replicas": 1, "gpus": GPU_SHARE}
            kinds = {name: kind.model_copy(update=shared) for name, kind in kinds.items()}
        return {name: (kind, KINDS[name]) for name, kind in kinds.items()}

    def _least(self) -> dict[str, Kind]:
        """What a sweep cannot begin without: in a cluster that is joined one process of each kind, others may find room
        when nodes are added.
        """
        kinds = {name: kind for name, (kind, _) in self.groups.items()}
        return {name: kind.model_copy(update={"replicas": 1}) for name, kind in kinds.items()} if joined() else kinds

    def _grow(self) -> None:
        """Start the processes that find room on the nodes that there are now."""
        nodes, least = offers(), self._least()
        if nodes == self.nodes:
            return
        self.nodes = nodes
        reserve = trial_cpus() * self.resources.concurrent
        room = fitting({name: kind for name, (kind, _) in self.groups.items()}, nodes, reserve)
        for name, (kind, _) in self.groups.items():
            mine = self.actors.setdefault(name, [])
            while len(mine) < max(room[name], least[name].replicas):
                mine.append(self._actor(kind))
                if self.watch:
                    self.watch.add(_name(name, len(mine), kind), mine[-1])

    def _process_cpus(self) -> float:
        """Of one of the processes: its share of this machine, or in a cluster, whose nodes it shares, what is asked for."""
        if joined():
            return max(getattr(self.resources, name).cpus for name in KINDS)
        return float(max(1, (os.cpu_count() or 1) // self.resources.processes))

    def _actor(self, kind: Kind) -> Any:
        device = "cuda" if kind.gpus else "cpu"
        options = {"num_cpus": kind.cpus, "num_gpus": kind.gpus, "resources": kind.resources, "max_restarts": RESTARTS}
        return (
            ray.remote(StageActor)
            .options(**options, max_concurrency=10_000)
            .remote(self.load, device, self.resources.pack, self.store_name)
        )

    @property
    def stage_actors(self) -> list[Any]:
        """All of them."""
        return [actor for mine in self.actors.values() for actor in mine]

    def fingerprint(self) -> str:
        """Of the base, when the actors that a sweep cannot begin without have loaded it; UserError if one cannot. From
        then on all are watched.
        """
        needed = {name: self.actors[name][: kind.replicas] for name, kind in self._least().items()}
        answers = [_loaded(actor) for mine in needed.values() for actor in mine]
        for _, problem in answers:
            if problem:
                raise UserError(problem)
        self.watch = Watch([("the store", self.store)])
        for name, (kind, _) in self.groups.items():
            for number, actor in enumerate(self.actors[name], 1):
                self.watch.add(_name(name, number, kind), actor)
        self._introduce(needed)
        return answers[0][0]

    def _introduce(self, there: Mapping[str, Sequence[Any]]) -> None:
        """Tell the store actor, which sends jobs their way, who is there of each kind."""
        self.serving = {stage: list(there[name]) for name, (_, stages) in self.groups.items() for stage in stages}
        ray.get(self.store.serve.remote(self.serving))

    def _introduce_again(self, known: Mapping[str, int]) -> None:
        """When others are there than before, or a store actor that was restarted has forgotten them (`known`: stage ->
        how many it knows). A kind of which none has answered yet is left as it was.
        """
        there = {
            name: self.watch.there(mine) or self.serving[self.groups[name][1][0]] for name, mine in self.actors.items()
        }
        now = {stage: there[name] for name, (_, stages) in self.groups.items() for stage in stages}
        if now != self.serving or known != {stage: len(actors) for stage, actors in now.items()}:
            self._introduce(there)

    def export(self, student: Sequence[str], bands: Bands | None = None) -> dict[str, bytes]:
        """A history, or what counts of it in a band, as one PEFT adapter: its files by name."""
        return ray.get(self.serving["heal"][0].export.remote(student, bands))

    def post_again(self, settings: Mapping[int, str], posted: Collection[int] | None) -> None:
        """Tell a store actor that was restarted what it has forgotten; `posted` is what it knows (None: it is
        away).
        """
        for number in sorted(settings.keys() - set(settings if posted is None else posted)):
            self.store.post.remote(number, settings[number])

    def snapshot(self) -> dict:
        """Hits, misses, who waits for what, what is computed, what gives reason to worry, and what the stores have had
        to say since the last call; what is away at the moment is left out. Whoever came or went since is taken note of.
        """
        found = {"hits": {}, "misses": {}, "clients": {}, "posted": None, "notices": []}
        self.watch.look()
        if joined():
            self._grow()
        with contextlib.suppress(RayError):
            found |= ray.get(self.store.snapshot.remote(), timeout=5)
            self._introduce_again(found["serving"])
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
    return f"{name} {number}" if kind.replicas > 1 else name


def offers() -> list[dict[str, float]]:
    """What each living node has: CPU, GPU and names of one's own."""
    own = ("memory", "object_store_memory")
    return [
        {what: amount for what, amount in node["Resources"].items() if ":" not in what and what not in own}
        for node in ray.nodes()
        if node["Alive"]
    ]


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
