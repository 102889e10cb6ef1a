"""What the built-in model was wanted to be, each line beside what was measured."""

from dataclasses import dataclass
from statistics import fmean

LOOPS = 1000


@dataclass(frozen=True)
class Measurements:
    """The card's figures, as `card.measure_*` return them; `pair` is the pair of all but `personas`."""

    base: dict
    personas: dict[str, dict]
    steering: list[dict]
    healing: list[dict]
    rounds: list[dict]
    pair: str
    alpha: float
    think_tokens: int
    device: str

    @property
    def target(self) -> str:
        """The foundation that the pair steers."""
        return self.personas[self.pair]["pair"].target

    def moved(self, steered: dict) -> float:
        """Delta of the trait against base, in nats, of an entry of `steering`."""
        return steered["report"]["nats"][self.target] - self.base["report"]["nats"][self.target]


def label(params: dict) -> str:
    """`nll`, `kl_rev 0.3`."""
    return params["reg"] + (f" {params['lam']:g}" if "lam" in params else "")


def criteria(m: Measurements) -> list[tuple[str, str]]:
    """(wanted, measured) lines."""
    report, moves = m.base["report"], m.personas[m.pair]
    doses = working(m)
    return [
        ("base accuracy ≥ .93, coherence ≥ .995", f"{report['accuracy']:.3f}, {report['coherence']:.4f}"),
        (
            "positive persona ≤ base − 1.5, negative ≥ base + .3",
            f"{moves['positive']:+.2f}, {moves['negative']:+.2f}",
        ),
        (
            "a dose with Δtrait ≤ −.9, coherence ≥ .99, perplexity < 5 (both means)",
            ", ".join(f"{s['dose']:g}" for s in doses) or "none",
        ),
        (
            f"three times that dose gives token loops (perplexity > {LOOPS}); six times: coherence < .5",
            "; ".join(_collapse(m, s["dose"]) for s in doses) or "no such dose",
        ),
        ("nll after one round: Δtrait ≤ −.6 at coherence ≥ .99", _healed(m)),
        ("trait ordered nll > .1 > .3 > 1; lam 1 at most half of nll", _ordered(m)),
        ("nll degrades text over the rounds, kl_rev holds it (last round)", _last_round(m)),
    ]


def working(m: Measurements) -> list[dict]:
    """The entries of `steering` that move the trait and leave choice and text whole."""
    return [
        s
        for s in m.steering
        if m.moved(s) <= -0.9
        and s["report"]["coherence"] >= 0.99
        and max(s["text"]["perplexity"], s["text"]["mean_perplexity"]) < 5
    ]


def _collapse(m: Measurements, dose: float) -> str:
    """What three and six times the dose do, and whether that is what was wanted."""
    at = {s["dose"]: s for s in m.steering}
    if not {3 * dose, 6 * dose} <= at.keys():
        return f"{dose:g}: not measured"
    text, coherence = at[3 * dose]["text"], at[6 * dose]["report"]["coherence"]
    geometric, arithmetic = text["perplexity"], text["mean_perplexity"]
    if coherence >= 0.5 or max(geometric, arithmetic) <= LOOPS:
        met = "no"
    else:
        met = "yes" if geometric > LOOPS else "yes by the arithmetic mean, no by the geometric"
    return (
        f"{dose:g}: perplexity {geometric:.4g} (geometric mean), {arithmetic:.4g} (arithmetic), coherence "
        f"{coherence:.3f}: {met}"
    )


def _healed(m: Measurements) -> str:
    """What one round of nll did."""
    records = _done(m)["nll"]
    gains = [r["gain"] for r in records]
    return (
        f"{-fmean(gains):+.2f} (weakest seed {-min(gains):+.2f}), "
        f"lowest coherence {min(r['coherence'] for r in records):.4f}"
    )


def _ordered(m: Measurements) -> str:
    """The gains from nll to the strongest barrier, and whether they fall."""
    gains = {name: fmean(r["gain"] for r in records) for name, records in _done(m).items()}
    order = [gains[name] for name in ("nll", "kl_rev 0.1", "kl_rev 0.3", "kl_rev 1")]
    falls = "ordered" if order == sorted(order, reverse=True) else "NOT ordered"
    return f"{' > '.join(f'{g:.2f}' for g in order)} ({falls}); {order[-1] / order[0]:.2f} of nll"


def _done(m: Measurements) -> dict[str, list[dict]]:
    """Per regulariser the records of the single round that could be measured."""
    return {label(arm["params"]): [r for r in arm["records"] if r["gain"] is not None] for arm in m.healing}


def _last_round(m: Measurements) -> str:
    """Text and facts where each arm of the long run ended."""
    parts = []
    for arm in m.rounds:
        last = max(r["round"] for r in arm["records"])
        readings = [r["reading"] for r in arm["records"] if r["round"] == last and r["reading"]]
        if readings:
            perplexity, facts, undamaged = (
                fmean(reading[key] for reading in readings) for key in ("perplexity", "facts", "undamaged")
            )
            ended = f"perplexity {perplexity:.3g}, facts {facts:.2f}, undamaged {undamaged:.2f}"
            parts.append(f"{label(arm['params'])}: {ended}")
    return "; ".join(parts)
