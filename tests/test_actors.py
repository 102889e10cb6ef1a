"""Single flight, coalescing, and what happens when processes die. The worker is arithmetic, Ray is real."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from functools import partial

import pytest
from actor_jobs import PATHS, collect, extract, forget, ran, trap
from fakes import load_fake
from small import write_space

from steerheal.actors import watch
from steerheal.actors.cluster import Cluster
from steerheal.actors.stages import RENEW_SECONDS, RayStages
from steerheal.actors.store_actor import LEASE_SECONDS, StoreActor
from steerheal.config import Heal as HealSettings
from steerheal.config.sources import Resources
from steerheal.config.space import load_space
from steerheal.errors import ArtefactLost, StageError, StoreAway
from steerheal.jobs import Heal, Score
from steerheal.loop import run_trial
from steerheal.store import FolderStore
from steerheal.trial_data import load_data

from ray.exceptions import ActorUnavailableError  # isort: skip (as below)

import ray  # isort: skip (after steerheal.actors, which sets what Ray reads on import)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def cluster(root):
    os.environ.update(PATHS)
    with Cluster(Resources(concurrent=4, pack=4), partial(load_fake, str(root)), str(root / "store")) as cluster:
        assert cluster.fingerprint() == "fake"
        yield cluster


def test_ten_clients_of_200_keys_each(cluster, root):
    """Through Ray, each in an order of its own, 20 at a time: every job runs once, and everybody gets its result."""
    jobs = [extract(f"shared {number}") for number in range(200)]
    errors = []

    def client(number):
        order = random.Random(number).sample(jobs, len(jobs))
        stages = RayStages(cluster.store, f"client {number}")
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
def a_client_that_is_killed(store, job):
    """Its trial's process ends while its job is computed."""
    threading.Timer(1.0, os._exit, (9,)).start()
    RayStages(store, "killed").run([job])


def test_a_killed_client_is_replaced_and_its_job_runs_once(cluster, root):
    assert LEASE_SECONDS + RENEW_SECONDS < 30
    actor = ray.remote(StoreActor).options(num_cpus=0, max_concurrency=1000).remote(str(root / "store"), 2.0)
    ray.get(actor.serve.remote(cluster.serving))
    trap(root, "collect", "sleep 3")
    job = collect(600)
    killed = a_client_that_is_killed.remote(actor, job)
    while not ray.get(actor.snapshot.remote())["clients"]:
        time.sleep(0.05)
    (result,) = RayStages(actor, "next").run([job])
    forget(root, "collect")
    with pytest.raises(ray.exceptions.RayError):
        ray.get(killed)
    assert result.key == job.key and ran(root, job) == 1


def test_a_store_that_is_away_is_no_outcome_of_a_trial(cluster, root):
    trap(root, "extract", "away")
    with pytest.raises(StoreAway, match="^store: far away: No space left on device, for 900 s$"):
        RayStages(cluster.store, "t").run([extract("away"), collect(700)])
    forget(root, "extract")
    assert [result.hit for result in RayStages(cluster.store, "u").run([extract("away")])] == [False]


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
    stages = RayStages(cluster.store, "mending")
    records = run_trial(trial, load_data(space), "fake", stages, report)["records"]
    assert [record["outcome"] for record in records] == ["ok", "ok"]
    again = [path.name for path in (root / "ran").glob(f"heal-{lost[0]}-*")]
    assert len(again) == 2
    (line,) = cluster.snapshot()["notices"]
    assert lost[0] in line and "a file is missing; moved to" in line and "computed again" in line


def test_order_is_kept_and_equal_jobs_run_once(cluster, root):
    jobs = [collect(3), collect(1), collect(3), extract("a"), collect(2)]
    results = RayStages(cluster.store, "t").run(jobs)
    assert [result.key for result in results] == [job.key for job in jobs]
    assert all(ran(root, job) == 1 for job in jobs)
    again = RayStages(cluster.store, "u").run(jobs)
    assert all(result.hit for result in again)
    assert all(ran(root, job) == 1 for job in jobs)


def test_jobs_of_different_clients_share_batches(cluster, root):
    trap(root, "collect", "sleep 0.5")
    (root / "batches.txt").write_text("")
    threads = [
        threading.Thread(target=RayStages(cluster.store, f"c{number}").run, args=([collect(100 + number)],))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    forget(root, "collect")
    batches = [int(line.split()[1]) for line in (root / "batches.txt").read_text().splitlines()]
    assert sum(batches) == 8 and len(batches) <= 4 and max(batches) <= 4


def test_what_is_asked_of_base_takes_no_students_place(cluster, root):
    """Or it would split trials that are in step into those whose student found room beside it and those of the next
    batch.
    """
    heals = [Heal("fake", (), (), "data", HealSettings(), seed) for seed in range(4)]
    students = [(result.key,) for result in RayStages(cluster.store, "healer").run(heals)]
    base = [Score("fake", (), f"system {number}", (), 99) for number in range(6)]
    (root / "batches.txt").write_text("")
    RayStages(cluster.store, "asks").run([*base, *(Score("fake", student, None, (), 99) for student in students)])
    assert [line.split()[:2] for line in (root / "batches.txt").read_text().splitlines()] == [["score", "10"]]


def test_a_failure_reaches_only_its_client(cluster, root):
    trap(root, "extract", "fail")
    with pytest.raises(StageError, match="told to fail"):
        RayStages(cluster.store, "bad").run([extract("bad"), collect(50)])
    assert RayStages(cluster.store, "good").run([collect(50)])[0].hit
    forget(root, "extract")
    assert not RayStages(cluster.store, "later").run([extract("bad")])[0].hit


def test_what_fails_for_want_of_an_artefact_is_no_death_of_its_process(cluster, root):
    trap(root, "extract", "lost 0123")
    for number in range(5):
        with pytest.raises(ArtefactLost):
            RayStages(cluster.store, f"reader {number}").run([extract("wanting")])
    forget(root, "extract")
    assert RayStages(cluster.store, "reader").run([extract("wanting")])


def test_a_killed_stage_actor_comes_back_and_the_job_is_done(cluster, root):
    trap(root, "collect", "sleep 2")
    pid = ray.get(cluster.stage_actors[0].pid.remote())
    jobs = [collect(200 + number) for number in range(3)]
    threading.Timer(1.0, os.kill, (pid, 9)).start()
    threading.Timer(1.5, forget, (root, "collect")).start()
    results = RayStages(cluster.store, "t").run(jobs)
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
    poison = RayStages(cluster.store, "poison")
    with pytest.raises(StageError, match="died 3 times under this job; the trial is given up"):
        poison.run([extract("poison")])
    forget(root, "extract")
    pid = returned(cluster.stage_actors[0])
    with pytest.raises(StageError, match="died 3 times"):
        poison.run([collect(301)])
    assert RayStages(cluster.store, "t").run([collect(300), extract("poison")])
    assert ray.get(cluster.stage_actors[0].pid.remote()) == pid


def test_a_killed_actor_does_not_compute_again_what_it_had_stored(cluster, root):
    """It dies after storing, before anybody heard of it."""
    job = collect(310)
    trap(root, "collect", "die stored")
    (result,) = RayStages(cluster.store, "t").run([job])
    forget(root, "collect")
    assert result.key == job.key and result.hit and ran(root, job) == 1


def watched_by_its_driver(cluster, jobs):
    """Results of a trial while the driver looks after the cluster, as it does in a sweep."""
    found = []
    trial = threading.Thread(target=lambda: found.extend(RayStages(cluster.store, "t").run(jobs)))
    trial.start()
    while trial.is_alive():
        cluster.snapshot()
    return found


def test_a_killed_store_actor_costs_a_wait(cluster, root):
    trap(root, "collect", "sleep 3")
    jobs = [collect(320 + number) for number in range(2)]
    place, *_ = ray.get(cluster.store.progress.remote())
    threading.Timer(1.0, os.kill, (place.pid, 9)).start()
    results = watched_by_its_driver(cluster, jobs)
    forget(root, "collect")
    assert [result.key for result in results] == [job.key for job in jobs]
    assert all(ran(root, job) == 1 for job in jobs) and ray.get(cluster.store.progress.remote())[0] != place
    assert watched_by_its_driver(cluster, [collect(322)]), "the one that was restarted learns who computes"


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
    ((what, seconds),) = cluster.watch.worries.values()
    assert what == f"the process for the model (pid {pid} on 127.0.0.1) has not answered" and seconds > 1
    monkeypatch.setattr(watch, "HUNG_SECONDS", 1.0)
    while watched.place is None or watched.place.pid == pid or cluster.watch.worries:
        assert time.monotonic() < deadline
        cluster.watch.look()
    assert RayStages(cluster.store, "t").run([collect(330)])


@ray.remote(num_cpus=0)
def a_trial(settings, data, store):
    """What a trial's process does, and what it has imported then."""
    import steerheal.actors.trial  # noqa: F401
    from steerheal.config import TrialConfig

    summary = run_trial(TrialConfig.model_validate_json(settings), data, "fake", RayStages(store, "trial"))
    return summary, sorted({"torch", "transformers", "peft"} & set(sys.modules))


def test_a_trial_runs_without_torch(cluster, tmp_path):
    space = load_space(write_space(tmp_path))
    trial = space.trial({"reg": "kl_rev", "lam": 0.5, "alpha": 0.5})
    code = "import sys, steerheal.actors.trial; print({'torch', 'transformers'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
    summary, heavy = ray.get(a_trial.remote(trial.model_dump_json(), load_data(space), cluster.store))
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
    (result,) = RayStages(cluster.store, "t").run([collect(400)])
    assert FolderStore(root / "store").get(result.key).summary == result.summary
