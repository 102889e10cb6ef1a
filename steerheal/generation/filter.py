"""The filter: which steered completions are coherent enough to train on, and which gate dropped the others.

A completion is kept when every gate passes. A drop is attributed to the first failing gate, in the order of
`GATES`; the reasons list all that failed. Two guards come before the five gates: `empty` (nothing but space)
and `unscorable` (no scores under base, or one that is not finite: counted, never clamped to a number that
would rank).

`python -m steerheal.generation.filter` judges the shipped labelled set and scores the gates.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from steerheal.generation import gates
from steerheal.generation.measured import Measured, Thresholds

__all__ = ["GATES", "Measured", "Thresholds", "Verdict", "drops", "judge"]

GATES = ("empty", "unscorable", *(gate.NAME for gate in gates.IN_ORDER))


@dataclass(frozen=True)
class Verdict:
    """kept; gate: the first failing gate, None if kept; reasons: failing gate → sentence with the number;
    measures: all numbers, finite (`perplexity` is absent when it is not a number).
    """

    kept: bool
    gate: str | None
    reasons: dict[str, str] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)


def judge(measured: Measured, thresholds: Thresholds = Thresholds()) -> Verdict:
    """Measure one completion with every gate, and drop it if any fails."""
    measures = {"hit_limit": float(measured.hit_limit)}
    reasons: dict[str, str] = {}
    if not measured.text.strip():
        reasons["empty"] = "no text"
    for gate in gates.IN_ORDER:
        found = gate.measure(measured)
        measures |= found
        if not found:
            reasons["unscorable"] = "a score under base is missing or not finite"
        elif said := gate.check(measured, found, thresholds):
            reasons[gate.NAME] = said
    first = min(reasons, key=GATES.index, default=None)
    return Verdict(kept=first is None, gate=first, reasons=reasons, measures=measures)


def drops(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How many completions each gate dropped, all gates named; the counts add up to the drops."""
    counts = dict.fromkeys(GATES, 0)
    for verdict in verdicts:
        if verdict.gate is not None:
            counts[verdict.gate] += 1
    return counts


if __name__ == "__main__":
    from steerheal import cli
    from steerheal.generation.labelled import main

    cli.run(main)
