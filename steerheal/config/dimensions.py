"""What a sweep searches: choices and ranges, some of which exist only under a condition on another choice."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steerheal.config.messages import unknown_key, validate
from steerheal.config.sections import FIXED, SECTION_OF, SECTIONS, Frozen
from steerheal.config.trial import Alpha
from steerheal.yaml_io import one_line, refusal

MAX_CHOICES = 64
MAX_STEPS = 1000
Condition = tuple[tuple[str, tuple[Any, ...]], ...]


@dataclass(frozen=True)
class Dimension:
    """One searched setting. It exists when every name in `when` has one of the values given there."""

    name: str
    when: Condition = field(default=(), kw_only=True)

    def active(self, params: Mapping[str, Any]) -> bool:
        """Whether the dimension exists, given the dimensions before it."""
        return all(name in params and params[name] in values for name, values in self.when)

    def _conditioned(self, entry: dict) -> dict:
        when = {name: [_plain(value) for value in values] for name, values in self.when}
        return entry | ({"when": when} if when else {})


@dataclass(frozen=True)
class Choice(Dimension):
    """One of some values (a value is a scalar, or a tuple of numbers for `layers` and `depth`)."""

    values: tuple[Any, ...]

    def contains(self, value: Any) -> bool:
        return value in self.values

    def steps(self) -> tuple[Any, ...]:
        """Every value, for a grid."""
        return self.values

    def extremes(self) -> tuple[Any, ...]:
        """The smallest and the largest value; every value if they have no order."""
        if all(isinstance(value, int | float) for value in self.values):
            return (min(self.values), max(self.values))
        return self.values

    def entry(self) -> dict:
        """The dimension as a space file writes it."""
        return self._conditioned({"choices": [_plain(value) for value in self.values]})


@dataclass(frozen=True)
class Range(Dimension):
    """A number in [low, high], on a log scale or in steps if it says so."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    integer: bool = False

    def contains(self, value: Any) -> bool:
        slack = 1e-9 * max(abs(self.low), abs(self.high))
        return isinstance(value, int | float) and self.low - slack <= value <= self.high + slack

    def steps(self) -> tuple[Any, ...] | None:
        """Every value, for a grid; None if there is no end to them."""
        step = self.step or (1 if self.integer and not self.log else None)
        if step is None or (self.high - self.low) / step >= MAX_STEPS:
            return None
        last = math.floor((self.high - self.low) / step + 1e-9)
        if self.integer:
            return tuple(self.low + position * step for position in range(last + 1))
        return tuple(float(f"{self.low + position * step:.12g}") for position in range(last + 1))

    def extremes(self) -> tuple[Any, ...]:
        """Both ends."""
        return (self.low, self.high)

    def entry(self) -> dict:
        """The dimension as a space file writes it."""
        entry = {"low": self.low, "high": self.high}
        entry |= {"log": True} if self.log else {}
        return self._conditioned(entry | ({"step": self.step} if self.step is not None else {}))


class _Alone(Frozen):
    alpha: Alpha = 1.0


class _ChoiceEntry(Frozen):
    choices: Any
    when: dict[str, Any] = {}


class _RangeEntry(Frozen):
    low: Any
    high: Any
    log: bool = False
    step: Any = None
    when: dict[str, Any] = {}


def typed(leaf: str, value: Any, name: str, *where: str) -> Any:
    """A value as the setting `leaf` holds it (its type, its bounds)."""
    holder = _Alone if leaf == "alpha" else SECTIONS[SECTION_OF[leaf]]
    checked = validate(holder, {leaf: value}, name, *where)
    return getattr(checked, leaf)


def read_dimensions(search: Mapping[str, Any], name: str) -> tuple[Dimension, ...]:
    """The dimensions of a `search:` mapping, each after those that its conditions name."""
    found = {leaf: _dimension(leaf, entry, name) for leaf, entry in search.items()}
    found = {leaf: _with_condition(found, leaf, search[leaf], name) for leaf in found}
    ordered: dict[str, Dimension] = {}
    while len(ordered) < len(found):
        ready = [d for d in found.values() if d.name not in ordered and all(n in ordered for n, _ in d.when)]
        if not ready:
            stuck = next(leaf for leaf in found if leaf not in ordered)
            raise refusal(name, f"search.{stuck}.when", "the conditions form a circle", "remove one of them")
        ordered[ready[0].name] = ready[0]
    return tuple(ordered.values())


def walk(dimensions: Sequence[Dimension], values: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """The cartesian product of `values` (per dimension), with absent what its condition excludes."""
    if not dimensions:
        yield {}
        return
    *before, last = dimensions
    for params in walk(before, values):
        if last.active(params):
            yield from ({**params, last.name: value} for value in values[last.name])
        else:
            yield params


def _dimension(leaf: str, entry: Any, name: str) -> Dimension:
    """A dimension without its condition, which needs the other dimensions."""
    where = f"search.{leaf}"
    if leaf not in SECTION_OF and leaf != "alpha":
        raise refusal(name, where, *unknown_key(leaf, [*SECTION_OF, "alpha"]))
    if leaf in FIXED:
        what = "trials that are evaluated differently cannot be compared"
        raise refusal(name, where, what, f"fix it at settings.{SECTION_OF[leaf]}.{leaf}")
    if isinstance(entry, list):
        return _choice(leaf, entry, name)
    if not isinstance(entry, dict):
        raise refusal(name, where, "neither a list nor a range", "write [a, b], or {low: .., high: ..}")
    if "choices" in entry:
        return _choice(leaf, validate(_ChoiceEntry, entry, name, "search", leaf).choices, name)
    return _range(leaf, validate(_RangeEntry, entry, name, "search", leaf), name)


def _choice(leaf: str, values: Any, name: str) -> Choice:
    where = f"search.{leaf}"
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_CHOICES:
        raise refusal(name, where, "the choices are no list of 1 to 64 values", "write them as [a, b]")
    values = tuple(typed(leaf, value, name, "search") for value in values)
    if len({json.dumps(value) for value in values}) < len(values):
        raise refusal(name, where, "the same value twice", "keep one of them")
    return Choice(leaf, values)


def _range(leaf: str, entry: _RangeEntry, name: str) -> Range:
    where = f"search.{leaf}"
    low, high = (typed(leaf, value, name, "search") for value in (entry.low, entry.high))
    if not isinstance(low, int | float) or isinstance(low, bool):
        raise refusal(name, where, "this setting has no order, so no range", "list its values as [a, b]")
    integer = isinstance(low, int)
    if low >= high:
        raise refusal(name, where, f"the range from {low:g} to {high:g} is empty", "write low below high")
    if entry.log and low <= 0:
        raise refusal(name, f"{where}.low", "a log range cannot start at or below 0", "raise low, or drop log")
    if entry.step is None:
        return Range(leaf, low, high, entry.log, None, integer)
    if entry.log:
        raise refusal(name, f"{where}.step", "a log range has no steps", "drop step or log, or list the values")
    kind = int if integer else int | float
    if not isinstance(entry.step, kind) or isinstance(entry.step, bool) or not 0 < entry.step <= high - low:
        what = "the step is no number between 0 and the width of the range"
        raise refusal(name, f"{where}.step", what, "write a smaller one" if not integer else "write a whole one")
    return Range(leaf, low, high, False, entry.step if integer else float(entry.step), integer)


def _with_condition(found: Mapping[str, Dimension], leaf: str, entry: Any, name: str) -> Dimension:
    """The dimension with its `when`, checked against the choices that it names."""
    when = entry.get("when", {}) if isinstance(entry, dict) else {}
    condition = []
    for parent, values in when.items():
        where = f"search.{leaf}.when.{one_line(parent, 60)}"
        if parent not in found:
            raise refusal(name, where, "not a searched dimension", "search it too, or drop the condition")
        if not isinstance(found[parent], Choice):
            raise refusal(name, where, "a condition on a range", f"list the values of {parent} as choices")
        values = values if isinstance(values, list) else [values]
        values = tuple(typed(parent, value, name, "search", leaf, "when") for value in values)
        strange = [value for value in values if value not in found[parent].values]
        if strange or not values:
            what = f"{one_line(str(strange[0]), 60)} is not among its choices" if strange else "no value"
            raise refusal(name, where, what, f"use some of {', '.join(map(str, found[parent].values))}")
        condition.append((parent, values))
    plain = {key: value for key, value in vars(found[leaf]).items() if key != "when"}
    return type(found[leaf])(**plain, when=tuple(condition))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
