"""Gate 1, and the guards before it: is the ending of the completion likely under base?

    perplexity = exp(−mean(logprobs[−m:])),  m = max(⌈n / 4⌉, min(n, 8))

The last quarter, because over-steering shows late; never fewer than 8 tokens (or all), because a quarter of a
short answer is one or two tokens, and a single unlucky word would decide.
"""

import math

import numpy as np

from steerheal.generation.measured import Measured, Thresholds

NAME = "perplexity"
FEWEST = 8
LARGEST_EXPONENT = 700.0  # exp of more overflows a double; far beyond any limit either way


def measure(measured: Measured) -> dict[str, float]:
    """{"perplexity": …}, or {} when it is not a number."""
    if not measured.scorable:
        return {}
    tokens = max(math.ceil(len(measured.logprobs) / 4), FEWEST)
    ending = np.asarray(measured.logprobs, dtype=np.float64)[-tokens:]
    return {"perplexity": math.exp(min(-float(ending.mean()), LARGEST_EXPONENT))}


def check(measured: Measured, measures: dict[str, float], thresholds: Thresholds) -> str | None:
    if measures["perplexity"] < thresholds.max_perplexity:
        return None
    return f"perplexity {measures['perplexity']:.4g} over the last quarter, limit {thresholds.max_perplexity:g}"
