"""The command, end to end through Ray, Tune, Optuna and MLflow, with a worker that is arithmetic."""

import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import optuna
import pandas
import psutil
import pytest
from cli_sweeps import (
    PLANTED,
    TESTS,
    descendants,
    environment,
    finish,
    heals,
    holds_secret,
    mlflow_runs,
    start,
    wait_for,
)
from small import write_space

from steerheal import cli, conduct, objective, tune
from steerheal.errors import UserError
from steerheal.results import RunFolder

WHOLE = "--set trials=5 --set alpha=[0.5,2.0]".split()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One undisturbed sweep: (its folder of runs, what it printed)."""
    folder = tmp_path_factory.mktemp("with space")
    process = start(write_space(folder), *WHOLE)
    out, err = finish(process)
    logs = next(Path("/tmp/ray").glob(f"session_*_{process.pid}"))
    holding = [path for place in (folder, logs) for path in place.rglob("*") if path.is_file() and holds_secret(path)]
    assert PLANTED not in out + err and not holding
    return folder / "tune runs", out, err


def test_what_a_sweep_leaves(whole):
    out, _, _ = whole
    run = RunFolder(out / "small")
    table = pandas.read_csv(run.path / "trials.csv")
    assert sorted(table["trial"]) == list(range(5))
    assert set(table["verdict"]) <= {"ok", "weak", "broad", "starved"} and "starved" in set(table["verdict"])
    assert set(table.columns) >= {
        "reg",
        "lam",
        "alpha",
        "gain",
        "coherence",
        "d_coherence",
        "slope",
        "retain",
        "message",
    }
    assert pandas.read_parquet(run.path / "trials.parquet").shape[0] == 5
    assert {(row["trial"], row["seed"], row["round"]) for row in run.records} == {(number, 0, 0) for number in range(5)}
    lines = (run.path / "completions" / "trial-000.jsonl").read_text().splitlines()
    assert len(lines) == 3 and '"gate"' in lines[0] and '"ids"' not in lines[0]
    assert (run.path / "adapters" / "best" / "adapter_config.json").exists()
    assert (run.path / "adapters" / "best" / "README.md").exists()
    plots = {path.stem for path in (run.path / "plots").glob("*.png")}
    assert plots == {"trait_coherence", "lam_gain", "lam_coherence", "lam_heal_loss"}
    assert len(list((run.path / "canaries").iterdir())) == 5 and (run.path / "about.json").exists()
    trials = optuna.load_study(study_name="sweep", storage=f"sqlite:///{run.path / 'optuna.db'}").trials
    numbered = [trial for trial in trials if "number" in trial.user_attrs]
    assert len(numbered) == 5 and {trial.state.name for trial in numbered} == {"COMPLETE"}


def test_what_a_sweep_prints(whole):
    _, printed, err = whole
    lines = printed.splitlines()
    assert sum(line.startswith("trial ") for line in lines) == 5
    assert "Leaderboard" in printed and "computed" in printed and "mlflow ui" in printed and "--resume" in printed
    assert "Traceback" not in err


def test_mlflow_has_every_trial(whole):
    out, _, _ = whole
    client, runs = mlflow_runs(out)
    kinds = [run.data.tags["kind"] for run in runs]
    assert kinds.count("sweep") == 1 and kinds.count("trial") == 5 and kinds.count("reference") >= 2
    references = {run.info.run_name for run in runs if run.data.tags["kind"] == "reference"}
    assert {"base", "base prompted", "base engineered"} < references
    assert {run.info.status for run in runs} == {"FINISHED"}
    parent = next(run for run in runs if run.data.tags["kind"] == "sweep")
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} >= {
        "space.yaml",
        "trials.csv",
        "best",
    }
    rows = {row["trial"]: row for row in RunFolder(out / "small").trials}
    for run in runs:
        if run.data.tags["kind"] == "trial":
            row = rows[int(run.data.tags["trial"])]
            assert run.data.tags["verdict"] == row["verdict"]
            assert run.data.metrics.get("gain") == row["summary"]["gain"]


def test_resuming_extends_and_repeats_nothing(whole):
    out, _, _ = whole
    before = (out / "small" / "trials.jsonl").read_bytes()
    changed = finish(start(out.parent / "small.yaml", "--resume", "--set", "lr=7.7e-4", *WHOLE), 2)[1]
    assert changed.count("\n") == 1 and "settings" in changed and "space.yaml" in changed
    printed, _ = finish(start(out.parent / "small.yaml", "--resume", *WHOLE, "--set", "trials=7"))
    assert (out / "small" / "trials.jsonl").read_bytes().startswith(before)
    assert len(RunFolder(out / "small").trials) == 7
    assert sum(line.startswith("trial ") for line in printed.splitlines()) == 2
    assert all(path.name.endswith("-0") for path in (out / "ran").iterdir())
    _, runs = mlflow_runs(out)
    kinds = [run.data.tags["kind"] for run in runs]
    assert kinds.count("sweep") == 1 and kinds.count("trial") == 7
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_killed_interrupted_and_resumed_ends_as_if_undisturbed(whole, tmp_path):
    space, out = write_space(tmp_path), tmp_path / "tune runs"
    (out / "traps").mkdir(parents=True)
    (out / "traps" / "heal").write_text("sleep 1")
    trials = out / "small" / "trials.jsonl"
    killed = start(space, *WHOLE)
    wait_for(lambda: trials.exists())
    started = descendants(killed)
    killed.kill()
    killed.communicate(timeout=60)
    kept = trials.read_bytes()
    assert started and not psutil.wait_procs(started, timeout=30)[1]
    (out / "traps" / "heal").write_text("sleep 5")
    before = heals(out)
    stopped = start(space, "--resume", *WHOLE)
    wait_for(lambda: heals(out) > before)
    started = descendants(stopped)
    stopped.send_signal(signal.SIGINT)
    printed, _ = finish(stopped, 130)
    assert not psutil.wait_procs(started, timeout=10)[1]
    assert "--resume" in printed and "stopping" in printed
    assert trials.read_bytes().startswith(kept)
    assert "RUNNING" not in {run.info.status for run in mlflow_runs(out)[1]}
    (out / "traps" / "heal").unlink()
    finish(start(space, "--resume", *WHOLE))
    told = [
        [(row["trial"], row["params"], row["verdict"], row["summary"]) for row in RunFolder(place / "small").trials[:5]]
        for place in (whole[0], out)
    ]
    assert told[0] == told[1]
    assert {run.info.status for run in mlflow_runs(out)[1]} == {"FINISHED"}


def test_failures_are_outcomes_and_a_dead_actor_is_survived(tmp_path):
    space, out = write_space(tmp_path), tmp_path / "tune runs"
    (out / "traps").mkdir(parents=True)
    (out / "traps" / "heal").write_text("fail")
    (out / "traps" / "collect").write_text("die once")
    printed, _ = finish(start(space, "--set", "trials=2"))
    rows = RunFolder(out / "small").trials
    assert [row["verdict"] for row in rows] == ["failed", "failed"]
    assert all("told to fail" in row["message"] for row in rows)
    assert printed.count("told to fail") == 2
    assert {run.info.status for run in mlflow_runs(out)[1] if run.data.tags["kind"] == "trial"} == {"FAILED"}


def refused(monkeypatch, capsys, *arguments):
    """What the command says on wrong input; one line, exit code 2."""
    monkeypatch.setattr(sys, "argv", ["tune", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.run(tune.main)
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.count("\n") == 1, err
    return err


def test_wrong_input_is_one_line_and_writes_nothing(tmp_path, monkeypatch, capsys):
    space, out = write_space(tmp_path), tmp_path / "out"
    before = sorted(tmp_path.rglob("*"))
    assert "lr" in refused(monkeypatch, capsys, space, "--out", out, "--set", "lrr=1")
    assert "nothing.yaml" in refused(monkeypatch, capsys, tmp_path / "nothing.yaml", "--out", out)
    assert "--name" in refused(monkeypatch, capsys, space, "--out", out, "--name", "../x")
    assert "--name" in refused(monkeypatch, capsys, space, "--out", out, "--name", "store")
    vignettes = tmp_path / "vignettes.jsonl"
    text = vignettes.read_text()
    vignettes.write_text(text.replace("human_Care", "human_Caring"))
    assert "human_Care" in refused(monkeypatch, capsys, space, "--out", out)
    vignettes.write_text(text)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_model_that_cannot_be_loaded_writes_nothing(tmp_path):
    space = write_space(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    _, err = finish(start(space, "--set", "model={name: builtin, dtype: float16}"), 2)
    assert err.strip().endswith("cannot be loaded; check the folder") and err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_quick_runs_whole_on_the_built_in_model(tmp_path):
    command = [
        sys.executable,
        "-m",
        "steerheal.tune",
        "search_spaces/quick.yaml",
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, env=environment(), cwd=TESTS.parent, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = RunFolder(tmp_path / "out" / "quick").trials
    assert len(rows) == 4
    assert all(row["verdict"] in objective.VERDICTS and row["verdict"] != "failed" for row in rows)
    assert all(row["summary"]["coherence"] > 0.9 for row in rows if row["verdict"] == "ok")
    _, runs = mlflow_runs(tmp_path / "out", "quick")
    assert sum(run.data.tags["kind"] == "trial" for run in runs) == 4
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_names(tmp_path):
    for name, resume, expected in (
        (None, False, ("small-2", False)),
        (None, True, ("small", True)),
        ("other", False, ("other", False)),
        ("other", True, ("other", False)),
        ("small", True, ("small", True)),
    ):
        from steerheal.config.space import load_space

        space = load_space(write_space(tmp_path))
        if not (tmp_path / "small").exists():
            RunFolder(tmp_path / "small").create("")
        assert tune.choose_run(space, name, resume, tmp_path) == expected
    with pytest.raises(UserError, match="--name: store has another use"):
        tune.choose_run(space, "store", False, tmp_path)


@pytest.mark.parametrize(
    "trials, grid, expected", [(24, None, "48"), (4, 10, "8"), (8, 10, "10"), (10, 10, None), (1, 1, None)]
)
def test_only_a_sweep_that_has_trials_left_is_to_be_extended(trials, grid, expected):
    sweep = SimpleNamespace(
        space=SimpleNamespace(trials=trials),
        study=SimpleNamespace(grid=None if grid is None else [{}] * grid),
        tracker=SimpleNamespace(away=True),
    )
    commands = [how for _, how in conduct.next_steps(sweep, RunFolder(Path("runs/small")), [], "tune x --resume")]
    assert commands[0].endswith("-m analysis.report runs/small") and commands[1] == "runs/small/trials.csv"
    assert commands[2:] == ([f"tune x --resume --set trials={expected}"] if expected else [])


def test_help_teaches():
    text = tune.parser().format_help()
    assert "examples:" in text and "--resume --set trials=" in text and "130" in text
