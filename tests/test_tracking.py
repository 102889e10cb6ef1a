"""MLflow: the runs, what is in them, and that nothing is left open or doubled."""

import shutil

from tracked import RECORD, ROW, fresh_store, own_store, run_folder, runs, tracker  # noqa: F401

from steerheal.tracking.figures import round_metrics


def test_a_sweep_in_mlflow(run_folder):
    said = []
    tracked = tracker(run_folder, said=said)
    tracked.started(3, ROW["params"])
    tracked.reference("base", {"coherence": 0.999, "nats": {"care": -2.0}})
    tracked.reference("base", {"coherence": 0.1})
    tracked.round(3, RECORD, seeds=1)
    tracked.ended(ROW, [run_folder / "completions.jsonl"])
    tracked.close("FINISHED", [run_folder / "completions.jsonl"])
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
    logged = {file.path for file in client.list_artifacts(found["run"].info.run_id)}
    assert logged == {"completions.jsonl", "space.yaml"}
    assert found["base"].data.metrics["coherence"] == 0.999


def test_only_named_fields_are_logged(run_folder):
    tracked = tracker(run_folder)
    tracked.started(3, ROW["params"])
    tracked.round(3, RECORD | {"environment": {"HF_TOKEN": 1.0}}, seeds=1)
    tracked.ended(ROW | {"argv": "--token hf_secret"}, [])
    tracked.close("FINISHED")
    assert all(b"hf_secret" not in path.read_bytes() for path in run_folder.parent.rglob("*") if path.is_file())
    assert not any("HF_TOKEN" in name for name, _, _ in round_metrics(RECORD | {"environment": {"HF_TOKEN": 1.0}}))


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


def test_another_store_gets_all_of_the_sweep(run_folder, fresh_store, monkeypatch):
    finished = [ROW | {"records": [RECORD], "files": [run_folder / "completions.jsonl"]}]
    tracker(run_folder, finished).close("FINISHED")
    other, said = run_folder.parent / "other", []
    other.mkdir()
    shutil.copy(fresh_store, other)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other / 'mlflow.db'}")
    tracker(run_folder, finished, said).close("FINISHED")
    _, found = runs(other / "run")
    assert said == [] and set(found) == {"run", "trial 3"}


def test_a_store_that_is_away_is_said_once(run_folder, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:hf_secret@127.0.0.1:9")
    said = []
    tracked = tracker(run_folder, said=said)
    tracked.started(3, ROW["params"])
    tracked.ended(ROW, [])
    tracked.close("FINISHED")
    assert len(said) == 1 and "--resume" in said[0] and "hf_secret" not in said[0]


def two_seeds(tracked):
    """A trial of two seeds, up to its end."""
    tracked.started(3, ROW["params"])
    for seed in (0, 1):
        tracked.round(3, RECORD | {"seed": seed, "gain": 0.5 + seed}, seeds=2)


def test_seeds_are_runs_inside_their_trial(run_folder):
    tracked = tracker(run_folder)
    two_seeds(tracked)
    fates = {"0": "ok", "1": "diverged"}
    tracked.ended(ROW | {"seeds": 2, "summary": ROW["summary"] | {"gain_se": 0.5, "seeds": fates}}, [])
    tracked.close("FINISHED")
    _, found = runs(run_folder)
    assert set(found) == {"run", "trial 3", "trial 3 seed 0", "trial 3 seed 1"}
    trial, seed = found["trial 3"], found["trial 3 seed 1"]
    assert seed.data.tags["mlflow.parentRunId"] == trial.info.run_id
    assert seed.data.tags["verdict"] == "diverged" and trial.data.tags["verdict"] == "ok"
    assert seed.data.params == {"reg": "nll", "layers": "[1, 2]", "seed": "1"}
    assert seed.data.metrics["round/gain"] == seed.data.metrics["gain"] == 1.5
    assert trial.data.metrics["gain_se"] == 0.5 and "round/gain" not in trial.data.metrics
    assert {run.info.status for run in found.values()} == {"FINISHED"}


def test_seeds_of_an_interrupted_trial_are_reopened(run_folder):
    tracked = tracker(run_folder)
    two_seeds(tracked)
    tracked.close("KILLED")
    _, before = runs(run_folder)
    assert {run.info.status for run in before.values()} == {"KILLED"}
    again = tracker(run_folder)
    two_seeds(again)
    again.ended(ROW | {"seeds": 2, "summary": ROW["summary"] | {"seeds": {"0": "ok", "1": "ok"}}}, [])
    again.close("FINISHED")
    _, after = runs(run_folder)
    assert {name: run.info.run_id for name, run in after.items()} == {
        name: run.info.run_id for name, run in before.items()
    }
    assert {run.info.status for run in after.values()} == {"FINISHED"}


def test_what_a_killed_driver_left_running_is_ended(run_folder):
    tracked = tracker(run_folder)
    two_seeds(tracked)
    tracked.events.put(None)
    tracked.thread.join(60)
    assert {run.info.status for run in runs(run_folder)[1].values()} == {"RUNNING"}
    tracker(run_folder).close("FINISHED")
    found = runs(run_folder)[1]
    assert found.pop("run").info.status == "FINISHED"
    assert len(found) == 3 and {run.info.status for run in found.values()} == {"KILLED"}


def test_a_run_begun_when_the_driver_was_killed_is_no_orphan(run_folder):
    tracked = tracker(run_folder)
    tracked.close("KILLED")
    client, found = runs(run_folder)
    parent = found["run"].info
    sweep = found["run"].data.tags["sweep"]
    client.create_run(parent.experiment_id, run_name="trial 9", tags={"sweep": sweep})
    client.create_run(parent.experiment_id, run_name="another's", tags={"sweep": "run 0123abcd"})
    tracker(run_folder).close("FINISHED")
    assert set(runs(run_folder)[1]) == {"run", "another's"}
