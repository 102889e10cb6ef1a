"""How well the sweep's vignettes pin its figures down, from the rows that a run's folder keeps of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.load import Sweep
from steerheal.statistics.pairs import Pair
from steerheal.statistics.vignettes import KINDS, LEAST, Bootstrap, Draws, Reads, interval, pairs

ONE = "over vignettes"
SEVERAL = "over seeds and vignettes"
# The experiments whose gain is a foundation's.
READ = ("steer",)


@dataclass(frozen=True)
class Trial:
    """A trial's reads: base's, and by seed its students', each vignette → (log p of the target, mass)."""

    sign: int
    base: Mapping[str, tuple[float, float]]
    students: Mapping[int, Mapping[str, tuple[float, float]]]


def read_trial(sweep: Sweep, number: int) -> Trial | None:
    """The reads of the seeds that a trial's figures are means of; None where they were not recorded, or where the gain is
    not read from vignettes.
    """
    if sweep.experiment not in READ:
        return None
    persona = sweep.space.get("persona") or {}
    target, judged = persona.get("target"), sweep.by_number[number]["summary"].get("judged") or {}
    base: dict[str, tuple[float, float]] = {}
    students: dict[int, dict[str, tuple[float, float]]] = {}
    for row in sweep.vignettes(number):
        logp = row["logp"]
        read = (logp[target], row["mass"]) if logp else (np.nan, np.nan)
        if row["who"] == "base":
            base[row["id"]] = read
        elif row["who"] == "healed" and str(row["seed"]) in judged:
            students.setdefault(row["seed"], {})[row["id"]] = read
    whole = len(base) >= LEAST and {str(seed) for seed in students} == set(judged)
    return Trial(persona.get("sign", -1), base, students) if judged and whole else None


def draws_of(trials: Mapping, seeds: Sequence[int] | None = None) -> dict:
    """name → draws over the vignettes that all trials share, none where these are too few; `seeds`: those of every trial
    by default.
    """
    if not trials:
        return {}
    ids = sorted(set.intersection(*[set(trial.base) for trial in trials.values()]))
    if len(ids) < LEAST:
        return {}
    bootstrap = Bootstrap(len(ids))
    return {
        name: bootstrap.draws(
            _reads(trial.base, ids),
            [_reads(trial.students[seed], ids) for seed in (seeds or sorted(trial.students))],
            trial.sign,
        )
        for name, trial in trials.items()
    }


def _reads(known: Mapping[str, tuple[float, float]], ids: Sequence[str]) -> Reads:
    logp, mass = np.array([known.get(one, (np.nan, np.nan)) for one in ids]).T
    return Reads(np.exp(logp), mass)


def sweep_draws(sweep: Sweep) -> dict[int, Draws]:
    """trial → draws, of the trials that keep their reads."""
    found = {number: read_trial(sweep, number) for number in sweep.order}
    return draws_of({number: trial for number, trial in found.items() if trial})


def against_best(sweep: Sweep, draws: Mapping[int, Draws], figure: str) -> dict[int, Pair]:
    """trial → its difference from the best of the ranked (trial − best), for all pairs at once."""
    fit = {number: draws[number] for number in sweep.ranked if number in draws}
    if sweep.best is None or sweep.best["trial"] not in fit:
        return {}
    best = sweep.best["trial"]
    found = {}
    for pair in pairs(fit, figure):
        if best in (pair.first, pair.second):
            other = pair.second if pair.first == best else pair.first
            found[other] = pair if pair.first == other else _turned(pair)
    return found


def _turned(pair: Pair) -> Pair:
    return Pair(pair.second, pair.first, -pair.difference, -pair.high, -pair.low, pair.real, pair.equivalent)


def two(first: Trial | None, second: Trial | None) -> tuple[dict[str, Pair], list[int], int]:
    """Figure → the difference of two trials over the vignettes and seeds that both have; those seeds; how many
    vignettes.
    """
    if first is None or second is None:
        return {}, [], 0
    seeds = sorted(set(first.students) & set(second.students))
    ids = set(first.base) & set(second.base)
    if not seeds or len(ids) < LEAST or first.sign != second.sign:
        return {}, seeds, len(ids)
    draws = draws_of({"A": first, "B": second}, seeds)
    return {kind: found[0] for kind in KINDS if (found := pairs(draws, kind))}, seeds, len(ids)


def span(draws: Draws | None, kind: str) -> tuple[float, float] | None:
    """The interval of a figure; None where it has no bounds, or nothing was recorded."""
    return None if draws is None else interval(draws, kind)
