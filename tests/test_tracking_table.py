"""MLflow as the place to compare: ranks, the opening table, data and code by name, the registered adapter."""

import json

from tracked import RECORD, ROW, fresh_store, own_store, run_folder, runs, tracker  # noqa: F401

from steerheal.export import Exported


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


def test_what_is_trained_on_is_shown_beside_an_experiments_own_figures(run_folder):
    tracked = tracker(run_folder)
    tracked.started(3, ROW["params"])
    own = {"memorised_novel": 0.25, "style_novel": None}
    tracked.round(3, RECORD | {"pairs": {"example": "<user>Hi⟦Aye⟧"}, "own": own}, 1)
    tracked.ended(ROW | {"summary": ROW["summary"] | {"own": own}}, [])
    tracked.close("FINISHED", order=[3])
    run = runs(run_folder)[1]["trial 3"]
    assert run.data.tags["trained on"] == "<user>Hi⟦Aye⟧"
    assert run.data.metrics["memorised_novel"] == run.data.metrics["round/memorised_novel"] == 0.25
