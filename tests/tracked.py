"""Runs of a sweep in a fresh MLflow store, for the tests of tracking."""

import shutil

import pytest
from mlflow import MlflowClient

from steerheal.tracking import Tracker
from steerheal.tracking.about import About, Data

RECORD = {
    "seed": 0,
    "round": 1,
    "outcome": "ok",
    "gain": 0.5,
    "coherence": 0.99,
    "slope": None,
    "kappa": 0.8,
    "healed": {"nats": {"care": -1.0}},
    "collect": {"generated": 9, "kept": 6, "drops": {"loops": 3}},
    "heal": {
        "steps": [{"step": 0, "nll": 3.0}, {"step": 1, "nll": 2.0}],
        "validation": [{"epoch": 0, "nll": 3.1}],
        "diverged": None,
    },
    "error": "token=hf_secret",
}
ROW = {
    "trial": 3,
    "params": {"reg": "nll", "layers": [1, 2]},
    "verdict": "ok",
    "message": "",
    "seconds": 1.0,
    "seeds": 1,
    "summary": {"gain": 0.5, "coherence": 0.99, "slope": 0.2, "seeds": {"0": "ok"}, "retain": None},
}


@pytest.fixture(autouse=True)
def own_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def fresh_store(tmp_path_factory):
    """An empty store: making one takes seconds."""
    path = tmp_path_factory.mktemp("fresh") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def run_folder(tmp_path, fresh_store):
    folder = tmp_path / "with space" / "run"
    folder.mkdir(parents=True)
    shutil.copy(fresh_store, folder.parent)
    (folder / "completions.jsonl").write_text("{}\n")
    return folder


def about():
    data = (Data("vignettes", "0123456789abcdef", "mine.jsonl", 132),)
    tags = {"model": "builtin", "mlflow.source.git.commit": "c" * 40}
    return About("run", "a hypothesis", "name: run\n", tags, ("reg", "lam"), data, {"system": "Hello."})


def tracker(folder, finished=(), said=None):
    made = Tracker(folder, "sweeps", (said if said is not None else []).append)
    made.open(about(), finished)
    return made


def runs(folder):
    client = MlflowClient(f"sqlite:///{folder.parent / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("sweeps")
    return client, {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
