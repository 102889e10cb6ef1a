"""How well a set of vignettes pins a figure down: a paired bootstrap over vignettes, crossed with seeds.

A draw takes vignettes with replacement (Efron 1979, Ann. Stat. 7:1), the same ones for base and for every student,
so that what they share cancels. Few vignettes say much of a trait, and then a bootstrap is too sure of itself: each
draw's deviation is stretched as Student's t stretches a normal one, with the degrees of freedom that the kurtosis
of the vignettes' influences leaves to a variance (Satterthwaite 1946, Biometrics 2:110).

Seeds are too few to be drawn likewise (three of them, resampled, show two thirds of their variance), so a draw moves
the mean over seeds by a multivariate t instead: over many vignettes the intervals become Student's, and the slope's
becomes Fieller's. Both parts hold what vignettes and seeds do to each other, so that together they are too wide
rather than too narrow.

At a single seed the interval is over vignettes alone: it does not see the noise between seeds, and a difference
that it excludes 0 from would be found again with other vignettes, not with other seeds.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from steerheal.statistics.levels import ALPHA, MARGIN, ROUNDING
from steerheal.statistics.pairs import Pair, Table, listed

Name = Hashable
DRAWS = 4000
# Fewer vignettes show too little of how much they vary.
LEAST = 10
KINDS = ("gain", "d_coherence", "slope")
# The share of a pair's draws within its usual deviation, and the least degrees of freedom.
USUAL, LEAST_DF = 0.68, 2


@dataclass(frozen=True)
class Reads:
    """What one model answered: the probability of the target foundation and the mass on all answers, both [v], NaN
    where a vignette could not be scored.
    """

    target: np.ndarray
    mass: np.ndarray


@dataclass(frozen=True)
class Figure:
    """A figure as measured, and how it deviates from that: [draws] by vignettes, [draws] by seeds and rounding;
    `influence` [v]: what each vignette adds to it, centred.
    """

    measured: float
    vignettes: np.ndarray
    seeds: np.ndarray
    influence: np.ndarray

    def drawn(self, stretch: np.ndarray) -> np.ndarray:
        """[draws], the deviations by vignettes stretched."""
        return self.measured + stretch * self.vignettes + self.seeds


@dataclass(frozen=True)
class Draws:
    """A trial's gain and change of coherence against base."""

    gain: Figure
    d_coherence: Figure

    def measured(self, kind: str) -> float:
        """Gain, d_coherence or slope (centinats lost per nat gained) as measured."""
        if kind != "slope":
            return getattr(self, kind).measured
        return _slope(self.d_coherence.measured, self.gain.measured)

    def influence(self, kind: str) -> np.ndarray:
        """[v]; of the slope by linearisation."""
        if kind != "slope":
            return getattr(self, kind).influence
        lost = -100 * self.d_coherence.influence - self.measured("slope") * self.gain.influence
        return lost / self.gain.measured

    def drawn(self, kind: str, stretch: np.ndarray) -> np.ndarray:
        """[draws] of a figure."""
        if kind != "slope":
            return getattr(self, kind).drawn(stretch)
        return _slope(self.d_coherence.drawn(stretch), self.gain.drawn(stretch))

    @property
    def bounded(self) -> bool:
        """Whether the gain can be told from 0, without which its slope has no bounds."""
        ends = interval(self, "gain")
        return ends is not None and (ends[0] > 0 or ends[1] < 0)


class Bootstrap:
    """The draws that all students of one set of `vignettes` share; equal sets give equal draws."""

    def __init__(self, vignettes: int, draws: int = DRAWS, seed: int = 0):
        self.size, self.seed = draws, seed
        self.rounding = np.random.default_rng([seed, 1])
        self.weights = np.random.default_rng(seed).multinomial(vignettes, np.full(vignettes, 1 / vignettes), draws)

    def draws(self, base: Reads, students: Sequence[Reads], sign: int) -> Draws:
        """One trial: `students` are its seeds', `sign` says in which direction the trait is to move.

        Two trials are paired over seeds when their students are in the same order of seeds.
        """
        moves = self._moves(len(students))
        gain = self._figure([student.target for student in students], base.target, moves, "gain", sign)
        masses = [student.mass for student in students]
        return Draws(gain, self._figure(masses, base.mass, moves, "coherence", 1))

    def _figure(
        self, students: Sequence[np.ndarray], base: np.ndarray, moves: np.ndarray, kind: str, sign: int
    ) -> Figure:
        """The mean over seeds of students against base: log means of gain, means of coherence."""
        own, drawn, influences = zip(*[self._mean(values, kind == "gain") for values in (base, *students)])
        measured, drawn = sign * (np.array(own[1:]) - own[0]), sign * (np.array(drawn[1:]) - drawn[0])
        # Two runs of one seed differ by rounding, which no vignette shows.
        noise = self.rounding.standard_normal(self.size) * ROUNDING[kind] / np.sqrt(2)
        influence = sign * (np.mean(influences[1:], 0) - influences[0])
        return Figure(
            float(measured.mean()), (drawn - measured[:, None]).mean(0), (moves * drawn).sum(0) + noise, influence
        )

    def _mean(self, values: np.ndarray, log: bool) -> tuple[float, np.ndarray, np.ndarray]:
        """The mean over the vignettes that could be scored, or its log: as measured, draw by draw, influences."""
        known = np.isfinite(values)
        filled = np.where(known, values, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            own, drawn = filled.sum() / known.sum(), self.weights @ filled / (self.weights @ known)
            influence = np.where(known, values - own, 0.0)
            return (np.log(own), np.log(drawn), influence / own) if log else (own, drawn, influence)

    def _moves(self, seeds: int) -> np.ndarray:
        """Weights [seeds, draws] that sum to 0 over seeds and make the mean vary as Student's t."""
        if seeds == 1:
            return np.zeros((1, self.size))
        rng = np.random.default_rng([self.seed, 2, seeds])
        apart = rng.standard_normal((seeds, self.size))
        scale = np.sqrt((seeds - 1) / rng.chisquare(seeds - 1, self.size) / (seeds * (seeds - 1)))
        return (apart - apart.mean(0)) * scale


def interval(draws: Draws, kind: str, alpha: float = ALPHA) -> tuple[float, float] | None:
    """The percentile interval of gain, d_coherence or slope; None where it has no bounds or there is no figure.

    A slope's draws on the other side of no gain lie beyond either end.
    """
    if kind == "slope" and not draws.bounded:
        return None
    stretch = _stretch(draws, draws.influence(kind))
    below = above = draws.drawn(kind, stretch)
    if kind == "slope":
        other = draws.gain.drawn(stretch) * draws.gain.measured <= 0
        below, above = np.where(other, -np.inf, below), np.where(other, np.inf, above)
    # Draws next to one another are not averaged: infinite ones have no mean.
    ends = (
        np.quantile(below, alpha / 2, method="lower"),
        np.quantile(above, 1 - alpha / 2, method="higher"),
    )
    return tuple(map(float, ends)) if np.isfinite(ends).all() else None


def pairs(draws: Mapping[Name, Draws], kind: str, alpha: float = ALPHA) -> list[Pair]:
    """All pairs by one figure (gain, d_coherence, slope), intervals for all of them at once.

    A pair's interval reaches so many times the usual deviation of its draws as the largest deviation of all pairs
    exceeds in a share alpha of the draws. Trials whose slope has no bounds are left out of the slopes.
    """
    fit = {name: one for name, one in draws.items() if kind != "slope" or one.bounded}
    first, second = np.triu_indices(len(fit), 1)
    if not len(first):
        return []
    differences, usual, largest = [], [], 0.0
    for one, other in combinations(fit.values(), 2):
        stretch = _stretch(one, one.influence(kind) - other.influence(kind))
        differences.append(one.measured(kind) - other.measured(kind))
        off = np.abs(one.drawn(kind, stretch) - other.drawn(kind, stretch) - differences[-1])
        usual.append(np.quantile(off, USUAL))
        largest = np.maximum(largest, off / usual[-1])
    reach = np.quantile(largest, 1 - alpha) * np.array(usual)
    margin = MARGIN["coherence" if kind == "d_coherence" else kind]
    return listed(list(fit), Table(first, second, np.array(differences), reach), margin)


def _slope(change, gain):
    with np.errstate(divide="ignore", invalid="ignore"):
        return -100 * np.asarray(change) / gain


def _stretch(draws: Draws, influence: np.ndarray) -> np.ndarray:
    """[draws]: how much wider Student's t is than a normal deviate of the same place, for these influences."""
    count, spread = len(influence), np.mean(influence**2)
    kurtosis = np.mean(influence**4) / spread**2 if spread > 0 else 3.0
    df = min(max(2 * count / max(kurtosis - 1, 1e-9), LEAST_DF), count - 1)
    return _stretches(round(df), len(draws.gain.vignettes)) * np.sqrt(count / (count - 1))


@lru_cache(maxsize=256)
def _stretches(df: int, draws: int) -> np.ndarray:
    return np.sqrt(df / np.random.default_rng([df, draws]).chisquare(df, draws))
