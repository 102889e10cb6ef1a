"""Differences between configurations, paired over seeds, each with the error that all pairs at once allow.

A pair's error is the largest of three, since each of them alone errs somewhere: the pooled one (all pairs, so
that three seeds have degrees of freedom enough) is too small for the noisier configurations when variances
differ; the pair's own and that of its two configurations are not, but are poorly known. An outlier under
skewed noise inflates its own error with its mean. What is multiplied by them is Tukey's quantile for the
pooled degrees of freedom.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from steerheal.statistics.levels import ALPHA, MARGIN, ROUNDING, tukey
from steerheal.statistics.means import Noise, finite

Name = Hashable


@dataclass(frozen=True)
class Table:
    """All pairs of k configurations in arrays: `first`, `second` [p] are their places, p = k (k − 1) / 2.

    `difference` [..., p] is first − second; `reach` [..., p] is how far its interval reaches to either side:
    infinite when the data set no bound, NaN when nothing is repeated.
    """

    first: np.ndarray
    second: np.ndarray
    difference: np.ndarray
    reach: np.ndarray

    @property
    def real(self) -> np.ndarray:
        """[..., p]: the interval does not contain 0."""
        return np.abs(self.difference) > self.reach


@dataclass(frozen=True)
class Pair:
    """One difference, first − second: None without a common seed. low, high: infinite without a bound.

    `real`: the interval does not contain 0; `equivalent`: it lies within the margin. None without repeats, as
    are low and high.
    """

    first: Name
    second: Name
    difference: float | None
    low: float | None
    high: float | None
    real: bool | None
    equivalent: bool | None


def all_pairs(
    values: np.ndarray,
    rounding: float,
    noise: Noise | None = None,
    alpha: float = ALPHA,
    weight: np.ndarray | None = None,
) -> Table:
    """Compare `values` [..., k, n]: k configurations at the same n seeds, NaN where a seed failed.

    `rounding`: the least standard error [..., p] or scalar. `noise`: what is known beforehand of the noise.
    `weight` [..., k]: the standard deviation that a configuration's noise has in proportion to the others'.
    """
    count, seeds = values.shape[-2:]
    first, second = np.triu_indices(count, 1)
    apart = values[..., first, :] - values[..., second, :]
    both = np.isfinite(apart)
    n = both.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.where(both, apart, 0).sum(-1) / n
        own = np.where(both, (apart - difference[..., None]) ** 2, 0).sum(-1) / (n - 1)
    known = np.isfinite(values)
    df = max(int(known[(0,) * (values.ndim - 2)].sum()) - count - seeds + 1, 0) if count > 1 else 0
    weight = np.ones(values.shape[:-1]) if weight is None else weight
    variance = _variance(own, n, weight, first, second, df, noise)
    df += noise.df if noise else 0
    if not df:
        return Table(first, second, difference, np.full(difference.shape, np.nan))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.maximum(np.sqrt(variance / n), rounding)
    return Table(first, second, difference, tukey(count, df, alpha) * error)


def _variance(own, n, weight, first, second, df: int, noise: Noise | None) -> np.ndarray:
    """The variance of a paired difference of one seed, [..., p]: the largest of the three."""
    squares = weight**2
    expected = (squares[..., first] + squares[..., second]) / 2
    freedom = np.maximum(n - 1, 0)
    repeated = np.where(freedom > 0, own, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = repeated / expected
        pooled = (freedom * scaled).sum(-1, keepdims=True) / freedom.sum(-1, keepdims=True)
        if noise:
            pooled = np.nan_to_num(pooled)
            pooled = (df * pooled + noise.df * 2 * noise.sd**2) / (df + noise.df)
        largest = np.maximum(pooled * expected, repeated)
        count = squares.shape[-1]
        if count < 3:
            return largest
        alone = _alone(scaled, freedom, pooled, count, first, second)
    parts = alone * squares
    return np.fmax(largest, parts[..., first] + parts[..., second])


def _alone(scaled, freedom, pooled, count: int, first, second) -> np.ndarray:
    """Each configuration's own variance, [..., k]: what its pairs vary by beyond what all pairs do.

    The mean over b of var(a − b) is var(a) plus the mean variance of the others (k ≥ 3).
    """
    weights = _sums(freedom, count, first, second)
    row = _sums(freedom * scaled, count, first, second) / weights
    return np.maximum((count - 1) * row - count * pooled / 2, 0) / (count - 2)


def _sums(pairs, count: int, first, second) -> np.ndarray:
    """[..., p] → [..., k]: the sum over the pairs that a configuration is in."""
    whole = np.zeros((*pairs.shape[:-1], count, count))
    whole[..., first, second] = pairs
    return whole.sum(-1) + whole.sum(-2)


def slope_pairs(
    changes: np.ndarray, gains: np.ndarray, alpha: float = ALPHA, rounding: Mapping[str, float] = ROUNDING
) -> tuple[np.ndarray, Table]:
    """(slopes [..., k], all pairs of them) from Δcoherence and gain, both [..., k, n], NaN where a seed
    failed.

    By linearisation: a seed's share in the slope S is S + (−100 · change − S · gain) / mean(gain), whose
    noise is in inverse proportion to the gain. What that neglects is made up for as in Fieller's interval:
    the error grows by 1 / (1 − g), g = (quantile · error of the gain / gain)², and has no bound from g = 1
    on.
    """
    above = -100 * changes
    centre, size = np.nanmean(gains, -1), np.isfinite(gains).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.nanmean(above, -1) / centre
        shares = slopes[..., None] + (above - slopes[..., None] * gains) / centre[..., None]
        weight = 1 / np.abs(centre)
    count = gains.shape[-2]
    first, second = np.triu_indices(count, 1)
    floors = np.hypot(100 * rounding["coherence"], slopes * rounding["gain"]) * weight
    table = all_pairs(shares, np.hypot(floors[..., first], floors[..., second]), None, alpha, weight)
    if not np.isfinite(table.reach).any():
        return slopes, table
    spread = np.square(gains - centre[..., None])
    df = np.maximum(np.nansum(size - 1, -1), 1)
    noise = np.sqrt(np.nansum(spread, (-2, -1)) / df)[..., None]
    error = np.maximum(noise / np.sqrt(size), rounding["gain"])
    quantile = tukey(count, int(np.min(df)), alpha) if count > 1 else np.inf
    certain = np.maximum(1 - (quantile * error * weight) ** 2, 0)
    with np.errstate(divide="ignore"):
        reach = table.reach / np.minimum(certain[..., first], certain[..., second])
    return slopes, Table(first, second, table.difference, reach)


def compare(
    figures: Mapping[Name, Mapping[int, float]],
    kind: str,
    noise: Noise | None = None,
    alpha: float = ALPHA,
    rounding: Mapping[str, float] = ROUNDING,
) -> list[Pair]:
    """All pairs of configurations by one figure; `figures`: configuration → seed → value.

    `kind` is gain or coherence, and says which rounding and margin apply; `rounding`: the least standard errors.
    """
    values = _matrix(figures)
    return listed(list(figures), all_pairs(values, rounding[kind], noise, alpha), MARGIN[kind])


def compare_slopes(
    changes: Mapping[Name, Mapping[int, float]],
    gains: Mapping[Name, Mapping[int, float]],
    alpha: float = ALPHA,
    rounding: Mapping[str, float] = ROUNDING,
) -> list[Pair]:
    """All pairs of configurations by their slopes; `changes` (of coherence), `gains`: configuration → seed →
    value.
    """
    if len(gains) < 2:
        return []
    _, table = slope_pairs(_matrix(changes), _matrix(gains), alpha, rounding)
    return listed(list(gains), table, MARGIN["slope"])


def _matrix(figures: Mapping[Name, Mapping[int, float]]) -> np.ndarray:
    """[k, n], n the number of seeds that any configuration has; NaN where a figure is missing."""
    seeds = list(dict.fromkeys(seed for row in figures.values() for seed in row))
    rows = [[row[seed] if finite(row.get(seed)) else np.nan for seed in seeds] for row in figures.values()]
    return np.array(rows, float).reshape(len(figures), len(seeds))


def listed(names: list[Name], table: Table, margin: float) -> list[Pair]:
    """A table's pairs one by one, by name; `margin`: within which a difference does not matter."""
    rows = zip(table.first, table.second, table.difference.tolist(), table.reach.tolist(), strict=True)
    return [_pair(names[a], names[b], difference, reach, margin) for a, b, difference, reach in rows]


def _pair(first: Name, second: Name, difference: float, reach: float, margin: float) -> Pair:
    if np.isnan(difference) or np.isnan(reach):
        return Pair(first, second, None if np.isnan(difference) else difference, None, None, None, None)
    low, high = difference - reach, difference + reach
    return Pair(first, second, difference, low, high, not low <= 0 <= high, -margin < low and high < margin)
