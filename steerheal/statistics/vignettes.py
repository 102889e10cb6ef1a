"""How well a set of vignettes pins a figure down: a paired bootstrap over vignettes, crossed with seeds.

A draw takes vignettes with replacement (Efron 1979, Ann. Stat. 7:1), the same ones for base and for every student,
so that what they share cancels. Seeds are too few to be drawn likewise (three of them, resampled, show two thirds
of their variance), so a draw moves the mean over seeds by a multivariate t instead: over many vignettes the
intervals become Student's, and the slope's becomes Fieller's. Both parts hold what vignettes and seeds do to each
other, so that together they are too wide rather than too narrow.

At a single seed the interval is over vignettes alone: it does not see the noise between seeds, and a difference
that it excludes 0 from would be found again with other vignettes, not with other seeds.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from steerheal.statistics.levels import ALPHA, MARGIN, ROUNDING
from steerheal.statistics.pairs import Pair, Table, listed

Name = Hashable
DRAWS = 4000
# Fewer vignettes show too little of how much they vary.
LEAST = 10
USUAL = 0.68
KINDS = ("gain", "d_coherence", "slope")


@dataclass(frozen=True)
class Reads:
    """What one model answered: the probability of the target foundation and the mass on all answers, both [v], NaN
    where a vignette could not be scored.
    """

    target: np.ndarray
    mass: np.ndarray


@dataclass(frozen=True)
class Draws:
    """A trial's gain and change of coherence against base, [1 + draws]: first as measured, then as drawn."""

    gain: np.ndarray
    d_coherence: np.ndarray

    @property
    def slope(self) -> np.ndarray:
        """Centinats of coherence lost per nat gained; infinite, with the sign of what was lost, at no gain."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return -100 * self.d_coherence / self.gain

    @property
    def bounded(self) -> bool:
        """Whether the gain can be told from 0, without which its slope has no bounds."""
        ends = np.quantile(self.gain[1:], [ALPHA / 2, 1 - ALPHA / 2])
        return bool(np.isfinite(self.gain).all() and np.sign(ends[0]) == np.sign(ends[1]) != 0)


class Bootstrap:
    """The draws that all students of one set of `vignettes` share; equal sets give equal draws."""

    def __init__(self, vignettes: int, draws: int = DRAWS, seed: int = 0):
        self.size, self.seed = draws, seed
        self.rounding = np.random.default_rng([seed, 1])
        drawn = np.random.default_rng(seed).multinomial(vignettes, np.full(vignettes, 1 / vignettes), draws)
        self.weights = np.vstack([np.ones(vignettes), drawn])

    def draws(self, base: Reads, students: Sequence[Reads], sign: int) -> Draws:
        """One trial: `students` are its seeds', `sign` says in which direction the trait is to move.

        Two trials are paired over seeds when their students are in the same order of seeds.
        """
        traits = [self._log(student.target) for student in students]
        gains = sign * (np.array(traits) - self._log(base.target))
        changes = np.array([self._mean(student.mass) for student in students]) - self._mean(base.mass)
        return Draws(self._over_seeds(gains, "gain"), self._over_seeds(changes, "coherence"))

    def _mean(self, values: np.ndarray) -> np.ndarray:
        """The mean over the vignettes that could be scored, draw by draw."""
        known = np.isfinite(values)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.weights @ np.where(known, values, 0.0) / (self.weights @ known)

    def _log(self, probabilities: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(self._mean(probabilities))

    def _over_seeds(self, values: np.ndarray, kind: str) -> np.ndarray:
        """[seeds, 1 + draws] → [1 + draws]; two runs of one seed differ by rounding, which no vignette shows."""
        noise = self.rounding.standard_normal(self.size) * ROUNDING[kind] / np.sqrt(2)
        return values.mean(0) + (self._moves(len(values)) * values).sum(0) + np.concatenate([[0.0], noise])

    def _moves(self, seeds: int) -> np.ndarray:
        """Weights [seeds, 1 + draws] that sum to 0 over seeds and make the mean vary as Student's t."""
        if seeds == 1:
            return np.zeros((1, self.size + 1))
        rng = np.random.default_rng([self.seed, 2, seeds])
        apart = rng.standard_normal((seeds, self.size))
        scale = np.sqrt((seeds - 1) / rng.chisquare(seeds - 1, self.size) / (seeds * (seeds - 1)))
        return np.hstack([np.zeros((seeds, 1)), (apart - apart.mean(0)) * scale])


def interval(draws: Draws, kind: str, alpha: float = ALPHA) -> tuple[float, float] | None:
    """The percentile interval of gain, d_coherence or slope; None where it has no bounds or there is no figure.

    A slope's draws on the other side of no gain lie beyond either end.
    """
    values = getattr(draws, kind)[1:]
    if kind != "slope":
        return _ends(values, values, alpha)
    if not draws.bounded:
        return None
    other = draws.gain[1:] * draws.gain[0] <= 0
    return _ends(np.where(other, -np.inf, values), np.where(other, np.inf, values), alpha)


def _ends(below: np.ndarray, above: np.ndarray, alpha: float) -> tuple[float, float] | None:
    ends = np.quantile(below, alpha / 2), np.quantile(above, 1 - alpha / 2)
    return tuple(map(float, ends)) if np.isfinite(ends).all() else None


def pairs(draws: Mapping[Name, Draws], kind: str, alpha: float = ALPHA) -> list[Pair]:
    """All pairs by one figure (gain, d_coherence, slope), intervals for all of them at once.

    A pair's interval reaches so many times the usual deviation of its draws (the one that 68% stay within) as the
    largest deviation of all pairs exceeds in a share alpha of the draws. Trials whose slope has no bounds are left
    out of the slopes.
    """
    fit = {name: one for name, one in draws.items() if kind != "slope" or one.bounded}
    values = np.array([getattr(one, kind) for one in fit.values()]).reshape(len(fit), -1)
    first, second = np.triu_indices(len(fit), 1)
    if not len(first):
        return []
    differences, usual, begun = np.empty(len(first)), np.empty(len(first)), 0
    largest = np.zeros(values.shape[1] - 1)
    for place in range(len(fit) - 1):
        apart = values[place] - values[place + 1 :]
        off = np.abs(apart[:, 1:] - apart[:, :1])
        those = slice(begun, begun := begun + len(apart))
        differences[those], usual[those] = apart[:, 0], np.quantile(off, USUAL, axis=1)
        largest = np.maximum(largest, (off / usual[those, None]).max(0))
    reach = np.quantile(largest, 1 - alpha) * usual
    margin = MARGIN["coherence" if kind == "d_coherence" else kind]
    return listed(list(fit), Table(first, second, differences, reach), margin)
