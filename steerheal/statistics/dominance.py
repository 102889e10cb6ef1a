"""Which part of a model moves a trait most, over prompts: tested, and how often it is so prompt by prompt."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from steerheal.statistics.pairs import Pair
from steerheal.statistics.vignettes import Draws, Figure

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


def dominance(gains: Mapping[Name, float], pairs: Sequence[Pair]) -> Dominance:
    """Who gains most, and over whom `pairs` (all of them, over seeds or over vignettes) show that."""
    order = sorted(gains, key=lambda name: -gains[name])
    best = order[0]
    shown = {
        pair.second if pair.first == best else pair.first
        for pair in pairs
        if best in (pair.first, pair.second) and pair.real
    }
    return Dominance(best, tuple(name for name in order[1:] if name not in shown))


def over_prompts(seeds: Sequence[Draws]) -> Draws:
    """The mean of a trial's seeds, drawn one by one, as it varies with the prompts alone: these very students on other
    prompts.
    """

    def averaged(kind: str) -> Figure:
        figures = [getattr(draws, kind) for draws in seeds]
        return Figure(*(np.mean([getattr(figure, field.name) for figure in figures], 0) for field in fields(Figure)))

    return Draws(averaged("gain"), averaged("d_coherence"))


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
