"""The command as a process of its own, with a worker that is arithmetic: what several tests start and watch."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
from mlflow import MlflowClient

TESTS = Path(__file__).parent
PLANTED = "planted-2f9c61"


def environment():
    """Of a user who has secrets."""
    secrets = dict.fromkeys(("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_TOKEN"), PLANTED)
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    made = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | secrets
    made.pop("MLFLOW_TRACKING_URI", None)
    return made


def start(space, *arguments):
    command = [
        sys.executable,
        str(TESTS / "fake_tune.py"),
        str(space),
        "--out",
        str(space.parent / "tune runs"),
        *arguments,
    ]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process, code=0):
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, out + err
    return out, err


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def descendants(process):
    """What a driver started: Ray's servers, actors, trials. (Ray's agents end by themselves, within a
    minute.)
    """
    found = psutil.Process(process.pid).children(recursive=True)
    return [child for child in found if "Agent" not in child.name()]


def heals(out):
    """How many heals were begun."""
    return (out / "batches.txt").read_text().count("heal")


def holds_secret(path):
    """Whether the planted secret is in a file."""
    return PLANTED.encode() in path.read_bytes()


def mlflow_runs(out, experiment="small"):
    client = MlflowClient(f"sqlite:///{out / 'mlflow.db'}")
    return client, client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
