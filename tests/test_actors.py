"""Single flight, leases, coalescing, and what happens when processes die. The worker is arithmetic, Ray is
real.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from fakes import load_fake
from small import write_space

from steerheal.actors import watch
from steerheal.actors.cluster import Cluster
from steerheal.actors.stages import RENEW_SECONDS, Handles, RayStages
from steerheal.actors.store_actor import LEASE_SECONDS, StoreActor
from steerheal.config import Dose, Filter, Sample
from steerheal.config.sources import Kind, Resources
from steerheal.config.space import load_space
from steerheal.errors import StageError, StoreAway, UserError
from steerheal.jobs import Collect, Extract, Prompt, Steering
from steerheal.loop import run_trial
from steerheal.store import FolderStore
from steerheal.trial_data import load_data

from ray.exceptions import ActorUnavailableError

import ray  # isort: skip (after steerheal.actors, which sets what Ray reads on import)


# Ray's processes find this module and the fakes.
PATHS = {"PYTHONPATH": os.pathsep.join(sys.path)}


def collect(number, dose=0.5):
    prompts = (Prompt("p", "Hello?"),)
    return Collect("fake", (), Steering("v", dose), "", prompts, number, 0, Sample(), Dose(), Filter())


def extract(text):
    return Extract("fake", (), text, "negative", ("context",), None, "mean_diff")


def ran(root, job):
    return len(list((root / "ran").glob(f"{job.stage}-{job.key}-*")))


def trap(root, stage, text):
    (root / "traps").mkdir(exist_ok=True)
    (root / "traps" / stage).write_text(text)


def forget(root, stage):
    (root / "traps" / stage).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def cluster(root):
    os.environ.update(PATHS)
    with Cluster(
        Resources(concurrent=4, pack=4), partial(load_fake, str(root)), str(root / "store")
    ) as cluster:
        assert cluster.fingerprint() == "fake"
        yield cluster


class Crowd:
    """Clients of a StoreActor in one event loop, each computing what it is told to."""

    def __init__(self, root, **options):
        self.actor = StoreActor(str(root), **options)
        self.computed = Counter()

    async def client(self, name, keys):
        for key in keys:
            ticket = await self.actor.acquire(key, "heal", name)
            if ticket.compute:
                self.computed[key] += 1
                await asyncio.sleep(0)
                result = self.actor.store.put(key, "heal", {"x": key.encode()}, {"key": key}, 0.0)
                await self.actor.done(result)
                ticket = await self.actor.acquire(key, "heal", name)
            assert ticket.result.summary == {"key": key}


def test_a_client_that_shows_no_life_is_replaced(tmp_path):
    async def main():
        crowd = Crowd(tmp_path, lease_seconds=0.2)
        assert (await crowd.actor.acquire("ab", "heal", "dead")).compute
        began = time.monotonic()
        await asyncio.gather(crowd.client("one", ["ab"]), crowd.client("two", ["ab"]))
        return crowd, time.monotonic() - began

    crowd, waited = asyncio.run(main())
    assert crowd.computed["ab"] == 1 and 0.1 < waited < 2


def test_a_client_that_renews_keeps_its_lease(tmp_path):
    async def main():
        actor = StoreActor(str(tmp_path), lease_seconds=0.2)
        await actor.acquire("ab", "heal", "slow")
        waiter = asyncio.create_task(actor.acquire("ab", "heal", "waiter"))
        for _ in range(8):
            await asyncio.sleep(0.05)
            await actor.renew("slow")
            assert not waiter.done()
        await actor.failed("ab", "no")
        return await waiter

    assert asyncio.run(main()).error == "no"


def test_released_keys_go_to_the_next_in_line(tmp_path):
    async def main():
        actor = StoreActor(str(tmp_path))
        await actor.acquire("ab", "heal", "first")
        waiter = asyncio.create_task(actor.acquire("ab", "heal", "second"))
        await asyncio.sleep(0.01)
        await actor.release(["ab"], "stranger")
        await asyncio.sleep(0.01)
        assert not waiter.done()
        await actor.release(["ab"], "first")
        return await waiter

    assert asyncio.run(main()).compute


def test_ten_clients_of_200_keys_each(cluster, root):
    """Through Ray, each in an order of its own, 20 at a time: every job runs once, and everybody gets its result."""
    jobs = [extract(f"shared {number}") for number in range(200)]
    errors = []

    def client(number):
        order = random.Random(number).sample(jobs, len(jobs))
        stages = RayStages(cluster.handles, f"client {number}")
        for first in range(0, 200, 20):
            some = order[first : first + 20]
            if [result.key for result in stages.run(some)] != [job.key for job in some]:
                errors.append(number)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not errors and not any(thread.is_alive() for thread in threads)
    ran_once = Counter(path.name.split("-")[1] for path in (root / "ran").glob("extract-*"))
    assert {ran_once[job.key] for job in jobs} == {1}
    store = FolderStore(root / "store")
    assert all(store.get(job.key) for job in jobs)


@ray.remote(num_cpus=0, max_retries=0)
def a_client_that_is_killed(handles, job):
    """Its trial's process ends while its job is computed."""
    threading.Timer(1.0, os._exit, (9,)).start()
    RayStages(handles, "killed").run([job])


def test_a_killed_client_is_replaced_and_its_job_runs_once(cluster, root):
    assert LEASE_SECONDS + RENEW_SECONDS < 30
    actor = ray.remote(StoreActor).options(num_cpus=0, max_concurrency=1000).remote(str(root / "store"), 2.0)
    handles = Handles(actor, cluster.handles.stages)
    trap(root, "collect", "sleep 3")
    job = collect(600)
    killed = a_client_that_is_killed.remote(handles, job)
    while not ray.get(actor.snapshot.remote())["clients"]:
        time.sleep(0.05)
    (result,) = RayStages(handles, "next").run([job])
    forget(root, "collect")
    with pytest.raises(ray.exceptions.RayError):
        ray.get(killed)
    assert result.key == job.key and ran(root, job) == 1


def test_a_store_that_is_away_is_no_outcome_of_a_trial(cluster, root):
    trap(root, "extract", "away")
    with pytest.raises(StoreAway, match="^store: far away: No space left on device, for 900 s$"):
        RayStages(cluster.handles, "t").run([extract("away"), collect(700)])
    forget(root, "extract")
    assert [result.hit for result in RayStages(cluster.handles, "u").run([extract("away")])] == [False]


def test_a_lost_artefact_is_computed_again_under_a_trial_that_runs(cluster, root, tmp_path):
    """An adapter that the store actor knows to be whole is damaged, and a stage that reads it finds out."""
    space = load_space(write_space(tmp_path), ["rounds=2"])
    trial, lost = space.trial({"reg": "kl_rev", "lam": 0.7, "alpha": 0.5}), []

    def report(record):
        if record["round"] == 0:
            lost.append(record["keys"]["heal"])
            folder = FolderStore(root / "store").folder(lost[0])
            (folder / "manifest.json").unlink()

    cluster.snapshot()
    stages = RayStages(cluster.handles, "mending")
    records = run_trial(trial, load_data(space), "fake", stages, report)["records"]
    assert [record["outcome"] for record in records] == ["ok", "ok"]
    again = [path.name for path in (root / "ran").glob(f"heal-{lost[0]}-*")]
    assert len(again) == 2
    (line,) = cluster.snapshot()["notices"]
    assert lost[0] in line and "a file is missing; moved to" in line and "computed again" in line


def test_order_is_kept_and_equal_jobs_run_once(cluster, root):
    jobs = [collect(3), collect(1), collect(3), extract("a"), collect(2)]
    results = RayStages(cluster.handles, "t").run(jobs)
    assert [result.key for result in results] == [job.key for job in jobs]
    assert all(ran(root, job) == 1 for job in jobs)
    again = RayStages(cluster.handles, "u").run(jobs)
    assert all(result.hit for result in again)
    assert all(ran(root, job) == 1 for job in jobs)


def test_jobs_of_different_clients_share_batches(cluster, root):
    trap(root, "collect", "sleep 0.5")
    (root / "batches.txt").write_text("")
    threads = [
        threading.Thread(target=RayStages(cluster.handles, f"c{number}").run, args=([collect(100 + number)],))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    forget(root, "collect")
    batches = [int(line.split()[1]) for line in (root / "batches.txt").read_text().splitlines()]
    assert sum(batches) == 8 and len(batches) <= 4 and max(batches) <= 4


def test_a_failure_reaches_only_its_client(cluster, root):
    trap(root, "extract", "fail")
    with pytest.raises(StageError, match="told to fail"):
        RayStages(cluster.handles, "bad").run([extract("bad"), collect(50)])
    assert RayStages(cluster.handles, "good").run([collect(50)])[0].hit
    forget(root, "extract")
    assert not RayStages(cluster.handles, "later").run([extract("bad")])[0].hit


def test_a_killed_stage_actor_comes_back_and_the_job_is_done(cluster, root):
    trap(root, "collect", "sleep 2")
    pid = ray.get(cluster.stage_actors[0].pid.remote())
    jobs = [collect(200 + number) for number in range(3)]
    threading.Timer(1.0, os.kill, (pid, 9)).start()
    threading.Timer(1.5, forget, (root, "collect")).start()
    results = RayStages(cluster.handles, "t").run(jobs)
    assert [result.key for result in results] == [job.key for job in jobs]
    assert ray.get(cluster.stage_actors[0].pid.remote()) != pid


def returned(actor, seconds=60):
    """The process id of an actor that has died, once it has started again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ray.get(actor.pid.remote())
        except ActorUnavailableError:
            assert time.monotonic() < deadline, "it does not come back"
            time.sleep(0.5)


def test_a_job_that_kills_its_actor_is_given_up_and_others_go_on(cluster, root):
    trap(root, "extract", "die")
    poison = RayStages(cluster.handles, "poison")
    with pytest.raises(StageError, match="died 3 times under this job; the trial is given up"):
        poison.run([extract("poison")])
    forget(root, "extract")
    pid = returned(cluster.stage_actors[0])
    with pytest.raises(StageError, match="died 3 times"):
        poison.run([collect(301)])
    assert RayStages(cluster.handles, "t").run([collect(300), extract("poison")])
    assert ray.get(cluster.stage_actors[0].pid.remote()) == pid


def test_a_killed_actor_does_not_compute_again_what_it_had_stored(cluster, root):
    """It dies after storing, before anybody heard of it."""
    job = collect(310)
    trap(root, "collect", "die stored")
    (result,) = RayStages(cluster.handles, "t").run([job])
    forget(root, "collect")
    assert result.key == job.key and result.hit and ran(root, job) == 1


def test_a_killed_store_actor_costs_a_wait(cluster, root):
    trap(root, "collect", "sleep 3")
    jobs = [collect(320 + number) for number in range(2)]
    place, *_ = ray.get(cluster.store.progress.remote())
    threading.Timer(1.0, os.kill, (place.pid, 9)).start()
    results = RayStages(cluster.handles, "t").run(jobs)
    forget(root, "collect")
    assert [result.key for result in results] == [job.key for job in jobs]
    assert all(ran(root, job) == 1 for job in jobs) and ray.get(cluster.store.progress.remote())[0] != place


def test_an_actor_that_hangs_is_named_and_in_the_end_started_anew(cluster, root, monkeypatch):
    (watched,) = [one for one in cluster.watch.watched if one.name == "the model"]
    cluster.watch.look()
    assert cluster.watch.worries == {}
    pid = ray.get(cluster.stage_actors[0].pid.remote())
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(watch, "SILENT_SECONDS", 1.0)
    deadline = time.monotonic() + 60
    while not cluster.watch.worries:
        assert time.monotonic() < deadline
        cluster.watch.look()
    (what, seconds), = cluster.watch.worries.values()
    assert what == f"the process for the model (pid {pid} on 127.0.0.1) has not answered" and seconds > 1
    monkeypatch.setattr(watch, "HUNG_SECONDS", 1.0)
    while watched.place is None or watched.place.pid == pid or cluster.watch.worries:
        assert time.monotonic() < deadline
        cluster.watch.look()
    assert RayStages(cluster.handles, "t").run([collect(330)])


@ray.remote(num_cpus=0)
def a_trial(settings, data, handles):
    """What a trial's process does, and what it has imported then."""
    import steerheal.actors.trial  # noqa: F401
    from steerheal.config import TrialConfig

    summary = run_trial(TrialConfig.model_validate_json(settings), data, "fake", RayStages(handles, "trial"))
    return summary, sorted({"torch", "transformers", "peft"} & set(sys.modules))


def test_a_trial_runs_without_torch(cluster, tmp_path):
    space = load_space(write_space(tmp_path))
    trial = space.trial({"reg": "kl_rev", "lam": 0.5, "alpha": 0.5})
    code = "import sys, steerheal.actors.trial; print({'torch', 'transformers'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
    summary, heavy = ray.get(a_trial.remote(trial.model_dump_json(), load_data(space), cluster.handles))
    assert summary["verdict"] == "ok" and heavy == []


def test_ray_listens_on_loopback_and_asks_for_a_token(cluster):
    node = ray.nodes()[0]
    assert node["NodeManagerAddress"] == "127.0.0.1"
    code = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False)"
    open_mode = os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_NUM_REDIS_GET_RETRIES": "2"}
    address = ray.get_runtime_context().gcs_address
    done = subprocess.run(
        [sys.executable, "-c", code, address], env=open_mode, capture_output=True, text=True, timeout=90
    )
    assert done.returncode != 0 and "oken" in done.stderr


def test_artefacts_lie_in_the_store(cluster, root):
    (result,) = RayStages(cluster.handles, "t").run([collect(400)])
    assert FolderStore(root / "store").get(result.key).summary == result.summary


def refuse(device):
    raise UserError("model: no such model; check the name")


def spread(root):
    """One kind per actor, generation twice, all without a GPU; then a shared GPU, which this machine may not
    have.
    """
    resources = Resources(placement="spread", concurrent=1, generation=Kind(replicas=2))
    with Cluster(resources, partial(load_fake, root), f"{root}/store") as cluster:
        assert cluster.fingerprint() == "fake" and len(cluster.stage_actors) == 4
        assert len(set(cluster.handles.stages["collect"])) == 2 and len(cluster.handles.stages["heal"]) == 1
        jobs = [collect(number) for number in range(6)]
        assert [result.key for result in RayStages(cluster.handles, "t").run(jobs)] == [
            job.key for job in jobs
        ]
        batches = (Path(root) / "batches.txt").read_text().split("\n")
        assert sum(int(line.split()[1]) for line in batches if line) == 6 and len(batches) > 2
        assert {cluster.handles.actor("collect", turn) for turn in (1, 2)} == set(cluster.handles.stages["collect"])
    with Cluster(Resources(placement="gpu", concurrent=1), partial(load_fake, root), f"{root}/store"):
        pass


def in_own_process(code, *arguments):
    """One driver has one Ray, so other clusters are other processes'."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=os.environ | PATHS, capture_output=True, text=True, timeout=120)


def test_a_model_that_cannot_be_loaded_is_one_line(root):
    code = (
        "import sys; from steerheal.actors.cluster import Cluster\n"
        "from steerheal.config.sources import Resources\n"
        "from test_actors import refuse\n"
        "with Cluster(Resources(concurrent=1), refuse, sys.argv[1]) as cluster: cluster.fingerprint()\n"
    )
    done = in_own_process(code, root / "none")
    assert (
        done.stderr.strip().splitlines()[-1]
        == "steerheal.errors.UserError: model: no such model; check the name"
    )


def test_kinds_on_their_own_actors_with_replicas(tmp_path):
    done = in_own_process("import sys; from test_actors import spread; spread(sys.argv[1])", tmp_path)
    last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
    assert (
        last.startswith("steerheal.errors.UserError: resources.placement: gpu needs") or done.returncode == 0
    ), done.stderr
