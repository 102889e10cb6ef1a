"""What must be true of a sweep that was disturbed, against one that was not. Each check yields what is wrong."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import pandas
from mlflow import MlflowClient
from optuna.trial import TrialState

from steerheal.results import TRIALS, read_lines

from .sweep import Sweep

TOLERANCE = 1e-4
# What takes as long as it takes, and who found what in the store.
VARIES = {"seconds", "hits"}

Check = Callable[[Sweep, Sweep], Iterator[str]]


def broken(control: Sweep, sweep: Sweep) -> list[str]:
    """Every invariant that does not hold, in words."""
    return [what for check in CHECKS for what in check(control, sweep)]


def same_trials(control: Sweep, sweep: Sweep) -> Iterator[str]:
    """Configurations, statuses and figures; no trial missing or doubled."""
    lines = read_lines(sweep.folder.path / TRIALS)
    counts = Counter(line["trial"] for line in lines)
    wanted = {row["trial"]: row for row in control.folder.trials}
    if doubled := [number for number, count in counts.items() if count > 1]:
        yield f"trials {doubled} have several lines"
    if missing := wanted.keys() - counts.keys():
        yield f"trials {sorted(missing)} are missing"
    for row in lines:
        yield from different(wanted.get(row["trial"]), row, f"trial {row['trial']}")
    table = pandas.read_csv(sweep.folder.path / "trials.csv")
    if sorted(table["trial"]) != sorted(wanted):
        yield f"trials.csv has the trials {sorted(table['trial'])}"


def same_records(control: Sweep, sweep: Sweep) -> Iterator[str]:
    """Every round of every seed, once, with the figures of the control; and the same words."""
    records = [{(r["trial"], r["seed"], r["round"]): r for r in one.folder.records} for one in (control, sweep)]
    if len(records[1]) != len(sweep.folder.records):
        yield "records.jsonl has a round twice"
    yield from different(*records, "records")
    for number in range(len(control.folder.trials)):
        for place in ("completions", "answers"):
            said = [_said(getattr(one.folder, place)(number)) for one in (control, sweep)]
            yield from different(*said, f"{place} of trial {number}")


def same_study(control: Sweep, sweep: Sweep) -> Iterator[str]:
    """Optuna knows every trial, complete, once, and of none that still runs."""
    path = sweep.folder.path / "optuna.db"
    trials = optuna.load_study(study_name="sweep", storage=f"sqlite:///{path}").trials
    done = Counter(trial.user_attrs.get("number") for trial in trials if trial.state == TrialState.COMPLETE)
    if done != Counter(range(len(control.folder.trials))):
        yield f"the study has the complete trials {dict(done)}"
    if not_ended := [trial.state.name for trial in trials if not trial.state.is_finished()]:
        yield f"the study has trials {not_ended}"


def same_in_mlflow(control: Sweep, sweep: Sweep) -> Iterator[str]:
    """The same runs with the same figures, none doubled, none left open."""
    found = [_mlflow_runs(one) for one in (control, sweep)]
    names = [Counter(name for name, _ in runs) for runs in found]
    if names[0] != names[1]:
        yield f"MLflow has the runs {dict(names[1])}"
    if statuses := {run.info.status for _, run in found[1]} - {"FINISHED"}:
        yield f"MLflow has runs that are {sorted(statuses)}"
    figures = [{name: _figures(run) for name, run in runs} for runs in found]
    yield from different(*figures, "MLflow's run")


def nothing_left(control: Sweep, sweep: Sweep) -> Iterator[str]:
    """The same files as the control's and no others, half written or set aside; no process."""
    if left := sweep.ended():
        yield f"processes stay: {left}"
    files = [_files(one.folder.path) for one in (control, sweep)]
    if files[0] != files[1]:
        yield f"the run's folder differs by {sorted(files[0] ^ files[1])}"
    if sorted(control.stored()) != sorted(sweep.stored()):
        yield "the store has other artefacts"
    places = (sweep.out, sweep.home / "tmp")
    parts = {path for place in places for path in place.rglob("*") if path.name.startswith((".part-", ".damaged"))}
    ours = {path for path in (sweep.home / "tmp").iterdir() if path.name != "ray"}
    if parts | ours:
        yield f"temporary files stay: {sorted(path.name for path in parts | ours)}"
    if "Traceback" in sweep.printed:
        yield "a traceback was printed"


def little_again(control: Sweep, sweep: Sweep) -> Iterator[str]:
    """Nothing that was stored is computed again, and of the rest the batch in which a process died, one for each that
    was killed; with its driver a process dies some moments later, perhaps in its next batch.
    """
    events = sweep.events()
    for kill in sweep.kills:
        later = {key for event in events[kill.events :] if event["what"] == "begin" for key in event["keys"]}
        if again := later & kill.stored:
            yield f"after the {kill.victim} was killed, {len(again)} stored artefacts were computed again"
    begun = Counter(key for event in events if event["what"] == "begin" for key in event["keys"])
    open_batches = _open_batches(events)
    if len(open_batches) > (ended := sum(kill.victim in ("actor", "driver") for kill in sweep.kills)):
        yield f"{len(open_batches)} batches were begun and not ended, by {ended} processes that were killed"
    allowed = Counter(key for batch in open_batches for key in batch)
    if more := {key: count - 1 for key, count in begun.items() if count - 1 > allowed[key]}:
        stages = Counter(e["stage"] for e in events if e["what"] == "begin" for key in e["keys"] if key in more)
        yield f"computed more than once without a reason: {dict(stages)}"


def _open_batches(events: list[dict]) -> list[list[str]]:
    """The keys of each batch that a process began and did not end."""
    last = {event["pid"]: event for event in events}
    return [event["keys"] for event in last.values() if event["what"] == "begin"]


CHECKS: tuple[Check, ...] = (same_trials, same_records, same_study, same_in_mlflow, nothing_left, little_again)


def computed_again(sweep: Sweep) -> int:
    """How many jobs were begun that had been begun before."""
    begun = [key for event in sweep.events() if event["what"] == "begin" for key in event["keys"]]
    return len(begun) - len(set(begun))


def different(one: Any, other: Any, where: str) -> Iterator[str]:
    """Where two pieces of data differ by more than the tolerance; at most the first place in each."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if one.keys() != other.keys():
            yield f"{where}: has {sorted(map(str, other.keys() ^ one.keys()))} more or less"
        for name in one.keys() & other.keys() - VARIES:
            yield from different(one[name], other[name], f"{where} {name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for position, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from different(left, right, f"{where} {position}")
    elif not _equal(one, other):
        yield f"{where}: {str(other)[:60]} instead of {str(one)[:60]}"


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return one == other


def _said(path: Path) -> list[dict]:
    return [{name: line.get(name) for name in ("text", "gate", "used", "damage")} for line in read_lines(path)]


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _mlflow_runs(sweep: Sweep) -> list[tuple[str, Any]]:
    client = MlflowClient(f"sqlite:///{sweep.out / 'mlflow.db'}")
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    return [(run.info.run_name, run) for run in runs]


def _figures(run: Any) -> dict[str, float]:
    return {name: value for name, value in run.data.metrics.items() if "seconds" not in name}
