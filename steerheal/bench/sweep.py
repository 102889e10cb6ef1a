"""Trials per minute of a sweep, against the same trials one by one without packing and sharing.

The sweep is the real one: Ray, its start included. The baseline is kinder than the original: one process, the
model loaded once, batches inside a trial; but every trial computes all its stages itself and heals alone.
"""

import argparse
import json
import os
import tempfile
import time
from functools import partial
from pathlib import Path

from rich.console import Console

from steerheal.conduct import conduct
from steerheal.config.space import Space, load_space
from steerheal.loop import run_trial
from steerheal.results import RunFolder
from steerheal.trial_data import TrialData, load_data

# Ray runs its processes at this niceness; on a shared machine the baseline must not have a larger share.
RAY_NICENESS = 15


def main(words: list[str]) -> None:
    """Run both and print both."""
    parser = argparse.ArgumentParser(prog="python -m steerheal.bench sweep", description=__doc__.split("\n\n")[0])
    parser.add_argument("--space", default="search_spaces/barrier.yaml", help="default: %(default)s")
    parser.add_argument("--alone", type=int, default=6, help="so many of the trials one by one (default: 6)")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args(words)
    space = load_space(arguments.space, arguments.overrides)
    data = load_data(space)
    told = (lambda text: None) if arguments.json else partial(print, flush=True)
    with tempfile.TemporaryDirectory(prefix="steerheal-bench-") as scratch:
        packed, params = as_sweep(space, data, Path(scratch))
        told(rate("sweep, packed and shared", len(params), packed))
        some = params[: arguments.alone]
        alone = one_by_one(space, data, some, Path(scratch))
        told(rate("one by one, neither", len(some), alone))
    per_minute = 60 * len(params) / packed, 60 * len(some) / alone
    figures = {
        "space": space.name,
        "sweep": {"trials": len(params), "seconds": packed, "trials_per_minute": per_minute[0]},
        "alone": {"trials": len(some), "seconds": alone, "trials_per_minute": per_minute[1]},
        "ratio": per_minute[0] / per_minute[1],
    }
    if arguments.json:
        print(json.dumps(figures, indent=1))
    told(f"{'ratio':<26}{figures['ratio']:.2f}")


def rate(name: str, trials: int, seconds: float) -> str:
    """One line of the result."""
    return f"{name:<26}{trials} trials in {seconds:6.1f} s: {60 * trials / seconds:5.2f} trials a minute"


def as_sweep(space: Space, data: TrialData, scratch: Path) -> tuple[float, list[dict]]:
    """Seconds of the sweep from the start of Ray to the leaderboard, and the trials that it ran."""
    folder = RunFolder(scratch / "runs" / space.name)
    began = time.monotonic()
    conduct(space, data, folder, False, "", Console(quiet=True))
    return time.monotonic() - began, [row["params"] for row in folder.trials]


def one_by_one(space: Space, data: TrialData, params: list[dict], scratch: Path) -> float:
    """Seconds of the same trials in this process, each with its own store; loading the model included."""
    from steerheal.store import FolderStore
    from steerheal.worker import LocalStages, Worker, load_worker

    os.nice(RAY_NICENESS)
    began = time.monotonic()
    base = load_worker(space.model, scratch / "none", space.resources.slots).base
    for number, chosen in enumerate(params):
        worker = Worker(base, FolderStore(scratch / f"alone-{number}"), space.resources.slots)
        run_trial(space.trial(chosen), data, base.fingerprint, LocalStages(worker))
    return time.monotonic() - began
