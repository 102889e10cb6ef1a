"""A cluster of several Ray nodes that come and go under a sweep. The worker is arithmetic, the nodes are real."""

import json
import os
import socket
import subprocess
import sys
import time

import psutil
import pytest
from actor_jobs import PATHS
from cli_sweeps import TESTS, mlflow_runs, wait_for
from fakes import FakeWorker
from small import write_space

from steerheal.config.space import load_space
from steerheal.loop import run_trial
from steerheal.results import RunFolder
from steerheal.trial_data import load_data
from steerheal.worker import LocalStages

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        " " in sys.executable, reason="a node started by hand cannot start processes from a path with spaces"
    ),
]
SETS = ["sampler=grid", "trials=8", "wd=[0,5]", "reg=kl_rev", "lam=[0.25,0.5]", "concurrent=2"]
# A node that is gone is missed sooner than by Ray's defaults.
SOON = {
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_initial_delay_ms": "0",
}
FREE = """
import ray, sys, time
ray.init(address=sys.argv[1], log_to_driver=False)
began = time.monotonic()
while ray.available_resources().get("CPU") != ray.cluster_resources()["CPU"] and time.monotonic() - began < 60:
    time.sleep(0.5)
assert ray.available_resources()["CPU"] == ray.cluster_resources()["CPU"], ray.available_resources()
"""


class Nodes:
    """Ray nodes of this machine, each started as docker/README.md says: a process group of its own."""

    def __init__(self, place):
        self.place, self.started = place, []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_"))}
        # The token lies in HOME.
        self.env = clean | PATHS | SOON | {"HOME": str(place), "RAY_AUTH_MODE": "token", "OMP_NUM_THREADS": "1"}
        self._run("get-auth-token", "--generate").wait(60)
        (place / ".ray" / "auth_token").chmod(0o600)

    def _run(self, *words):
        with open(self.place / f"log{len(self.started)}", "w") as log:
            command = [sys.executable, "-m", "ray.scripts.scripts", *words]
            return subprocess.Popen(command, env=self.env, stdout=log, stderr=log)

    def start(self, cpus, *words):
        """A node; returns its process."""
        where = ["--head", f"--port={self.address.split(':')[1]}", "--include-dashboard=false"]
        where = [f"--address={self.address}"] if self.started else where
        common = ["--block", "--node-ip-address=127.0.0.1", "--disable-usage-stats", f"--num-cpus={cpus}"]
        node = self._run("start", *where, *common, *words, "--object-store-memory=100000000")
        log = self.place / f"log{len(self.started)}"
        self.started.append(node)
        deadline = time.monotonic() + 60
        while "--block" not in log.read_text():
            assert node.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        return node

    def end(self):
        """All of them."""
        for node in reversed(self.started):
            node.terminate()
        for node in self.started:
            node.wait(60)


def titles(node):
    """What the processes of a node call themselves."""
    try:
        found = psutil.Process(node.pid).children(recursive=True)
        return [" ".join(process.cmdline()) for process in found]
    except psutil.NoSuchProcess:
        return []


def hosts(node, kind):
    return any(title.startswith(f"ray::{kind}") for title in titles(node))


def lose(node):
    """As when a machine is switched off: the node's own process is gone, and with it all that it had started."""
    for process in psutil.Process(node.pid).children():
        if process.name() == "raylet":
            process.kill()
    node.wait(60)


@pytest.fixture
def nodes(tmp_path):
    made = Nodes(tmp_path)
    yield made
    made.end()


def expected(space, out):
    """What the same trials give in one process."""
    worker, data = FakeWorker(out / "alone"), load_data(space)
    for params in space.grid():
        summary = run_trial(space.trial(params), data, "fake", LocalStages(worker))
        yield params, {name: value for name, value in summary.items() if name != "records"}


def tune(nodes, tmp_path, *more):
    """A sweep on the cluster, its folder, and where it says what it does."""
    path, out = write_space(tmp_path), tmp_path / "runs"
    (out / "traps").mkdir(parents=True)
    (out / "traps" / "heal").write_text("sleep 2")
    command = [sys.executable, str(TESTS / "fake_tune.py"), str(path), "--out", str(out)]
    command += [word for one in (*SETS, *more) for word in ("--set", one)]
    with open(tmp_path / "printed", "w") as log:
        sweep = subprocess.Popen(command, env=nodes.env | {"RAY_ADDRESS": nodes.address}, stdout=log, stderr=log)
    return sweep, RunFolder(out / "small"), path


def test_a_node_that_is_added_takes_work(nodes, tmp_path):
    """A process that finds no room at first comes when there is a node for it; a kind goes to the node that it names."""
    nodes.start(0)
    first = nodes.start(4, '--resources={"small": 1}')
    alone = "generation.resources={small: 1}"
    sweep, folder, path = tune(nodes, tmp_path, "placement=spread", "trainer.replicas=2", alone)
    wait_for(lambda: len(folder.trials) >= 1, 120)
    assert sum(title.startswith("ray::StageActor") for title in titles(first)) == 3
    added = nodes.start(2)
    wait_for(lambda: hosts(added, "StageActor"), 60)
    code, printed = sweep.wait(120), (tmp_path / "printed").read_text()
    assert code == 0 and len(folder.trials) == 8, printed
    pids = {line.split()[2] for line in (tmp_path / "runs" / "batches.txt").read_text().splitlines() if "heal" in line}
    assert len(pids) == 2, "both heal"


def test_nodes_are_lost_and_added_during_a_sweep(nodes, tmp_path):
    nodes.start(0)
    alive = [nodes.start(2) for _ in range(3)]
    sweep, folder, path = tune(nodes, tmp_path)
    for finished in (1, 3):
        wait_for(lambda: len(folder.trials) >= finished and any(hosts(node, "StageActor") for node in alive), 120)
        lost = next(node for node in alive if hosts(node, "StageActor"))
        alive.remove(lost)
        lose(lost)
    added = nodes.start(2)
    wait_for(lambda: len(folder.trials) >= 4, 120)
    lose(alive[0])
    wait_for(lambda: hosts(added, "StageActor") and hosts(added, "ImplicitFunc"))
    code, printed = sweep.wait(120), (tmp_path / "printed").read_text()
    assert code == 0, printed
    assert not [row["message"] for row in folder.trials if row["message"]], printed
    space = load_space(path, SETS)
    assert [[row["params"], row["summary"]] for row in folder.trials] == json.loads(
        json.dumps(list(expected(space, folder.path.parent)))
    )
    assert {run.info.status for run in mlflow_runs(folder.path.parent)[1]} == {"FINISHED"}
    subprocess.run([sys.executable, "-c", FREE, nodes.address], env=nodes.env, check=True, timeout=120)
