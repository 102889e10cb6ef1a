"""What a sweep's finished trials say against one another: who is tied with the best, and the noise in words.

A trial's row has `trial`, `verdict` and `summary` (`objective.summarise`), as in trials.jsonl; nothing else
is read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from steerheal.config.objectives import SLOPE, Objective
from steerheal.experiments.steer import ASKED
from steerheal.goals import rank_key, standing
from steerheal.statistics.detect import in_words
from steerheal.statistics.levels import ALPHA, ROUNDING
from steerheal.statistics.means import finite, pooled_noise
from steerheal.statistics.pairs import Pair, compare, compare_slopes
from steerheal.statistics.pareto import pareto_front, undominated
from steerheal.statistics.ties import tied

Row = Mapping[str, Any]
# Pairs grow as the square of the trials; those further down are not near the best.
COMPARED = 400
# Trials that a noise floor may be taken from: a wreck's figures vary for other reasons.
SOUND = ("ok", "weak", "broad", "no-op", "wrong way")
# What an experiment's gain is counted in.
GAINED = {"steer": "nats of trait", "voice": "nats per token", "belief": "of adoption"}
# Seeds for which the noise of a single configuration is told.
USUAL_SEEDS = 3


def ranking(rows: Sequence[Row], objective: Objective = SLOPE) -> list[int]:
    """Trial numbers, best first; under `pareto` those on the front of the means before those behind it.

    In a race a trial that went further comes first, since figures over different seeds do not compare.
    """
    first = front(rows, objective) if objective.kind == "pareto" else ()

    def key(row: Row) -> tuple:
        constraint, *figures = rank_key(row["verdict"], row["summary"], objective)
        return constraint, -len(row.get("ran", ())), row["trial"] not in first, *figures, row["trial"]

    return [row["trial"] for row in sorted(rows, key=key)]


def front(rows: Sequence[Row], objective: Objective) -> set[int]:
    """The feasible trials on the front of gain against coherence, by their means, whatever the noise."""
    fit = {row["trial"]: row["summary"] for row in rows if feasible(row, objective)}
    return undominated({number: (found["gain"], found["coherence"]) for number, found in fit.items()})


def feasible(row: Row, objective: Objective) -> bool:
    """Whether a trial satisfies what the objective asks of it."""
    return standing(row["verdict"], row["summary"], objective).constraint <= 0


def figures(rows: Sequence[Row], name: str) -> dict[int, dict[str, float]]:
    """trial → seed → a figure that is compared seed by seed (`objective.PAIRED`)."""
    judged = {row["trial"]: row["summary"].get("judged") or {} for row in rows}
    return {trial: {seed: found[name] for seed, found in seeds.items()} for trial, seeds in judged.items()}


def ranked(rows: Sequence[Row], objective: Objective = SLOPE) -> list[int]:
    """The trials that are feasible and can be compared, best first."""
    fit = [row for row in rows if feasible(row, objective) and row["summary"].get("judged")]
    return ranking(fit, objective)[:COMPARED]


def differences(
    rows: Sequence[Row],
    objective: Objective = SLOPE,
    alpha: float = ALPHA,
    rounding: Mapping[str, float] = ROUNDING,
) -> list[Pair]:
    """All pairs of the ranked trials, the better first, by their slopes or, for the other objectives, their
    gains. `rounding`: what two runs of one seed are taken to differ by at least.
    """
    by_number = {row["trial"]: row for row in rows}
    fit = [by_number[number] for number in ranked(rows, objective)]
    gains = figures(fit, "gain")
    if objective.kind == "slope":
        return compare_slopes(figures(fit, "d_coherence"), gains, alpha, rounding)
    return compare(gains, "gain", alpha=alpha, rounding=rounding)


def slope_differences(rows: Sequence[Row]) -> list[Pair]:
    """All pairs of the trials with verdict ok by their slopes, the better first."""
    return differences(rows)


def tied_trials(rows: Sequence[Row], objective: Objective = SLOPE) -> dict[int, bool | None]:
    """Whether a trial cannot be told from the best one or, under `pareto`, may be on the front; None for those
    not ranked, or without repeats.
    """
    if objective.kind == "pareto":
        by_number = {row["trial"]: row for row in rows}
        fit = [by_number[number] for number in ranked(rows, objective)]
        marks = pareto_front(figures(fit, "gain"), figures(fit, "coherence")) if len(fit) > 1 else {}
    else:
        marks = tied(ranked(rows, objective), differences(rows, objective))
    return {row["trial"]: marks.get(row["trial"]) for row in rows}


def references(records: Sequence[Row]) -> dict[str, tuple[float | None, float | None]]:
    """What no training costs, as (gain, coherence): base, base under the persona's prompts, base steered at the
    largest dose of a first round. Of records (records.jsonl); {} where none has base's figures.
    """
    known = [record for record in records if finite(record.get("base_coherence"))]
    if not known:
        return {}
    told = {"base": (0.0, known[0]["base_coherence"])}
    for name in ASKED:
        if finite(known[0].get(f"{name}_coherence")):
            told[name] = (known[0].get(f"{name}_gain"), known[0][f"{name}_coherence"])
    steered = [r for r in known if r["round"] == 0 and r.get("dose") and finite(r.get("steered_gain"))]
    if steered:
        most = max(steered, key=lambda record: record["dose"])
        told[f"steered at dose {most['dose']:.3g}"] = (most["steered_gain"], most["steered_coherence"])
    return told


def references_in_words(records: Sequence[Row]) -> list[str]:
    """One line with what no training costs; [] where nothing of it is known."""
    told = [
        f"base{'' if name == 'base' else f' {name}'}: gain {gain:.3f}, coherence {coherence:.4f}"
        for name, (gain, coherence) in references(records).items()
        if finite(gain)
    ]
    return [f"to compare with: {'; '.join(told)}"] if told else []


def noise_in_words(rows: Sequence[Row], experiment: str = "steer") -> str | None:
    """The noise floor of a sweep with repeats, as one line; None without repeats.

    With one configuration: what two of them at three seeds each would have to differ by.
    """
    sound = [row for row in rows if row["verdict"] in SOUND]
    noises = [
        pooled_noise(list(seeds.values()) for seeds in figures(sound, name).values()) for name in ("gain", "coherence")
    ]
    if None in noises:
        return None
    trait, coherence = noises
    repeats = max(len(row["summary"].get("judged") or {}) for row in sound)
    alone = len(sound) == 1
    seeds, among = (USUAL_SEEDS, 2) if alone else (repeats, len(sound))
    unit = GAINED[experiment]
    return (
        f"noise between seeds ({trait.df} degrees of freedom): {trait.sd:.2g} {unit}, "
        f"{1000 * coherence.sd:.2g} millinats of coherence; {in_words(trait, coherence, seeds, among, unit)}"
    )
