"""MLflow: the runs, what is in them, and that nothing is left open or doubled."""

import json
import shutil

import pytest
from mlflow import MlflowClient

from steerheal.export import Exported
from steerheal.tracking import Tracker
from steerheal.tracking.about import About, Data
from steerheal.tracking.figures import round_metrics

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
    (folder / "space.yaml").write_text("name: run\n")
    (folder / "completions.jsonl").write_text("{}\n")
    return folder


def about(folder):
    data = (Data("vignettes", "0123456789abcdef", "mine.jsonl", 132),)
    tags = {"model": "builtin", "mlflow.source.git.commit": "c" * 40}
    space, serving = folder / "space.yaml", {"system": "Hello."}
    return About("run", "a hypothesis", space, tags, ("reg", "lam"), data, serving)


def tracker(folder, finished=(), said=None):
    made = Tracker(folder, "sweeps", (said if said is not None else []).append)
    made.open(about(folder), finished)
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


def test_ranks_are_figures_to_sort_by_and_follow_the_order(run_folder):
    tracked = tracker(run_folder)
    for number in (3, 4):
        tracked.started(number, ROW["params"])
        tracked.ended(ROW | {"trial": number}, [])
    tracked.close("FINISHED", order=[4, 3])
    found = runs(run_folder)[1]
    assert [found[f"trial {number}"].data.metrics["rank"] for number in (3, 4)] == [2, 1]
    tracker(run_folder).close("FINISHED", order=[3, 4])
    client, found = runs(run_folder)
    assert [found[f"trial {number}"].data.metrics["rank"] for number in (3, 4)] == [1, 2]
    tracker(run_folder).close("FINISHED", order=[3, 4])
    assert len(client.get_metric_history(found["trial 3"].info.run_id, "rank")) == 2


def test_runs_name_their_data_and_their_code(run_folder):
    tracked = tracker(run_folder)
    tracked.started(3, ROW["params"])
    tracked.close("FINISHED")
    for run in runs(run_folder)[1].values():
        (found,) = run.inputs.dataset_inputs
        assert (found.dataset.name, found.dataset.digest) == ("vignettes", "0123456789abcdef")
        assert json.loads(found.dataset.source) == {"name": "mine.jsonl"}
        assert json.loads(found.dataset.profile) == {"rows": 132}
        assert [(tag.key, tag.value) for tag in found.tags] == [("mlflow.data.context", "evaluation")]
    parent = runs(run_folder)[1]["run"].data.tags
    assert parent["mlflow.source.git.commit"] == "c" * 40 and parent["mlflow.note.content"] == "a hypothesis"


def test_the_best_adapter_is_registered_once(run_folder):
    best = run_folder / "best"
    best.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors", "README.md"):
        (best / name).write_text(f"the file {name}")
    for _ in range(2):
        tracked = tracker(run_folder)
        tracked.started(3, ROW["params"])
        tracked.ended(ROW, [])
        tracked.close("FINISHED", order=[3], best=Exported(best, ROW, "0"))
    client, found = runs(run_folder)
    (version,) = client.search_model_versions("name = 'steerheal-sweeps'")
    assert version.run_id == found["trial 3"].info.run_id and version.status == "READY"
    assert version.description == "the file README.md"
    assert version.tags["verdict"] == "ok" and version.tags["gain"] == "0.5" and version.tags["seed"] == "0"
    (output,) = found["trial 3"].outputs.model_outputs
    stored = {file.path for file in client.list_logged_model_artifacts(output.model_id)}
    assert stored == {"MLmodel", "README.md", "adapter"}


def test_a_registry_that_fails_leaves_no_run_open(run_folder, monkeypatch):
    def full(*arguments):
        raise OSError("no space left")

    monkeypatch.setattr("steerheal.tracking.registry.digest", lambda best: "digest")
    monkeypatch.setattr("steerheal.tracking.registry.register", full)
    said = []
    tracked = tracker(run_folder, said=said)
    tracked.started(3, ROW["params"])
    tracked.ended(ROW, [])
    tracked.close("FINISHED", best=Exported(run_folder, ROW, "0"))
    assert len(said) == 1 and "no space left" in said[0]
    assert {run.info.status for run in runs(run_folder)[1].values()} == {"FINISHED"}


def test_the_table_opens_as_a_leaderboard(run_folder):
    tracked = tracker(run_folder)
    tracked.close("FINISHED")
    client, found = runs(run_folder)
    tags = client.get_experiment_by_name("sweeps").tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    (key,) = (name for name in tags if name.startswith("mlflow.sharedViewState."))
    assert tracked.page.endswith(f"viewStateShareKey={key.rpartition('.')[2]}")
    view = json.loads(tags[key])
    state = json.loads(view["state"])
    assert view["name"] == "run"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`rank`", True)
    assert state["selectedColumns"][0] == "tags.`verdict`" and state["selectedColumns"][-1] == "params.`lam`"
    parallel = state["compareRunCharts"][0]
    assert parallel["type"] == "PARALLEL" and parallel["selectedParams"] == ["reg", "lam"]
    assert parallel["selectedMetrics"] == ["trait", "coherence", "slope"]
    assert found["run"].data.tags["sweep"] in state["searchFilter"]


def test_a_view_that_was_changed_by_hand_stays(run_folder):
    tracker(run_folder).close("FINISHED")
    client = runs(run_folder)[0]
    experiment = client.get_experiment_by_name("sweeps")
    (key,) = (name for name in experiment.tags if name.startswith("mlflow.sharedViewState."))
    client.set_experiment_tag(experiment.experiment_id, key, "mine")
    tracker(run_folder).close("FINISHED")
    assert client.get_experiment_by_name("sweeps").tags[key] == "mine"


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
