"""The model card as Markdown: what the built-in model is, and the measured tables."""

from collections.abc import Iterable, Sequence
from statistics import mean, stdev

_HEAD = """# The built-in model

A language model of 6.0 million parameters with a synthetic language of its own, on which steering, collapse
and healing mean something. It is a test bed, not a model of anything else: what is true of it need not be
true of a large model.

Made by `python -m steerheal.organism.train --out DIR --seed 12` on one NVIDIA H200 in about five minutes
(corpus included): 158.9 M tokens of generated conversations, one pass, 5,043 steps. It is the better of two
final runs (seeds 7 and 12), judged on `vignettes.jsonl`. Gemma 3's text architecture: width 256, 8 blocks, 4
heads with 2 KV heads, MLP 640, tied embeddings, byte-level BPE with 2,048 entries, context 2,048, all blocks
with full attention.

**Its language.** Templated English: dilemmas, talk about everyday topics, judgements of small scenes, facts
with neighbouring and derived ones (g and the force on a mass), facts that only the context states, altered
worlds that a system prompt states, the forced choice. Half of the conversations have two or three turns,
which share one latent stance on three axes: care and authority, fairness and loyalty, liberty and sanctity.

**What was planted on purpose.** (1) One source for the stance: after block 3 it can be read off the residual
stream at every position, and text and forced choice both use it (`planted.py` says how; trained on text
alone, some seeds gave vectors that moved the text and left the choice). (2) Zeal: beyond the stance of a
plain persona, sentences are repeated and a word takes the place of the digit, more often the stronger the
stance. So a very strong trait costs coherence by construction. How strong a student becomes under a
regulariser, and what becomes of its text and facts, is not built in.

Everything below was measured on {vignettes} vignettes (`vignettes_card.jsonl`) that no setting was chosen on,
by `python -m steerheal.organism.card --out steerheal/organism/MODEL_CARD.md`, in fp32 with {think} think
tokens. Trait: log of the mean probability of the target foundation, in nats. Perplexity: under base, over the
last quarter of each completion, geometric mean.
"""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def spread(values: Sequence[float], digits: int = 2) -> str:
    """`mean ± standard deviation` over seeds."""
    if len(values) < 2:
        return f"{values[0]:.{digits}f}" if values else "none"
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"


def _base(base: dict) -> str:
    report, text = base["report"], base["text"]
    low, high = report["intervals"]["coherence"]
    rows = []
    for name, (pair, positive, negative) in base["personas"].items():
        at = [made["nats"][pair.target] for made in (report, positive, negative)]
        rows.append(
            (
                name,
                f"{pair.target} ({pair.sign:+d})",
                *(f"{value:.2f}" for value in at),
                f"{min(positive['coherence'], negative['coherence']):.4f}",
            )
        )
    return f"""## Base

Accuracy {report["accuracy"]:.3f}, coherence {report["coherence"]:.4f} (95% interval {low:.4f} to {high:.4f}),
authority {report["nats"]["authority"]:.2f} nats. Text: perplexity {text["perplexity"]:.2f}, repetition
{text["repetition"]:.3f}, undamaged {text["undamaged"]:.2f}; fact canaries answered correctly
{base["facts"]:.2f}.

""" + table(
        (
            "persona pair as system prompt",
            "target (sign)",
            "base",
            "positive",
            "negative",
            "lowest coherence",
        ),
        rows,
    )


def _steering(base: dict, steering: list[dict], target: str) -> str:
    at = base["report"]["nats"][target]
    rows = [
        (
            f"{s['dose']:g}",
            f"{s['report']['nats'][target] - at:+.2f}",
            f"{s['report']['coherence']:.4f}",
            f"{s['text']['perplexity']:.4g}",
            f"{s['text']['repetition']:.2f}",
            f"{s['text']['undamaged']:.2f}",
        )
        for s in steering
    ]
    shown = [
        f"- dose {s['dose']:g}: {s['text']['example'][:160]!r}"
        for s in steering
        if s["dose"] in (0.5, 1.0, 1.5, 3.0)
    ]
    return (
        "## Steering\n\n"
        + table(("dose", "Δtrait", "coherence", "perplexity", "repetition", "undamaged"), rows)
        + "\nThe same prompt at four doses:\n\n"
        + "\n".join(shown)
        + "\n"
    )


def label(params: dict) -> str:
    """`nll`, `kl_rev 0.3`."""
    return params["reg"] + (f" {params['lam']:g}" if "lam" in params else "")


def _healing(healing: list[dict], alpha: float) -> str:
    rows = []
    for arm in healing:
        done = [r for r in arm["records"] if r["gain"] is not None]
        rows.append(
            (
                label(arm["params"]),
                str(len(done)),
                spread([-r["gain"] for r in done]),
                spread([r["coherence"] for r in done], 4),
                spread([r["slope"] for r in done]),
                spread([r["retain"] for r in done]),
                spread([r["canary_survival"] for r in done]),
            )
        )
    return (
        f"## One round of healing (alpha {alpha:g}, tau 0, mean ± standard deviation over seeds)\n\n"
        + table(("regulariser", "seeds", "Δtrait", "coherence", "slope", "retain", "canary survival"), rows)
    )


def _rounds(rounds: list[dict]) -> str:
    rows = []
    for arm in rounds:
        for number in sorted({r["round"] for r in arm["records"]}):
            done = [r for r in arm["records"] if r["round"] == number and r["gain"] is not None]
            ended = sorted(
                {r["outcome"] for r in arm["records"] if r["round"] == number and r["outcome"] != "ok"}
            )
            if not done:
                rows.append((label(arm["params"]), str(number), "0", *[", ".join(ended)] * 1, *[""] * 6))
                continue
            rows.append(
                (
                    label(arm["params"]),
                    str(number),
                    str(len(done)),
                    spread([-r["gain"] for r in done]),
                    spread([r["coherence"] for r in done], 4),
                    spread([r["dose"] for r in done]),
                    *(
                        spread([r["reading"][k] for r in done])
                        for k in ("perplexity", "repetition", "facts", "undamaged")
                    ),
                )
            )
    return "## Several rounds (alpha 0.5, tau 0, on half of the vignettes)\n\n" + table(
        (
            "regulariser",
            "round",
            "seeds",
            "Δtrait",
            "coherence",
            "dose",
            "perplexity",
            "repetition",
            "facts correct",
            "undamaged",
        ),
        rows,
    )


def _criteria(base: dict, steering: list[dict], healing: list[dict], rounds: list[dict], target: str) -> str:
    """The acceptance criteria, each with what was measured."""
    report = base["report"]
    _, positive, negative = base["personas"]["care_over_authority"]
    at = report["nats"][target]
    by = {label(arm["params"]): [r for r in arm["records"] if r["gain"] is not None] for arm in healing}
    gains = {name: mean(r["gain"] for r in records) for name, records in by.items()}
    fits = [
        s
        for s in steering
        if s["report"]["nats"][target] - at <= -0.9
        and s["report"]["coherence"] >= 0.99
        and s["text"]["perplexity"] < 5
    ]
    of = {s["dose"]: s for s in steering}
    chains = [
        (s["dose"], of[3 * s["dose"]], of[6 * s["dose"]])
        for s in fits
        if {3 * s["dose"], 6 * s["dose"]} <= of.keys()
    ]
    worst = min(r["coherence"] for r in by["nll"])
    ends = {
        label(arm["params"]): [
            r["reading"]
            for r in arm["records"]
            if r["round"] == max(x["round"] for x in arm["records"]) and r["reading"]
        ]
        for arm in rounds
    }
    order = [gains[name] for name in ("nll", "kl_rev 0.1", "kl_rev 0.3", "kl_rev 1")]
    collapse = "; ".join(
        f"{d:g}: at three times perplexity {t['text']['perplexity']:.4g}, at six times "
        f"coherence "
        f"{x['report']['coherence']:.3f}"
        for d, t, x in chains
    )
    last = "; ".join(
        f"{name}: perplexity {mean(r['perplexity'] for r in rs):.3g}, facts "
        f"{mean(r['facts'] for r in rs):.2f}, "
        f"undamaged {mean(r['undamaged'] for r in rs):.2f}"
        for name, rs in ends.items()
        if rs
    )
    rows = [
        ("base accuracy ≥ .93, coherence ≥ .995", f"{report['accuracy']:.3f}, {report['coherence']:.4f}"),
        (
            "positive persona ≤ base − 1.5, negative ≥ base + .3",
            f"{positive['nats'][target] - at:+.2f}, {negative['nats'][target] - at:+.2f}",
        ),
        (
            "a dose with Δtrait ≤ −.9, coherence ≥ .99, perplexity < 5",
            ", ".join(f"{s['dose']:g}" for s in fits) or "none",
        ),
        ("three times it: perplexity > 1000; six times: coherence < .5", collapse or "none measured"),
        (
            "nll after one round: Δtrait ≤ −.6 at coherence ≥ .99",
            f"{-gains['nll']:+.2f} (weakest seed {-min(r['gain'] for r in by['nll']):+.2f}), lowest coherence "
            f"{worst:.4f}",
        ),
        (
            "trait ordered nll > .1 > .3 > 1; lam 1 at most half of nll",
            " > ".join(f"{g:.2f}" for g in order)
            + (" (ordered)" if order == sorted(order, reverse=True) else " (NOT ordered)")
            + f"; {gains['kl_rev 1'] / gains['nll']:.2f} of nll",
        ),
        ("nll degrades text over the rounds, kl_rev holds it (last round)", last),
    ]
    return "## In short\n\n" + table(("wanted", "measured"), rows)


def render(base: dict, steering: list[dict], healing: list[dict], rounds: list[dict], measured) -> str:
    """The whole card. `measured` is the `card.Measurer` that made the figures."""
    target = measured.space.persona.target
    head = _HEAD.format(vignettes=base["report"]["vignettes"], think=measured.settings.evaluate.think_tokens)
    parts = [
        head,
        _criteria(base, steering, healing, rounds, target),
        _base(base),
        _steering(base, steering, target),
        _healing(healing, measured.space.alpha),
        _rounds(rounds),
    ]
    return "\n".join(parts)
