"""The front of gain against coherence, with uncertainty: who is not dominated beyond noise."""

from collections.abc import Hashable, Mapping, Sequence

from steerheal.statistics.levels import ALPHA, MARGIN
from steerheal.statistics.pairs import Pair, compare

Name = Hashable
Interval = tuple[float, float]


def pareto_front(
    gains: Mapping[Name, Mapping[int, float]], coherences: Mapping[Name, Mapping[int, float]]
) -> dict[Name, bool | None]:
    """Whether a configuration may be on the front; both: configuration → seed → value, larger is better.

    It is not if another is really better in one figure and, in the other, neither really worse nor worse than
    the margin (the interval excludes that). Without the former two that trade one figure for the other, each
    within the margin, would each rule the other out. Two figures share the level, half each. None where nothing is repeated: the means
    alone cannot say.
    """
    better = _intervals(compare(gains, "gain", alpha=ALPHA / 2))
    kinder = _intervals(compare(coherences, "coherence", alpha=ALPHA / 2))
    return {name: _stands(name, list(gains), better, kinder) for name in gains}


def undominated(points: Mapping[Name, Sequence[float]]) -> set[Name]:
    """The front of the figures as they stand, larger is better; without a word on noise."""

    def beaten(name: Name) -> bool:
        mine = points[name]
        others = [other for other in points.values() if tuple(other) != tuple(mine)]
        return any(all(a >= b for a, b in zip(other, mine, strict=True)) for other in others)

    return {name for name in points if not beaten(name)}


def _intervals(pairs: Sequence[Pair]) -> dict[tuple[Name, Name], Interval]:
    """(a, b) → the least and the most by which a may be above b."""
    known = {(pair.first, pair.second): (pair.low, pair.high) for pair in pairs if pair.low is not None}
    return known | {(second, first): (-high, -low) for (first, second), (low, high) in known.items()}


def _stands(name: Name, names: Sequence[Name], better: Mapping, kinder: Mapping) -> bool | None:
    others = [(better.get((other, name)), kinder.get((other, name))) for other in names if other != name]
    known = [(gain, coherence) for gain, coherence in others if gain is not None and coherence is not None]
    if others and not known:
        return None
    return not any(_dominates(gain, coherence) for gain, coherence in known)


def _dominates(gain: Interval, coherence: Interval) -> bool:
    within = gain[0] >= -MARGIN["gain"] and coherence[0] >= -MARGIN["coherence"]
    really_worse = gain[1] < 0 or coherence[1] < 0
    return within and not really_worse and (gain[0] > 0 or coherence[0] > 0)
