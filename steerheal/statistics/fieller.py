"""The interval of a slope, honest when the gain may be zero (Fieller 1954, J. R. Stat. Soc. B 16:175).

The slope S is such that −100 · Δcoherence − S · gain has mean 0 over seeds. The interval holds every S for
which a t test does not refute that. When the gain itself cannot be told from 0 the set has no end: it is
everything outside an interval, or everything. No bounded interval can be honest there (Gleser and Hwang 1987,
Ann. Stat. 15:1351).
"""

from dataclasses import dataclass

import numpy as np

from steerheal.statistics.levels import ALPHA, ROUNDING, student


@dataclass(frozen=True)
class Interval:
    """All values from low to high; if not bounded, all but those between low and high (NaN: all values)."""

    low: np.ndarray
    high: np.ndarray
    bounded: np.ndarray

    def covers(self, truth: float) -> np.ndarray:
        """Whether the truth is in the set."""
        between = (self.low <= truth) & (truth <= self.high)
        outside = ~((self.low < truth) & (truth < self.high))
        return np.where(self.bounded, between, outside)


def slope_interval(changes: np.ndarray, gains: np.ndarray, alpha: float = ALPHA) -> Interval:
    """The interval of −100 · mean(changes) / mean(gains); both [..., n], paired over the n ≥ 2 last entries.

    Raises ValueError for fewer than two seeds.
    """
    above, below = -100 * np.asarray(changes, float), np.asarray(gains, float)
    n = above.shape[-1]
    if n < 2:
        raise ValueError("an interval needs at least two seeds")
    y, x = above.mean(-1), below.mean(-1)
    # Rounding is added, not only a floor: seeds on one line through the origin have noise, but none in their
    # ratio.
    vy = above.var(-1, ddof=1) / n + (100 * ROUNDING["coherence"]) ** 2
    vx = below.var(-1, ddof=1) / n + ROUNDING["gain"] ** 2
    vxy = ((above - y[..., None]) * (below - x[..., None])).sum(-1) / (n * (n - 1))
    square = student(n - 1, alpha) ** 2
    # The set is where a S² − 2 b S + c <= 0.
    a, b, c = x**2 - square * vx, x * y - square * vxy, y**2 - square * vy
    room = b**2 - a * c
    bounded = a > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = [(b + sign * np.sqrt(room)) / a for sign in (-1, 1)]
    some = np.isfinite(ends[0]) & np.isfinite(ends[1])
    low, high = (np.where(some, end(*ends), np.nan) for end in (np.minimum, np.maximum))
    return Interval(low, high, bounded)
