"""Sweeps' folders as the driver writes them, without a model and without Ray: for tests of what reads them."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

from fakes import FakeWorker
from rich.console import Console
from small import write_space

from steerheal import yaml_io
from steerheal.config.space import load_space
from steerheal.live import Display
from steerheal.loop import run_trial
from steerheal.results import RunFolder
from steerheal.sweep import Sweep
from steerheal.tracking.about import about_sweep
from steerheal.trial_data import load_data
from steerheal.worker import LocalStages

KL, NLL = {"reg": "kl_rev", "wd": 0.0, "alpha": 0.5}, {"reg": "nll", "wd": 0.0, "alpha": 0.5}
# Of the verdicts ok twice each, starved, diverged, and one that failed.
TRIALS = (
    NLL,
    KL | {"lam": 0.1},
    KL | {"lam": 1.0},
    NLL | {"alpha": 1.0},
    NLL | {"alpha": 2.0},
    NLL | {"wd": 13.0},
    KL | {"lam": 3.0},
)
FAILS = KL | {"lam": 3.0}
VIGNETTES = 24
SEARCH = ("search.alpha=[0.5,1.0,2.0]", "wd=[0,13]")


def write_sweep(
    place: Path,
    *overrides: str,
    trials=TRIALS,
    finished: int | None = None,
    name: str = "small",
    space=None,
    worker=FakeWorker,
) -> Path:
    """`place/NAME` with the first `finished` of `trials` (all) finished; `space(folder)` writes another space file."""
    files = place / f"{name}-files"
    files.mkdir(parents=True)
    written, search = (space(files), ()) if space else (write_space(files), SEARCH)
    write_vignettes(files / "vignettes.jsonl")
    space = load_space(written, [*search, f"trials={len(trials)}", *overrides])
    worker, data = worker(place), load_data(space)
    folder = RunFolder(place / name)
    folder.create(yaml_io.dump(space.resolved()))
    folder.describe(about_sweep(space, data, folder.path / "space.yaml", "fake").recorded)
    asked = [SimpleNamespace(number=number, params=params) for number, params in enumerate(trials)]
    queue = iter(asked)
    study = SimpleNamespace(ask=lambda: next(queue, None), tell=lambda *_: None, trials=len(trials))
    nothing = dict.fromkeys(("started", "round", "reference", "ended"), lambda *_: None)
    display = Display(Console(file=io.StringIO()), len(trials))
    sweep = Sweep(space, folder, study, worker.store, display, SimpleNamespace(**nothing))
    while sweep.begin():
        for number, _ in sweep.ready()[:finished]:
            run_one(sweep, number, data, LocalStages(worker))
        if finished is not None:
            break
    folder.write_tables()
    return folder.path


def write_vignettes(path: Path) -> None:
    """VIGNETTES like the one that is there."""
    (line,) = path.read_text().splitlines()
    rows = [json.loads(line) | {"id": f"v{number}"} for number in range(VIGNETTES)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def run_one(sweep: Sweep, number: int, data, stages: LocalStages) -> None:
    """A trial from its first message to its last."""
    params = sweep.params[number]
    if params == FAILS:
        sweep.heard(number, {"outcome": {"failure": "heal: <b>it was told to fail</b>"}})
    else:
        seeds = {"seeds": tuple(sweep.seeds[number])}
        trial = sweep.space.trial(params).model_copy(update=seeds)
        summary = run_trial(trial, data, "fake", stages, lambda record: sweep.heard(number, {"record": record}))
        sweep.heard(number, {"outcome": {"summary": {k: v for k, v in summary.items() if k != "records"}}})
    sweep.ended(number, False)
