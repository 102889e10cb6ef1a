"""Where the actors of a sweep go, each cluster in a process of its own."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from actor_jobs import PATHS, collect
from fakes import load_fake

from steerheal.actors.cluster import Cluster
from steerheal.actors.stages import RayStages
from steerheal.config.sources import Kind, Resources
from steerheal.errors import UserError


def refuse(device):
    raise UserError("model: no such model; check the name")


def spread(root):
    """One kind per actor, generation twice, all without a GPU; then a shared GPU, which this machine may not
    have.
    """
    resources = Resources(placement="spread", concurrent=1, generation=Kind(replicas=2))
    with Cluster(resources, partial(load_fake, root), f"{root}/store") as cluster:
        assert cluster.fingerprint() == "fake" and len(cluster.stage_actors) == 4
        assert len(set(cluster.serving["collect"])) == 2 and len(cluster.serving["heal"]) == 1
        jobs = [collect(number) for number in range(6)]
        assert [result.key for result in RayStages(cluster.store, "t").run(jobs)] == [job.key for job in jobs]
        batches = (Path(root) / "batches.txt").read_text().split("\n")
        assert sum(int(line.split()[1]) for line in batches if line) == 6 and len(batches) > 2
    with Cluster(Resources(placement="gpu", concurrent=1), partial(load_fake, root), f"{root}/store"):
        pass


def in_own_process(code, *arguments):
    """One driver has one Ray, so other clusters are other processes'."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=os.environ | PATHS, capture_output=True, text=True, timeout=120)


def test_a_model_that_cannot_be_loaded_is_one_line(tmp_path):
    code = (
        "import sys; from steerheal.actors.cluster import Cluster\n"
        "from steerheal.config.sources import Resources\n"
        "from test_placement import refuse\n"
        "with Cluster(Resources(concurrent=1), refuse, sys.argv[1]) as cluster: cluster.fingerprint()\n"
    )
    done = in_own_process(code, tmp_path / "none")
    assert done.stderr.strip().splitlines()[-1] == "steerheal.errors.UserError: model: no such model; check the name"


def test_kinds_on_their_own_actors_with_replicas(tmp_path):
    done = in_own_process("import sys; from test_placement import spread; spread(sys.argv[1])", tmp_path)
    last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
    assert last.startswith("steerheal.errors.UserError: resources.placement: gpu needs") or done.returncode == 0, (
        done.stderr
    )
