"""What a sweep says, in sentences: the answer with its uncertainty, and what to run next."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.load import Sweep
from steerheal import cli
from steerheal.live import figure, params_text
from steerheal.results import SPACE
from steerheal.standings import figures, noise_in_words, ranked, slope_differences, tied_trials
from steerheal.statistics.detect import seeds_to_settle
from steerheal.statistics.means import finite
from steerheal.statistics.pairs import Pair, compare

ONE_SEED = "One seed: none of these differences has been shown to be real."
UNITS = {"slope": "centinats per nat", "gain": "nats", "coherence": ""}
MANY = 8
OPEN_VERDICTS = {
    "starved": "too few of their steered completions were coherent: lower alpha, or raise max_batches",
    "diverged": "their training broke down: lower lr",
    "failed": "a stage could not finish; their messages say why",
    "no-op": "their students hardly moved: raise alpha, lr or epochs, or lower lam and wd",
    "weak": "they gained too little to be ranked: raise alpha, lr or epochs, or lower lam and wd",
}


def answer(sweep: Sweep) -> list[str | None]:
    """The answer in a few paragraphs."""
    if not sweep.rows:
        return [f"No trial has finished yet{_of(sweep)}, so there is nothing to say."]
    if sweep.best is None:
        return [
            f"None of the {len(sweep.rows)} finished trials reached the verdict ok, so none is ranked: "
            f"{counted_verdicts(sweep)}.",
            *_noise(sweep),
        ]
    return [_leader(sweep), _standing(sweep), _shown(sweep), *_noise(sweep), *_rest(sweep)]


def progress(sweep: Sweep) -> str:
    """How much of the sweep is finished."""
    trials = f"{len(sweep.rows)} trial{'s' if len(sweep.rows) != 1 else ''}"
    if sweep.planned is None:
        return f"{trials} finished"
    return (
        f"all {trials} finished"
        if len(sweep.rows) >= sweep.planned
        else f"{len(sweep.rows)} of {sweep.planned} trials finished"
    )


def counted_verdicts(sweep: Sweep) -> str:
    """`3 weak, 1 starved`."""
    verdicts = [row["verdict"] for row in (sweep.by_number[number] for number in sweep.order)]
    return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))


def interval(summary) -> str:
    """A slope's 90% interval for a table."""
    if summary.get("slope_bounded") is None:
        return "–"
    return (
        f"{figure(summary['slope_low'])} to {figure(summary['slope_high'])}"
        if summary["slope_bounded"]
        else "no bound"
    )


def _of(sweep: Sweep) -> str:
    return f" of the {sweep.planned} asked for" if sweep.planned else ""


def _leader(sweep: Sweep) -> str:
    row, summary = sweep.best, sweep.best["summary"]
    seeds = f" over {summary['n']} seeds" if (summary.get("n") or 0) > 1 else ""
    error = f" ± {summary['gain_se']:.2f}" if finite(summary.get("gain_se")) else ""
    sure = ""
    if summary.get("slope_bounded"):
        sure = f" (90% interval {interval(summary)})"
    elif summary.get("slope_bounded") is False:
        sure = " (the gain is too uncertain to bound it)"
    lost = -100 * summary["d_coherence"] if finite(summary.get("d_coherence")) else None
    cost = "" if lost is None else f", at {_points(lost)}"
    return (
        f"{progress(sweep).capitalize()}. Trial {row['trial']} ({params_text(row['params'])}) leads, with the "
        f"lowest slope: {figure(summary['slope'])} hundredths of coherence lost per nat of trait gained{sure}. It moved the trait "
        f"by {summary['gain']:.2f}{error} nats as intended{seeds}{_kept(summary)}{cost}."
    )


def _kept(summary) -> str:
    share = summary.get("retain")
    return f", {100 * share:.0f}% of what steering alone had done" if finite(share) and share > 0 else ""


def _points(lost: float) -> str:
    what = "a loss" if lost > 0 else "a rise"
    return f"{what} of {abs(lost):.2g} hundredths of coherence"


def _standing(sweep: Sweep) -> str:
    marks = {number: mark for number, mark in tied_trials(sweep.rows).items() if mark is not None}
    best = sweep.best["trial"]
    others = [number for number in ranked(sweep.rows) if number != best]
    if not others:
        return "It is the only trial that is ranked, so there is nothing to compare it with."
    if not marks:
        return f"{ONE_SEED} The order of the leaderboard may be chance."
    tied = [number for number in others if marks.get(number)]
    behind = [number for number in others if marks.get(number) is False]
    unknown = len(others) - len(tied) - len(behind)
    parts = []
    if not behind and not unknown:
        parts.append(
            f"None of the other {len(others)} ranked trials can be told from it by slope: who leads may be chance."
            if len(others) > 1
            else f"Trial {others[0]} cannot be told from it by slope: who leads may be chance."
        )
    elif tied:
        parts.append(f"{_trials(tied)} cannot be told from it: their paired difference in slope may be zero.")
    if behind:
        parts.append(
            f"It is better than {_trials(behind).lower()}, and that is more than noise between seeds."
        )
    if unknown:
        parts.append(f"{unknown} share too few seeds with it to be compared.")
    return " ".join(parts)


def _trials(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:MANY])) + (
        f" and {len(numbers) - MANY} more" if len(numbers) > MANY else ""
    )
    return f"Trial{'s' if len(numbers) > 1 else ''} {shown}"


def _noise(sweep: Sweep) -> list[str]:
    said = noise_in_words(sweep.rows)
    return [said[0].upper() + said[1:] + "."] if said else []


def _rest(sweep: Sweep) -> list[str]:
    if all(row["verdict"] == "ok" for row in sweep.rows):
        return []
    return [f"Verdicts: {counted_verdicts(sweep)}. Only trials with the verdict ok are ranked."]


def _shown(sweep: Sweep) -> str | None:
    """Which of gain and coherence really differ, whatever the slopes do."""
    said = []
    for name, pairs in real_differences(sweep):
        real = [pair for pair in pairs if pair.real]
        if name == "slope" or not real:
            continue
        clear = real[0]
        more, less = (clear.first, clear.second) if clear.difference > 0 else (clear.second, clear.first)
        least, most = sorted(abs(end) for end in (clear.low, clear.high))
        amount = f"{abs(clear.difference):.2g} {UNITS[name]}".strip()
        said.append(
            f"{len(real)} of {len(pairs)} pairs of trials really differ in {name}; the clearest: trial {more} has "
            f"{amount} more than trial {less} ({least:.2g} to {most:.2g})."
        )
    return " ".join(said) or None


def real_differences(sweep: Sweep) -> list[tuple[str, list[Pair]]]:
    """Per figure, all pairs of the ranked trials, those shown to be real first; [] without repeats."""
    fit = [sweep.by_number[number] for number in ranked(sweep.rows)]
    pairs = {"slope": slope_differences(sweep.rows)}
    if len(fit) > 1:
        pairs |= {name: compare(figures(fit, name), name) for name in ("gain", "coherence")}
    known = {name: [pair for pair in found if pair.real is not None] for name, found in pairs.items()}
    return [
        (name, sorted(found, key=lambda pair: (not pair.real, -abs(pair.difference))))
        for name, found in known.items()
        if found
    ]


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
    if closest := _closest(sweep):
        steps += _settle(sweep, closest)
    for verdict, what in OPEN_VERDICTS.items():
        if count := sum(row["verdict"] == verdict for row in sweep.rows):
            steps.append(Step(f"{count} trial{'s' if count > 1 else ''} with the verdict {verdict}: {what}."))
    steps += [Step(said) for said in _edges(sweep)]
    return steps or [Step("Nothing is open that more of the same runs would settle.")]


def _closest(sweep: Sweep) -> Pair | None:
    """The best against the first that cannot be told from it."""
    marks, order = tied_trials(sweep.rows), ranked(sweep.rows)
    rival = next((number for number in order[1:] if marks[number]), None)
    wanted = {order[0], rival} if rival is not None else None
    return next((pair for pair in slope_differences(sweep.rows) if {pair.first, pair.second} == wanted), None)


def _settle(sweep: Sweep, pair: Pair) -> list[Step]:
    """More seeds for the two, so many as may tell them apart; and the comparison."""
    order, seeds = ranked(sweep.rows), len(sweep.seeds)
    reach = (pair.high - pair.low) / 2
    needed = seeds_to_settle(pair.difference, reach, seeds, len(order)) if finite(reach) else None
    seen = f"Trials {pair.first} and {pair.second} lead, and differ in slope by {abs(pair.difference):.2g}"
    if pair.equivalent:
        return [Step(f"{seen}, and any difference that would matter is excluded: take either.")]
    if needed is None:
        return [
            Step(f"{seen}: if that is all, even 50 seeds each would hardly tell them apart. Take either.")
        ]
    why = f"{seen}, within noise. If that is the true difference, {needed} seeds each are likely to show it:"
    names = [f"{sweep.name}-trial-{number}" for number in (pair.first, pair.second)]
    runs = [
        _tune(
            sweep,
            "--name",
            name,
            *_out(sweep),
            *_fixed(sweep, number),
            "--set",
            f"seeds={list(range(needed))}".replace(" ", ""),
        )
        for name, number in zip(names, (pair.first, pair.second))
    ]
    folders = [str(_relative(sweep).parent / name) for name in names]
    return [Step(why, "\n".join([*runs, shlex.join([cli.python(), "-m", "analysis.compare", *folders])]))]


def _fixed(sweep: Sweep, number: int) -> list[str]:
    params = sweep.by_number[number]["params"]
    return [word for name, value in params.items() for word in ("--set", f"{name}={value}")]


def _edges(sweep: Sweep) -> list[str]:
    """Where the best trial lies at the end of a searched range."""
    said = []
    for name, entry in sweep.dimensions.items():
        value = sweep.best["params"].get(name) if sweep.best else None
        if isinstance(entry, dict) and "low" in entry and finite(value):
            end = next((end for end in (entry["low"], entry["high"]) if _near(value, end, entry)), None)
            if end is not None:
                where = f"{name} {value:.3g}, at the end of its range ({end:g})"
                said.append(f"The leading trial has {where}: search beyond it.")
    return said


def _near(value: float, end: float, entry: dict) -> bool:
    """Within a twentieth of the range, on its own scale."""
    scale = math.log if entry.get("log") else float
    return abs(scale(value) - scale(end)) < (scale(entry["high"]) - scale(entry["low"])) / 20


def _relative(sweep: Sweep):
    """The run's folder as one would type it here."""
    path, here = sweep.folder.path, sweep.folder.path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _out(sweep: Sweep) -> list[str]:
    parent = str(_relative(sweep).parent)
    return [] if parent == "tune_runs" else ["--out", parent]


def _tune(sweep: Sweep, *words: str) -> str:
    return shlex.join([cli.python(), "-m", "steerheal.tune", str(_relative(sweep) / SPACE), *words])
