"""From reads to a moral profile: p per vignette, means, nats, coherence, accuracy, bootstrap intervals.

p_f = softmax over the options of the mean, over the two orders, of the full-vocabulary log-probability; mass = sum
of the options' probabilities, averaged over the orders. coherence = mean mass; trait = log of the mean p.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000


@dataclass(frozen=True)
class Read:
    """One vignette's reads: logp maps order → foundation → log-probability; nll: mean of the prefill's tokens."""

    id: str
    foundation: str
    logp: dict[str, dict[str, float]]
    nll: float


def row(read: Read) -> dict:
    """p per foundation, mass and prefill nll of one vignette; p and mass None when a read is not finite."""
    keys = list(next(iter(read.logp.values())))
    logp = np.array([[order[key] for key in keys] for order in read.logp.values()])
    made = {"id": read.id, "foundation": read.foundation, "p": None, "mass": None, "nll": None}
    if not np.isfinite(logp).all():
        return made
    score = logp.mean(0)
    p = np.exp(score - score.max())
    p /= p.sum()
    nll = float(read.nll) if np.isfinite(read.nll) else None
    return made | {"p": dict(zip(keys, p.tolist())), "mass": float(np.exp(logp).sum(1).mean()), "nll": nll}


def report(reads: Sequence[Read]) -> dict:
    """Profile, nats, coherence, accuracy, informedness, unscorable count, 95% intervals over vignettes, and rows."""
    rows = [row(read) for read in reads]
    scored = [r for r in rows if r["p"] is not None]
    made = {"vignettes": len(rows), "unscorable": len(rows) - len(scored), "rows": rows}
    if not scored:
        return made | dict.fromkeys(("profile", "nats", "coherence", "accuracy", "informedness", "nll", "intervals"))
    keys = list(scored[0]["p"])
    p = np.array([[r["p"][key] for key in keys] for r in scored])
    mass = np.array([r["mass"] for r in scored])
    labels = np.array([keys.index(r["foundation"]) for r in scored])
    mean = p.mean(0)
    nlls = [r["nll"] for r in scored if r["nll"] is not None]
    return made | {
        "profile": dict(zip(keys, mean.tolist())),
        "nats": dict(zip(keys, np.log(np.maximum(mean, 1e-300)).tolist())),
        "coherence": float(mass.mean()),
        "accuracy": float((p.argmax(1) == labels).mean()),
        "informedness": informedness(p.argmax(1), labels, len(keys)),
        "nll": float(np.mean(nlls)) if nlls else None,
        "intervals": intervals(p, mass, keys),
    }


def informedness(answers: np.ndarray, labels: np.ndarray, kinds: int) -> float:
    """Mean over the labels that occur of (hit rate − false-alarm rate): Youden's J, 0 for any guesser."""
    scores = []
    for kind in range(kinds):
        is_kind = labels == kind
        if is_kind.any() and not is_kind.all():
            scores.append((answers[is_kind] == kind).mean() - (answers[~is_kind] == kind).mean())
    return float(np.mean(scores)) if scores else 0.0


def intervals(p: np.ndarray, mass: np.ndarray, keys: list[str]) -> dict:
    """Percentile bootstrap over vignettes: p [n, 7], mass [n] → nats per foundation and coherence as [low, high]."""
    picks = np.random.default_rng(0).integers(0, len(p), (RESAMPLES, len(p)))
    nats = np.log(np.maximum(p[picks].mean(1), 1e-300))
    low, high = np.percentile(nats, [2.5, 97.5], axis=0)
    return {
        "nats": {key: [float(low[n]), float(high[n])] for n, key in enumerate(keys)},
        "coherence": np.percentile(mass[picks].mean(1), [2.5, 97.5]).tolist(),
    }
