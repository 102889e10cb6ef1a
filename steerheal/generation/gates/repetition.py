"""Gate 2: how much of the completion is one n-gram?

    repetition = max over units (words, characters), n = 2..4, n-grams g of
                 (count(g) − 1) / max(number of n-grams, FEWEST[unit])

In a text of some length this is the n-gram's share. The first occurrence is not a repetition, and a short
text is measured as if it had FEWEST n-grams: otherwise the only bigram of "Of course." would have a share of
1, and "No, no, it is fine." would be a loop. Case and punctuation do not count for words; characters count as
they are, case apart, so "!!!!" and long runs of blank lines are seen. Overlapping occurrences count.
"""

from collections import Counter
from collections.abc import Sequence

from steerheal.generation.measured import Measured, Thresholds

NAME = "repetition"
ORDERS = (2, 3, 4)
FEWEST = {"word": 10, "character": 40}


def largest_share(units: Sequence[str], order: int, fewest: int) -> float:
    """The share of the commonest n-gram of this order among units, a string or a list of words."""
    counts = Counter(zip(*(units[i:] for i in range(order))))
    if not counts:
        return 0.0
    return (max(counts.values()) - 1) / max(len(units) - order + 1, fewest)


def measure(measured: Measured) -> dict[str, float]:
    shares = [largest_share(units, n, FEWEST[name]) for name, units in measured.folded.items() for n in ORDERS]
    return {"repetition": max(shares)}


def check(measured: Measured, measures: dict[str, float], thresholds: Thresholds) -> str | None:
    if measures["repetition"] < thresholds.max_repetition:
        return None
    return f"one n-gram has a share of {measures['repetition']:.2f}, limit {thresholds.max_repetition:g}"
