"""Who cannot be told from the best. Ties are not transitive: there are marks and groups, but no classes."""

from collections.abc import Hashable, Iterable, Sequence

from steerheal.statistics.pairs import Pair

Name = Hashable


def tied(order: Sequence[Name], pairs: Iterable[Pair]) -> dict[Name, bool | None]:
    """Whether each of `order` (best first) cannot be told from the first; None where nothing is repeated."""
    real = {frozenset((pair.first, pair.second)): pair.real for pair in pairs}
    best = order[0] if order else None
    marks = {name: _not(real.get(frozenset((best, name)))) for name in order[1:]}
    compared = any(mark is not None for mark in marks.values())
    return {best: True if compared else None, **marks} if order else {}


def tie_groups(order: Sequence[Name], pairs: Sequence[Pair]) -> dict[Name, int | None]:
    """A group's number, from 1: the best and all that cannot be told from it; of the others the best, and so
    on.

    A member may also be inseparable from one of another group. None where nothing is repeated.
    """
    groups: dict[Name, int | None] = {}
    left, number = list(order), 0
    while left:
        number += 1
        marks = tied(left, pairs)
        unknown = all(mark is None for mark in marks.values())
        if unknown and len(left) == len(order):
            return dict.fromkeys(order)
        group = [name for name in left if marks[name] or name == left[0]]
        groups |= dict.fromkeys(group, number)
        left = [name for name in left if name not in groups]
    return {name: groups[name] for name in order}


def _not(real: bool | None) -> bool | None:
    return None if real is None else not real
