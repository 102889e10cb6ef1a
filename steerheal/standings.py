"""What a sweep's finished trials say against one another: who is tied with the best, and the noise in words.

A trial's row has `trial`, `verdict` and `summary` (`objective.summarise`), as in trials.jsonl; nothing else
is read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from steerheal.objective import rank_key
from steerheal.statistics.detect import in_words
from steerheal.statistics.means import pooled_noise
from steerheal.statistics.pairs import Pair, compare_slopes
from steerheal.statistics.ties import tied

Row = Mapping[str, Any]
# Pairs grow as the square of the trials; those further down are not near the best.
COMPARED = 400
# Trials that a noise floor may be taken from: a wreck's figures vary for other reasons.
SOUND = ("ok", "weak", "broad", "no-op", "wrong way")
# Seeds for which the noise of a single configuration is told.
USUAL_SEEDS = 3


def ranking(rows: Sequence[Row]) -> list[int]:
    """Trial numbers, best first."""

    def key(row: Row) -> tuple:
        summary = row["summary"]
        return rank_key(row["verdict"], summary.get("slope"), summary.get("gain")), row["trial"]

    return [row["trial"] for row in sorted(rows, key=key)]


def figures(rows: Sequence[Row], name: str) -> dict[int, dict[str, float]]:
    """trial → seed → a figure that is compared seed by seed (`objective.PAIRED`)."""
    judged = {row["trial"]: row["summary"].get("judged") or {} for row in rows}
    return {trial: {seed: found[name] for seed, found in seeds.items()} for trial, seeds in judged.items()}


def ranked(rows: Sequence[Row]) -> list[int]:
    """The trials that are ranked by slope and can be compared, best first."""
    fit = [row for row in rows if row["verdict"] == "ok" and row["summary"].get("judged")]
    return ranking(fit)[:COMPARED]


def slope_differences(rows: Sequence[Row]) -> list[Pair]:
    """All pairs of the ranked trials, the better first."""
    by_number = {row["trial"]: row for row in rows}
    fit = [by_number[number] for number in ranked(rows)]
    return compare_slopes(figures(fit, "d_coherence"), figures(fit, "gain"))


def tied_trials(rows: Sequence[Row]) -> dict[int, bool | None]:
    """Whether a trial's slope cannot be told from the best one's; None for those not ranked, or without
    repeats.
    """
    marks = tied(ranked(rows), slope_differences(rows))
    return {row["trial"]: marks.get(row["trial"]) for row in rows}


def noise_in_words(rows: Sequence[Row]) -> str | None:
    """The noise floor of a sweep with repeats, as one line; None without repeats.

    With one configuration: what two of them at three seeds each would have to differ by.
    """
    sound = [row for row in rows if row["verdict"] in SOUND]
    noises = [
        pooled_noise(list(seeds.values()) for seeds in figures(sound, name).values())
        for name in ("gain", "coherence")
    ]
    if None in noises:
        return None
    trait, coherence = noises
    repeats = max(len(row["summary"].get("judged") or {}) for row in sound)
    alone = len(sound) == 1
    seeds, among = (USUAL_SEEDS, 2) if alone else (repeats, len(sound))
    return (
        f"noise between seeds ({trait.df} degrees of freedom): {trait.sd:.2g} nats of trait, "
        f"{1000 * coherence.sd:.2g} millinats of coherence; {in_words(trait, coherence, seeds, among)}"
    )
