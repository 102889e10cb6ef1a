"""Which part of a model moves a trait most, over prompts: tested, and how often it is so prompt by prompt."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from steerheal.statistics.levels import ALPHA
from steerheal.statistics.vignettes import Draws, pairs

Name = Hashable
NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Dominance:
    """`best` gained most; `rivals` are those that it has not been shown to exceed, the nearest first."""

    best: Name
    rivals: tuple[Name, ...]

    @property
    def dominates(self) -> bool:
        """Whether the best exceeds every other."""
        return not self.rivals


def dominance(draws: Mapping[Name, Draws], alpha: float = ALPHA) -> Dominance | None:
    """Who gains most, and over whom that is shown, paired over the same vignettes and for all pairs at once; None
    with fewer than two.
    """
    if len(draws) < 2:
        return None
    order = sorted(draws, key=lambda name: -draws[name].gain[0])
    best = order[0]
    shown = {
        pair.second if pair.first == best else pair.first
        for pair in pairs(draws, "gain", alpha)
        if best in (pair.first, pair.second) and pair.real
    }
    return Dominance(best, tuple(name for name in order[1:] if name not in shown))


def best_counts(moves: Mapping[Name, np.ndarray]) -> dict[Name, int]:
    """On how many prompts each moved most; `moves`: [prompts], NaN where one could not be scored."""
    table = np.array(list(moves.values()))
    known = table[:, np.isfinite(table).all(0)]
    winners = known.argmax(0)
    return {name: int((winners == place).sum()) for place, name in enumerate(moves)}


def share_interval(hits: int, count: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927, J. Am. Stat. Assoc. 22:209)."""
    square = NORMAL_95**2
    centre = (hits + square / 2) / (count + square)
    reach = NORMAL_95 / (count + square) * math.sqrt(hits * (count - hits) / count + square / 4)
    return centre - reach, centre + reach
