"""MLflow: the runs, what is in them, and that nothing is left open or doubled."""

import shutil

import pytest
from mlflow import MlflowClient

from steerheal.tracking import Tracker, round_metrics

RECORD = {
    "seed": 0,
    "round": 1,
    "outcome": "ok",
    "gain": 0.5,
    "coherence": 0.99,
    "slope": None,
    "kappa": 0.8,
    "nats": {"care": -1.0},
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
    (folder / "space.yaml").write_text("name: run\n")
    (folder / "completions.jsonl").write_text("{}\n")
    return folder


def tracker(folder, finished=(), said=None):
    made = Tracker(folder, "sweeps", (said if said is not None else []).append)
    made.open("run", folder / "space.yaml", {"model": "builtin"}, finished)
    return made


def runs(folder):
    client = MlflowClient(f"sqlite:///{folder.parent / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("sweeps")
    return client, {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def test_a_sweep_in_mlflow(run_folder):
    said = []
    tracked = tracker(run_folder, said=said)
    tracked.started(3, ROW["params"])
    tracked.reference("base", {"coherence": 0.999, "nats": {"care": -2.0}})
    tracked.reference("base", {"coherence": 0.1})
    tracked.round(3, RECORD, seeds=1)
    tracked.ended(ROW, [run_folder / "completions.jsonl"])
    tracked.close("FINISHED", [run_folder / "space.yaml"])
    assert said == []
    client, found = runs(run_folder)
    assert set(found) == {"run", "trial 3", "base"}
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    trial = found["trial 3"]
    assert trial.data.tags["mlflow.parentRunId"] == found["run"].info.run_id
    assert trial.data.tags["verdict"] == "ok"
    assert trial.data.params == {"reg": "nll", "layers": "[1, 2]"}
    assert trial.data.metrics["gain"] == 0.5 and "retain" not in trial.data.metrics
    history = client.get_metric_history(trial.info.run_id, "heal/round 1/steps/nll")
    assert [(point.step, point.value) for point in history] == [(0, 3.0), (1, 2.0)]
    assert [point.step for point in client.get_metric_history(trial.info.run_id, "round/gain")] == [1]
    assert [file.path for file in client.list_artifacts(trial.info.run_id)] == ["completions.jsonl"]
    assert found["base"].data.metrics["coherence"] == 0.999


def test_only_named_fields_are_logged(run_folder):
    tracked = tracker(run_folder)
    tracked.started(3, ROW["params"])
    tracked.round(3, RECORD | {"environment": {"HF_TOKEN": 1.0}}, seeds=1)
    tracked.ended(ROW | {"argv": "--token hf_secret"}, [])
    tracked.close("FINISHED")
    assert all(
        b"hf_secret" not in path.read_bytes() for path in run_folder.parent.rglob("*") if path.is_file()
    )
    assert not any(
        "HF_TOKEN" in name for name, _, _ in round_metrics(RECORD | {"environment": {"HF_TOKEN": 1.0}})
    )


def test_an_interrupted_sweep_reopens_its_runs(run_folder):
    tracked = tracker(run_folder)
    tracked.started(3, ROW["params"])
    tracked.round(3, RECORD, seeds=1)
    tracked.close("KILLED")
    client, before = runs(run_folder)
    assert {run.info.status for run in before.values()} == {"KILLED"}
    again = tracker(run_folder)
    again.started(3, ROW["params"])
    again.round(3, RECORD, seeds=1)
    again.ended(ROW, [])
    again.close("FINISHED")
    _, after = runs(run_folder)
    assert {name: run.info.run_id for name, run in after.items()} == {
        name: run.info.run_id for name, run in before.items()
    }
    assert {run.info.status for run in after.values()} == {"FINISHED"}
    assert len(client.get_metric_history(after["trial 3"].info.run_id, "round/gain")) == 1


def test_what_was_finished_without_mlflow_is_logged_later(run_folder):
    finished = [ROW | {"records": [RECORD], "files": [run_folder / "completions.jsonl"]}]
    for _ in range(2):
        tracker(run_folder, finished).close("FINISHED")
    client, found = runs(run_folder)
    assert set(found) == {"run", "trial 3"}
    assert len(client.get_metric_history(found["trial 3"].info.run_id, "gain")) == 1


def test_a_store_that_is_away_is_said_once(run_folder, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:hf_secret@127.0.0.1:9")
    said = []
    tracked = tracker(run_folder, said=said)
    tracked.started(3, ROW["params"])
    tracked.ended(ROW, [])
    tracked.close("FINISHED")
    assert len(said) == 1 and "--resume" in said[0] and "hf_secret" not in said[0]


def test_seeds_have_their_own_curves(run_folder):
    tracked = tracker(run_folder)
    tracked.started(3, ROW["params"])
    for seed in (0, 1):
        tracked.round(3, RECORD | {"seed": seed}, seeds=2)
    tracked.close("FINISHED")
    _, found = runs(run_folder)
    assert {"seed 0/round/gain", "seed 1/round/gain"} <= set(found["trial 3"].data.metrics)


def test_a_run_begun_when_the_driver_was_killed_is_no_orphan(run_folder):
    tracked = tracker(run_folder)
    tracked.close("KILLED")
    client, found = runs(run_folder)
    parent = found["run"].info
    client.create_run(parent.experiment_id, run_name="trial 9", tags={"mlflow.parentRunId": parent.run_id})
    tracker(run_folder).close("FINISHED")
    assert set(runs(run_folder)[1]) == {"run"}
