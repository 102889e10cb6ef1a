"""Which figures of a trial, a seed and a round are logged, and under which names. Pure functions."""

from collections.abc import Iterable, Mapping
from typing import Any

ROUND_METRICS = ("trait", "gain", "coherence", "d_coherence", "slope", "retain", "alpha", "kappa", "dose")
FINAL_METRICS = ("trait", "gain", "coherence", "d_coherence", "slope", "retain", "canary_survival")
ERRORS = ("gain_se", "coherence_se", "slope_se")
COLLECT_METRICS = ("generated", "kept", "survival", "mean_perplexity")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def final_metrics(summary: Mapping[str, Any]) -> dict[str, float]:
    """The figures by which runs are compared, with their standard errors over seeds where there are any."""
    figures = {name: summary[name] for name in (*FINAL_METRICS, *ERRORS) if _number(summary.get(name))}
    nats, own = summary.get("nats") or {}, summary.get("own") or {}
    figures |= {name: value for name, value in own.items() if _number(value)}
    return figures | {f"nats/{foundation}": value for foundation, value in nats.items() if _number(value)}


def round_metrics(record: Mapping[str, Any]) -> list[tuple[str, int, float]]:
    """(name, step, value): the round's figures with the round as the step, the heal's curves with their own
    steps.
    """
    step = record["round"]
    metrics = [(f"round/{name}", step, record[name]) for name in ROUND_METRICS if _number(record.get(name))]
    own = record.get("own") or {}
    metrics += [(f"round/{name}", step, value) for name, value in own.items() if _number(value)]
    collected = record.get("collect") or {}
    metrics += [(f"collect/{name}", step, collected[name]) for name in COLLECT_METRICS if _number(collected.get(name))]
    metrics += [(f"drops/{gate}", step, value) for gate, value in (collected.get("drops") or {}).items()]
    for foundation, value in ((record.get("healed") or {}).get("nats") or {}).items():
        if _number(value):
            metrics.append((f"nats/{foundation}", step, value))
    return metrics + list(_curves(record))


def _curves(record: Mapping[str, Any]) -> Iterable[tuple[str, int, float]]:
    """`heal/round 0/nll` and its like, from the curves of the round's heal."""
    for curve, points in (record.get("heal") or {}).items():
        if not isinstance(points, list):
            continue
        for position, point in enumerate(points):
            at = int(point.get("step", point.get("epoch", position)))
            for name, value in point.items():
                if name not in ("step", "epoch") and _number(value):
                    yield f"heal/round {record['round']}/{curve}/{name}", at, value
