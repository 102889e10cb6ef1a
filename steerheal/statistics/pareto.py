"""The front of gain against coherence, with uncertainty: who is not dominated beyond noise."""

from collections.abc import Hashable, Mapping, Sequence

from steerheal.statistics.levels import ALPHA, MARGIN
from steerheal.statistics.pairs import Pair, compare

Name = Hashable


def pareto_front(
    gains: Mapping[Name, Mapping[int, float]], coherences: Mapping[Name, Mapping[int, float]]
) -> dict[Name, bool | None]:
    """Whether a configuration may be on the front; both: configuration → seed → value, larger is better.

    It is not if another is really better in one figure and not worse than the margin in the other (the
    interval excludes that). Two figures share the level, half each. None where nothing is repeated: the means
    alone cannot say.
    """
    better = _intervals(compare(gains, "gain", alpha=ALPHA / 2))
    kinder = _intervals(compare(coherences, "coherence", alpha=ALPHA / 2))
    return {name: _stands(name, list(gains), better, kinder) for name in gains}


def _intervals(pairs: Sequence[Pair]) -> dict[tuple[Name, Name], float | None]:
    """(winner, loser) → the least by which the first may be above the second."""
    lows = {(pair.first, pair.second): pair.low for pair in pairs}
    return lows | {(pair.second, pair.first): None if pair.high is None else -pair.high for pair in pairs}


def _stands(name: Name, names: Sequence[Name], better: Mapping, kinder: Mapping) -> bool | None:
    others = [(better[other, name], kinder[other, name]) for other in names if other != name]
    known = [(gain, coherence) for gain, coherence in others if gain is not None and coherence is not None]
    if others and not known:
        return None
    return not any(_dominates(gain, coherence) for gain, coherence in known)


def _dominates(gain: float, coherence: float) -> bool:
    worse = gain < -MARGIN["gain"] or coherence < -MARGIN["coherence"]
    return not worse and (gain > 0 or coherence > 0)
