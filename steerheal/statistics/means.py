"""Figures over seeds: mean, standard error, how many seeds have none; and the noise floor between seeds."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Mean:
    """A mean over seeds, its standard error (None for a single seed), how many seeds have no figure."""

    mean: float | None
    se: float | None
    n: int
    failed: int


@dataclass(frozen=True)
class Noise:
    """A standard deviation between seeds, in the figure's own unit, and the degrees of freedom behind it."""

    sd: float
    df: int


def finite(value: float | None) -> bool:
    """Whether a figure exists."""
    return value is not None and math.isfinite(value)


def ratio(above: float | None, below: float | None) -> float | None:
    """above / below, or None where it does not exist."""
    if not finite(above) or not finite(below) or below == 0:
        return None
    quotient = above / below
    return quotient if math.isfinite(quotient) else None


def mean(values: Sequence[float | None]) -> Mean:
    """Mean and standard error (ddof 1) of the figures that exist."""
    known = [value for value in values if finite(value)]
    failed = len(values) - len(known)
    if not known:
        return Mean(None, None, 0, failed)
    centre = math.fsum(known) / len(known)
    if len(known) == 1:
        return Mean(centre, None, 1, failed)
    variance = math.fsum((value - centre) ** 2 for value in known) / (len(known) - 1)
    return Mean(centre, math.sqrt(variance / len(known)), len(known), failed)


def pooled_noise(groups: Iterable[Sequence[float]], reference: Noise | None = None) -> Noise | None:
    """The noise between the seeds of each group, pooled by degrees of freedom; None if nothing is repeated.

    `reference`: noise known from elsewhere, such as many seeds of one fixed configuration.
    """
    squares, freedom = (reference.sd**2 * reference.df, reference.df) if reference else (0.0, 0)
    for group in groups:
        known = [value for value in group if finite(value)]
        if len(known) > 1:
            centre = math.fsum(known) / len(known)
            squares += math.fsum((value - centre) ** 2 for value in known)
            freedom += len(known) - 1
    return Noise(math.sqrt(squares / freedom), freedom) if freedom else None


def noise_floor(groups: Iterable[Sequence[float]]) -> float | None:
    """Pooled standard deviation (ddof 1) between the seeds of one configuration; None if none is repeated."""
    noise = pooled_noise(groups)
    return noise.sd if noise else None


def rerun_floor(reruns: Iterable[Sequence[float]]) -> float | None:
    """Rounding: the standard error floor from groups of re-runs of one configuration and one seed.

    What differs between re-runs has one cause (another packing, another order of additions), so it need not
    average out over seeds: the floor of a difference is √2 times the re-runs' deviation, whatever n is.
    """
    deviation = noise_floor(reruns)
    return None if deviation is None else math.sqrt(2) * deviation
