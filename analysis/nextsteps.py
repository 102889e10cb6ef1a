"""What to run next, so that what a sweep leaves open is settled: why, and the command."""

import math
import shlex
from dataclasses import dataclass
from pathlib import Path

from analysis.goal import goal, units
from analysis.load import Sweep
from analysis.words import ONE_SEED, real_differences
from steerheal import cli
from steerheal.results import SPACE
from steerheal.standings import differences, front, tied_trials
from steerheal.statistics.detect import seeds_to_settle
from steerheal.statistics.levels import student
from steerheal.statistics.means import finite
from steerheal.statistics.pairs import Pair

OPEN_VERDICTS = {
    "starved": "too few of their steered completions were coherent: lower alpha, or raise max_batches",
    "diverged": "their training broke down: lower lr",
    "failed": "a stage could not finish; their messages say why",
    "no-op": "their students hardly moved: {more}",
    "weak": "they gained too little to be ranked: {more}",
}
# What makes a student move further.
MORE = {
    "steer": "raise alpha, lr or epochs, or lower lam and wd",
    "voice": "raise n_train, lr or epochs, or lower lam and wd",
    "belief": "raise examples, lr or epochs",
}


@dataclass(frozen=True)
class Step:
    """Something to run: why, and the command, if there is one."""

    why: str
    command: str | None = None


def next_steps(sweep: Sweep) -> list[Step]:
    """What would settle what is still open."""
    steps = []
    if sweep.planned is not None and len(sweep.rows) < sweep.planned:
        left = sweep.planned - len(sweep.rows)
        again = _tune(sweep, "--name", sweep.name, *_out(sweep), "--resume")
        steps.append(Step(f"{left} of {sweep.planned} trials are not finished. To go on:", again))
    if sweep.rows and len(sweep.seeds) < 2:
        why = (
            f"{ONE_SEED} Three seeds of every trial, side by side in the same passes, give intervals and ties; "
            "stages that were computed already are taken from the store:"
        )
        steps.append(Step(why, _tune(sweep, *_out(sweep), "--set", "seeds=[0,1,2]")))
    if sweep.objective.kind == "pareto":
        steps += _settle_front(sweep)
    elif closest := _closest(sweep):
        steps += _settle(sweep, closest, goal(sweep.objective).figure)
    steps += [Step(said) for said in _near_the_bound(sweep)]
    for verdict, what in OPEN_VERDICTS.items():
        # Under the other objectives a small gain is only a small gain.
        if verdict == "weak" and sweep.objective.kind != "slope":
            continue
        if count := sum(row["verdict"] == verdict for row in sweep.rows):
            more = what.format(more=MORE[sweep.experiment])
            steps.append(Step(f"{count} trial{'s' if count > 1 else ''} with the verdict {verdict}: {more}."))
    steps += [Step(said) for said in _edges(sweep)]
    return steps or [Step("Nothing is open that more of the same runs would settle.")]


def _closest(sweep: Sweep) -> Pair | None:
    """The best against the first that cannot be told from it."""
    marks, order = tied_trials(sweep.rows, sweep.objective), sweep.ranked
    rival = next((number for number in order[1:] if marks[number]), None)
    wanted = {order[0], rival} if rival is not None else None
    found = differences(sweep.rows, sweep.objective)
    return next((pair for pair in found if {pair.first, pair.second} == wanted), None)


def _settle(sweep: Sweep, pair: Pair, figure: str) -> list[Step]:
    """More seeds for the two, so many as may tell them apart; and the comparison."""
    seeds = min(len(sweep.by_number[number]["summary"]["judged"]) for number in (pair.first, pair.second))
    seen = f"Trials {pair.first} and {pair.second} lead, and differ in {figure} by {_amount(sweep, pair, figure)}"
    if pair.equivalent:
        return [Step(f"{seen}, and any difference that would matter is excluded: take either.")]
    needed = _needed(sweep, pair, seeds)
    if needed is None:
        return [Step(f"{seen}: if that is all, even 50 seeds each would hardly tell them apart. Take either.")]
    return [Step(f"{seen}, within noise.{_then(needed)}", _again(sweep, (pair.first, pair.second), needed))]


def _settle_front(sweep: Sweep) -> list[Step]:
    """A trial that is behind the front by the means alone, and one that beats it there: the closest to settling."""
    marks, first = tied_trials(sweep.rows, sweep.objective), front(sweep.rows, sweep.objective)
    figures = dict(real_differences(sweep))
    found = []
    for kind in ("gain", "coherence"):
        for pair in figures.get(kind, ()):
            better, worse = (pair.first, pair.second) if pair.difference > 0 else (pair.second, pair.first)
            open_ = marks[worse] and worse not in first and _beats(sweep, better, worse) and not pair.real
            seeds = min(len(sweep.by_number[number]["summary"]["judged"]) for number in (better, worse))
            if open_ and not pair.equivalent and (needed := _needed(sweep, pair, seeds)):
                found.append((needed, kind, better, worse, pair))
    if not found:
        return []
    needed, kind, better, worse, pair = min(found, key=lambda one: one[0])
    why = (
        f"Trial {worse} may be on the front: by the means trial {better} is ahead of it in both figures, in {kind} by "
        f"{_amount(sweep, pair, kind)}, within noise.{_then(needed)}"
    )
    return [Step(why, _again(sweep, (better, worse), needed))]


def _beats(sweep: Sweep, better: int, worse: int) -> bool:
    ours, theirs = (sweep.by_number[number]["summary"] for number in (better, worse))
    return all(ours[name] >= theirs[name] for name in ("gain", "coherence"))


def _needed(sweep: Sweep, pair: Pair, seeds: int) -> int | None:
    reach = (pair.high - pair.low) / 2
    return seeds_to_settle(pair.difference, reach, seeds, len(sweep.ranked)) if finite(reach) and reach else None


def _amount(sweep: Sweep, pair: Pair, figure: str) -> str:
    return f"{abs(pair.difference):.2g} {units(sweep.experiment)[figure]}".strip()


def _then(needed: int) -> str:
    return f" If that is the true difference, {needed} seeds each are likely to show it:"


def _again(sweep: Sweep, numbers: tuple[int, int], seeds: int) -> str:
    """Both trials on so many seeds, each as a sweep of its own, and their comparison."""
    names = [f"{sweep.name}-trial-{number}" for number in numbers]
    listed = f"seeds={list(range(seeds))}".replace(" ", "")
    whole = ["--set", "repeats=all"] if sweep.racing else []
    runs = [
        _tune(sweep, "--name", name, *_out(sweep), *_fixed(sweep, number), "--set", listed, *whole)
        for name, number in zip(names, numbers)
    ]
    folders = [str(_relative(sweep).parent / name) for name in names]
    return "\n".join([*runs, shlex.join([cli.python(), "-m", "analysis.compare", *folders])])


def _near_the_bound(sweep: Sweep) -> list[str]:
    """Trials whose place on either side of the coherence that is asked for is within noise, with a gain that
    would lead or leads.
    """
    least = sweep.objective.coherence
    if least is None or sweep.best is None:
        return []
    said = []
    for row in sweep.rows:
        summary, error = row["summary"], row["summary"].get("coherence_se")
        if row["verdict"] not in ("ok", "weak") or not finite(error) or summary["gain"] < sweep.best["summary"]["gain"]:
            continue
        if abs(summary["coherence"] - least) < student(max(summary["n"] - 1, 1)) * error:
            side = "leads" if row is sweep.best else "would lead"
            said.append(
                f"Trial {row['trial']} {side} with a gain of {summary['gain']:.2f}, and whether its coherence, "
                f"{summary['coherence']:.4f} ± {error:.4f}, is {least:g} or more is within noise: more seeds of it "
                "decide whether it counts."
            )
    return said


def _fixed(sweep: Sweep, number: int) -> list[str]:
    params = sweep.by_number[number]["params"]
    return [word for name, value in params.items() for word in ("--set", f"{name}={value}")]


def _edges(sweep: Sweep) -> list[str]:
    """Where the first trial lies at the end of a searched range."""
    said = []
    for name, entry in sweep.dimensions.items():
        value = sweep.best["params"].get(name) if sweep.best else None
        if isinstance(entry, dict) and "low" in entry and finite(value):
            end = next((end for end in (entry["low"], entry["high"]) if _near(value, end, entry)), None)
            if end is not None:
                where = f"{name} {value:.3g}, at the end of its range ({end:g})"
                what = "The trial with the most gain" if sweep.objective.kind == "pareto" else "The leading trial"
                said.append(f"{what} has {where}: search beyond it.")
    return said


def _near(value: float, end: float, entry: dict) -> bool:
    """Within a twentieth of the range, on its own scale."""
    scale = math.log if entry.get("log") else float
    return abs(scale(value) - scale(end)) < (scale(entry["high"]) - scale(entry["low"])) / 20


def _relative(sweep: Sweep) -> Path:
    """The run's folder as one would type it here."""
    path, here = sweep.folder.path, sweep.folder.path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _out(sweep: Sweep) -> list[str]:
    parent = str(_relative(sweep).parent)
    return [] if parent == "tune_runs" else ["--out", parent]


def _tune(sweep: Sweep, *words: str) -> str:
    return shlex.join([cli.python(), "-m", "steerheal.tune", str(_relative(sweep) / SPACE), *words])
