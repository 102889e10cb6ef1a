"""The model card as Markdown: what the built-in model is, and the measured tables."""

from collections.abc import Iterable, Sequence
from statistics import mean, stdev

from .card_criteria import Measurements, criteria, label

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
by `python -m steerheal.organism.card --out steerheal/organism/MODEL_CARD.md` on {device}, in fp32 with
{think} think tokens. Trait: log of the mean probability of the target foundation, in nats. Perplexity: under
base, over the last quarter of each completion; the geometric mean over completions says what a typical one
has, the arithmetic one is what published tables count.
"""


# The doses whose completion of the first prompt is shown.
EXAMPLES = (0.5, 1.0, 1.5, 3.0)
# What a round's line shows of its canaries.
READ = ("perplexity", "mean_perplexity", "repetition", "facts", "undamaged")


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
    return f"""## Base

Accuracy {report["accuracy"]:.3f}, coherence {report["coherence"]:.4f} (95% interval {low:.4f} to {high:.4f}),
authority {report["nats"]["authority"]:.2f} nats. Text: perplexity {text["perplexity"]:.2f} (arithmetic mean
{text["mean_perplexity"]:.2f}), repetition {text["repetition"]:.3f}, undamaged {text["undamaged"]:.2f}; fact
canaries answered correctly {base["facts"]:.2f}.
"""


def _personas(m: Measurements) -> str:
    rows = [
        (
            name,
            f"{moves['pair'].target} ({moves['pair'].sign:+d})",
            f"{moves['base']:.2f}",
            f"{moves['positive']:+.2f}",
            f"{moves['negative']:+.2f}",
            f"{moves['lowest']:.4f}",
            f"{moves['gain']:+.2f}",
            f"{moves['coherence']:.4f}",
            f"{moves['text']['mean_perplexity']:.3g}",
        )
        for name, moves in m.personas.items()
    ]
    header = (
        "pair",
        "target (sign)",
        "base, nats",
        "positive prompt",
        "negative prompt",
        "lowest coherence",
        "gain, steered",
        "coherence, steered",
        "perplexity (arithmetic), steered",
    )
    return (
        "## The persona pairs\n\nThe room that base has on both sides (either persona as system prompt,\n"
        f"nats against base), and what the pair's own vector does at dose {m.alpha:g}.\n\n" + table(header, rows)
    )


def _steering(m: Measurements) -> str:
    rows = [
        (
            f"{s['dose']:g}",
            f"{m.moved(s):+.2f}",
            f"{s['report']['coherence']:.4f}",
            f"{s['text']['perplexity']:.4g}",
            f"{s['text']['mean_perplexity']:.4g}",
            f"{s['text']['repetition']:.2f}",
            f"{s['text']['undamaged']:.2f}",
        )
        for s in m.steering
    ]
    header = (
        "dose",
        "Δtrait",
        "coherence",
        "perplexity (geometric)",
        "perplexity (arithmetic)",
        "repetition",
        "undamaged",
    )
    shown = [f"- dose {s['dose']:g}: {s['text']['example'][:160]!r}" for s in m.steering if s["dose"] in EXAMPLES]
    examples = "\nThe same prompt at four doses:\n\n" + "\n".join(shown) + "\n"
    return f"## Steering ({m.pair})\n\n" + table(header, rows) + examples


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
    return f"## One round of healing (alpha {alpha:g}, tau 0, mean ± standard deviation over seeds)\n\n" + table(
        ("regulariser", "seeds", "Δtrait", "coherence", "slope", "retain", "canary survival"), rows
    )


def _rounds(rounds: list[dict]) -> str:
    header = (
        "regulariser",
        "round",
        "seeds",
        "Δtrait",
        "coherence",
        "dose",
        "perplexity (geometric)",
        "perplexity (arithmetic)",
        "repetition",
        "facts correct",
        "undamaged",
    )
    lines = [
        _round(label(arm["params"]), number, [r for r in arm["records"] if r["round"] == number])
        for arm in rounds
        for number in sorted({r["round"] for r in arm["records"]})
    ]
    return "## Several rounds (alpha 0.5, tau 0, on half of the vignettes)\n\n" + table(header, lines)


def _round(arm: str, number: int, records: list[dict]) -> tuple[str, ...]:
    """One line; where no seed could be measured, how they ended."""
    done = [r for r in records if r["gain"] is not None]
    if not done:
        ended = sorted({r["outcome"] for r in records if r["outcome"] != "ok"})
        return (arm, str(number), "0", ", ".join(ended), *[""] * (2 + len(READ)))
    return (
        arm,
        str(number),
        str(len(done)),
        spread([-r["gain"] for r in done]),
        spread([r["coherence"] for r in done], 4),
        spread([r["dose"] for r in done]),
        *(spread([r["reading"][key] for r in done]) for key in READ),
    )


def render(m: Measurements) -> str:
    """The whole card."""
    head = _HEAD.format(vignettes=m.base["report"]["vignettes"], think=m.think_tokens, device=m.device)
    parts = [
        head,
        "## In short\n\n" + table(("wanted", "measured"), criteria(m)),
        _base(m.base),
        _personas(m),
        _steering(m),
        _healing(m.healing, m.alpha),
        _rounds(m.rounds),
    ]
    return "\n".join(parts)
