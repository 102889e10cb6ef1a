"""One trial of a space in this process, for notebooks and scripts: same loop, same store, no Ray.

>>> from steerheal.notebook import run_one
>>> result = run_one("search_spaces/quick.yaml", {"reg": "kl_rev", "lam": 0.3})
>>> result["verdict"], result["gain"], result["slope"]
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from steerheal.config.space import load_space
from steerheal.fit import check_fit
from steerheal.loop import run_trial
from steerheal.trial_data import load_data
from steerheal.worker import LocalStages, load_worker


def run_one(
    space: str | Path,
    params: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    store: str | Path | None = None,
    on_record: Callable[[dict], None] = lambda record: None,
) -> dict:
    """The trial's summary with its records (see `loop.run_trial`).

    params: a value for every dimension that the space searches there; overrides: as --set takes them; `on_record`
    hears each round of each seed as it ends; `store`: a folder or URL, by default the space's, else tune_runs/store.
    Raises UserError for anything wrong with the space or its files.
    """
    read = load_space(space, overrides)
    trial, data = read.trial(params or {}), load_data(read)
    place = store or read.resources.store or "tune_runs/store"
    worker = load_worker(trial.model, place, read.resources.slots)
    check_fit(read, data, worker.base)
    return run_trial(trial, data, worker.fingerprint, LocalStages(worker), on_record)
