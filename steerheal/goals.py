"""What a trial is worth under a sweep's objective: what the searcher is told, and its place on a leaderboard.

    slope               the lowest slope, among the trials with verdict ok
    trait_at_coherence  the largest gain, among the trials with verdict ok or weak and enough coherence
    pareto              gain and coherence at once, among the trials with verdict ok or weak

A small gain makes a ratio look good and so rules a trial out of the first; to the others it is only a small
gain. Every verdict has a standing, and every standing is finite: a searcher cannot learn from what it is not
told. Pure functions on numbers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steerheal.config.objectives import SLOPE, Objective
from steerheal.objective import MIN_GAIN, RANKED
from steerheal.statistics.means import finite

# What a searcher is told of a trial without usable figures, and the bound of a slope.
WORST = 1000.0
# Verdicts under which the figures mean what they say.
USABLE = ("ok", "weak", "broad")
FEASIBLE = {"slope": ("ok",), "trait_at_coherence": ("ok", "weak"), "pareto": ("ok", "weak")}
DIRECTIONS = {
    "slope": ("minimize",),
    "trait_at_coherence": ("maximize",),
    "pareto": ("maximize", "maximize"),
}


@dataclass(frozen=True)
class Standing:
    """What a finished trial tells the searcher: finite values, one per direction; feasible if `constraint` <= 0."""

    values: tuple[float, ...]
    constraint: float


def standing(
    verdict: str, summary: Mapping[str, Any], objective: Objective = SLOPE, min_gain: float = MIN_GAIN
) -> Standing:
    """The standing of a trial with this verdict and summary (`objective.summarise`).

    The constraint grows with the distance from what is feasible, so that a sampler can tell a near miss from
    a wreck.
    """
    return Standing(_values(verdict, summary, objective), _constraint(verdict, summary, objective, min_gain))


def rank_key(
    verdict: str, summary: Mapping[str, Any], objective: Objective = SLOPE, min_gain: float = MIN_GAIN
) -> tuple[float, float, float]:
    """Sorts a leaderboard: the feasible by their figure, then the others by how far off; the larger gain first."""
    gain = -summary["gain"] if finite(summary.get("gain")) else math.inf
    constraint = _constraint(verdict, summary, objective, min_gain)
    figure = summary.get("slope") if objective.kind == "slope" else gain
    return (constraint, figure if constraint <= 0 and finite(figure) else math.inf, gain)


def in_words(objective: Objective) -> str:
    """Which trials a leaderboard shows first."""
    if objective.kind == "pareto":
        return "the front of gain against coherence first"
    if objective.kind == "trait_at_coherence":
        return f"largest gain first among the trials with coherence {objective.coherence:g} or more"
    return "lowest slope first among the trials with verdict ok"


def _values(verdict: str, summary: Mapping[str, Any], objective: Objective) -> tuple[float, ...]:
    slope, gain, coherence = (summary.get(name) for name in ("slope", "gain", "coherence"))
    usable = verdict in USABLE
    if objective.kind == "slope":
        return (_within(slope) if usable and finite(slope) else WORST,)
    moved = _within(gain) if usable and finite(gain) else -WORST
    if objective.kind == "trait_at_coherence":
        return (moved,)
    return (moved, coherence if usable and finite(coherence) else 0.0)


def _constraint(verdict: str, summary: Mapping[str, Any], objective: Objective, min_gain: float) -> float:
    """0 if feasible, at most 1 for a near miss, else the place of the verdict among the verdicts."""
    gain, coherence = summary.get("gain"), summary.get("coherence")
    if verdict in FEASIBLE[objective.kind]:
        if objective.coherence is None:
            return 0.0
        lacking = objective.coherence - coherence if finite(coherence) else 1.0
        return min(max(lacking, 1e-6), 1.0) if lacking > 0 else 0.0
    if verdict == "weak" and finite(gain) and min_gain > 0:
        return min(max((min_gain - gain) / min_gain, 1e-6), 1.0)
    return float(RANKED.index(verdict))


def _within(value: float) -> float:
    return min(max(value, -WORST), WORST)
