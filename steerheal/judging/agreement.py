"""How far repeated judgements agree: Krippendorff's alpha.

    alpha = 1 - D_o / D_e

D_o is the mean difference between two judgements of one text, D_e between any two judgements at all, with every
judgement weighted alike (K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011). The
difference is the square of the distance for scores (interval data), and 0 or 1 for words (nominal data); a word
is taken as a unit vector, of which half the squared distance is just that. 1: perfect; 0: as by chance.

Two passes of one judge say how repeatable it is. They do not say that it is right.
"""

from collections.abc import Sequence

import numpy as np

RESAMPLES = 1000


def agreement(units: Sequence[Sequence[float | str]], seed: int = 0) -> dict:
    """Alpha over texts (`units`), each with its judgements (any number, all numbers or all words).

    {"alpha", "low", "high", "texts"}: texts with fewer than two judgements have nothing to agree on and are left
    out of the count; low and high are a 95% percentile bootstrap over texts. alpha is None where D_e is 0: when
    all judgements are the same there is no telling agreement from habit.
    """
    pairable = [unit for unit in units if len(unit) > 1]
    if not pairable:
        return {"alpha": None, "low": None, "high": None, "texts": 0}
    counts = np.array([len(unit) for unit in pairable], dtype=float)
    sums, squares = _moments(pairable)
    every = np.ones((1, len(pairable)))
    drawn = np.random.default_rng(seed).multinomial(len(pairable), [1 / len(pairable)] * len(pairable), RESAMPLES)
    (alpha,) = _alpha(every, counts, sums, squares)
    spread = _alpha(drawn.astype(float), counts, sums, squares)
    spread = spread[np.isfinite(spread)]
    known = bool(np.isfinite(alpha))
    low, high = np.quantile(spread, [0.025, 0.975]) if known and len(spread) else (None, None)
    return {
        "alpha": float(alpha) if known else None,
        "low": None if low is None else float(low),
        "high": None if high is None else float(high),
        "texts": len(pairable),
    }


def _moments(units: Sequence[Sequence[float | str]]) -> tuple[np.ndarray, np.ndarray]:
    """Per unit the sum of its values as vectors [units, d], and the sum of their squared lengths [units]."""
    words = sorted({value for unit in units for value in unit if isinstance(value, str)})
    if words:
        sums = np.array([[sum(value == word for value in unit) for word in words] for unit in units], dtype=float)
        return sums, sums.sum(1)
    # Differences do not depend on where zero is, and sums of squares lose digits far away from it.
    centre = np.mean([value for unit in units for value in unit])
    shifted = [np.array(unit, dtype=float) - centre for unit in units]
    return np.array([[values.sum()] for values in shifted]), np.array([(values**2).sum() for values in shifted])


def _alpha(weights: np.ndarray, counts: np.ndarray, sums: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Alpha under each row of weights [resamples, units], how often each unit is in; NaN where D_e is 0.

    Over the ordered pairs of m vectors, the squared distances add up to 2 (m Σ|v|² - |Σv|²).
    """
    within = 2 * (counts * squares - (sums**2).sum(1)) / (counts - 1)
    n = weights @ counts
    observed = weights @ within / n
    expected = 2 * (n * (weights @ squares) - ((weights @ sums) ** 2).sum(1)) / (n * (n - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 1e-12, 1 - observed / expected, np.nan)
