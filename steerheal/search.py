"""The search: Optuna's ask and tell, driven by our own records.

Trials are asked in batches: batch k + 1 is sampled when batch k is told, with the sampler seeded by the
trial's number, so the same space proposes the same trials whatever finished first. What is sampled from is in
memory, since Optuna reads every open trial of a database again for each that it samples. Every trial that is handed
out is kept in sqlite: one that was interrupted is told FAIL there and tried again under its own number, and a batch
that was cut short is made whole before any of it is told.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from steerheal.config.dimensions import Choice, Dimension, Range
from steerheal.goals import Standing

optuna.logging.set_verbosity(optuna.logging.WARNING)

NUMBER = "number"
PARAMS = "params"
# How often a proposal that repeats an earlier trial is drawn again.
ATTEMPTS = 8


@dataclass(frozen=True)
class Asked:
    """One trial to run."""

    number: int
    params: dict[str, Any]


class Study:
    """Numbered trials of one sweep. `grid`: the trials are these, in order; None: they are sampled."""

    def __init__(
        self,
        path: Path,
        dimensions: Sequence[Dimension],
        grid: Sequence[Mapping[str, Any]] | None,
        seed: int,
        trials: int,
        batch: int,
        directions: Sequence[str] = ("minimize",),
    ):
        self.dimensions, self.grid, self.seed, self.batch = tuple(dimensions), grid, seed, batch
        self.trials = min(trials, len(grid)) if grid is not None else trials
        self.kept = optuna.create_study(
            storage=optuna.storages.RDBStorage(f"sqlite:///{path}"),
            study_name="sweep",
            directions=list(directions),
            sampler=optuna.samplers.RandomSampler(seed),
            load_if_exists=True,
        )
        self.study = optuna.create_study(directions=list(directions))
        self.open: dict[int, tuple[optuna.Trial, optuna.Trial]] = {}
        self.waiting: list[Asked] = []
        self.known: set[str] = set()
        self.asked = 0

    def recover(self, finished: Mapping[int, tuple[Mapping[str, Any], Standing]]) -> None:
        """Bring the study in line with the records: what they hold is complete, all else is tried again.

        `finished`: per trial number its parameters and its standing.
        """
        latest: dict[int, FrozenTrial] = {}
        for trial in self.kept.trials:
            number = trial.user_attrs.get(NUMBER)
            if number is not None:
                latest[number] = trial
                self.known.add(trial.user_attrs[PARAMS])
            if not trial.state.is_finished():
                known = finished.get(number)
                _tell(optuna.Trial(self.kept, trial._trial_id), known[1] if known else None)
        self.study.add_trials(self.kept.trials)
        self.asked = 1 + max([*latest, *finished], default=-1)
        for number in range(self.asked):
            if number in finished and number not in latest:
                params, standing = finished[number]
                self._open(number, params)
                self.waiting.pop()
                self.tell(number, standing)
            elif number not in finished and number < self.trials:
                self._open(number, json.loads(latest[number].user_attrs[PARAMS]) if number in latest else None)

    def ask(self) -> Asked | None:
        """The next trial; None while others have to end first (the whole batch, if sampled), or when there is
        none.
        """
        if not self.waiting and self.asked < self.trials:
            for number in range(self.asked, min(self.asked + self._room(), self.trials)):
                self._open(number, self.grid[number] if self.grid is not None else None)
                self.asked = number + 1
        return self.waiting.pop(0) if self.waiting else None

    def _room(self) -> int:
        """How many trials may be opened: as many as run at once or, if sampled, what its batch lacks."""
        if self.grid is not None:
            return self.batch - len(self.open)
        begun = self.asked % self.batch
        return self.batch - begun if begun or not self.open else 0

    def tell(self, number: int, standing: Standing) -> None:
        """A trial has finished, whatever its verdict."""
        for trial in self.open.pop(number):
            _tell(trial, standing)

    def _open(self, number: int, params: Mapping[str, Any] | None) -> None:
        """Have trial `number`: with these parameters, or sampled and, while there is choice, not a repeat."""
        for attempt in range(ATTEMPTS):
            trial, chosen = self._sample(_seed(self.seed, number, attempt), params)
            if params is not None or attempt == ATTEMPTS - 1 or json.dumps(chosen) not in self.known:
                break
            _tell(trial, None)
        self.known.add(json.dumps(chosen))
        self.open[number] = trial, self._keep(trial, {NUMBER: number, PARAMS: json.dumps(chosen)})
        self.waiting.append(Asked(number, chosen))

    def _sample(self, seed: int, params: Mapping[str, Any] | None) -> tuple[optuna.Trial, dict[str, Any]]:
        self.study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        if params is not None:
            self.study.enqueue_trial({name: _code(value) for name, value in params.items()})
        trial = self.study.ask()
        chosen: dict[str, Any] = {}
        for dimension in self.dimensions:
            if dimension.active(chosen):
                chosen[dimension.name] = _suggest(trial, dimension)
        return trial, chosen

    def _keep(self, trial: optuna.Trial, said: Mapping[str, Any]) -> optuna.Trial:
        """The trial in the database, in one write."""
        copy = optuna.trial.create_trial(
            state=TrialState.RUNNING, params=trial.params, distributions=trial.distributions, user_attrs=dict(said)
        )
        return optuna.Trial(self.kept, self.kept._storage.create_new_trial(self.kept._study_id, copy))


def _tell(trial: optuna.Trial, standing: Standing | None) -> None:
    """How a trial has ended; None: it was not finished."""
    if standing is None:
        trial.study.tell(trial, state=TrialState.FAIL)
        return
    trial.set_constraint("verdict", standing.constraint)
    trial.study.tell(trial, list(standing.values))


def _seed(seed: int, number: int, attempt: int) -> int:
    """A seed per trial number, so that a trial's proposal does not depend on how often the sweep resumed."""
    return int.from_bytes(hashlib.sha256(f"{seed} {number} {attempt}".encode()).digest()[:4])


def _code(value: Any) -> Any:
    """A value as Optuna's categories hold it; lists (`layers`) as JSON."""
    return json.dumps(value) if isinstance(value, list | tuple) else value


def _suggest(trial: optuna.Trial, dimension: Dimension) -> Any:
    """One dimension's value: given if the trial was enqueued with it, else sampled."""
    if isinstance(dimension, Choice):
        values = {_code(value): value for value in dimension.values}
        return values[trial._suggest(dimension.name, CategoricalDistribution(list(values)))]
    return trial._suggest(dimension.name, _distribution(dimension))


def _distribution(dimension: Range) -> IntDistribution | FloatDistribution:
    if dimension.integer:
        return IntDistribution(dimension.low, dimension.high, dimension.log, dimension.step or 1)
    return FloatDistribution(dimension.low, dimension.high, dimension.log, dimension.step)
