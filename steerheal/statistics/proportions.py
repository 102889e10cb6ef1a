"""Shares of answers with 95% intervals, over seeds and prompts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Share:
    """A share with its interval, all from 0 to 1 (a difference of shares: from −1 to 1)."""

    value: float
    low: float
    high: float


def share(held: Sequence[Sequence[float]]) -> Share:
    """The mean of `held` [seeds, prompts], each the share of a prompt's answers that hold.

    The interval is a percentile bootstrap that draws seeds and prompts anew, both, since answers to one prompt
    resemble each other. Where all agree there is nothing to draw: it is Wilson's, with a prompt counted once.
    """
    table = np.asarray(held, float)
    seeds, prompts = table.shape
    centre = float(table.mean())
    if np.ptp(table) == 0:
        found = binomtest(round(centre * prompts), prompts).proportion_ci(LEVEL, method="wilson")
        return Share(centre, min(centre, found.low), max(centre, found.high))
    rng = np.random.default_rng(0)
    rows, columns = (rng.integers(count, size=(DRAWS, count)) for count in (seeds, prompts))
    means = table[rows[:, :, None], columns[:, None, :]].mean(axis=(1, 2))
    low, high = np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Share(centre, float(low), float(high))


def difference(first: Share, second: Share) -> Share:
    """first − second, its interval recovered from both (MOVER; Zou and Donner 2008, doi:10.1002/sim.3095); wider than
    need be where the two rise and fall together.
    """
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    return Share(value, low, high)
