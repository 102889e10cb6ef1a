"""Gate 5: degenerate text that is likely under base and holds no single frequent n-gram.

A model pushed too far writes loops of long phrases, word soup from a handful of words ("your your into your
of your"), scraps of its vocabulary ("GLUTE GLUTE BUILDUTEutive") or a mixture of languages. Once base has
read some of it, the rest is predictable, so gate 1 sees a low perplexity. Seven plain measures see it, each
with its limit:

    loop             share of the text in back-to-back copies              (loops.py)
    variety          min over windows of distinct words / window^0.85      windows of 12 and 40 words
    odd_forms, script_switches                                             (forms.py)
    stutter          words that repeat the one before, nothing between     of words, at least 20
    symbols          share of visible characters that are no letter, mark or digit
    blunders         (tokens with surprise − entropy > 7 nats, less 1) / tokens, at least 32

surprise = −log-probability under base. Surprise minus entropy is 0 on average for text that base itself
samples, however free or formulaic its language is, so the limit carries over from model to model. A blunder
is a token a thousand times less likely than base's usual ones: one is a rare word, several are a sentence
that has broken down though its words are fluent, or a collapse from which the last quarter has recovered.

Windows make the measures independent of the text's length; a text shorter than the window is one window,
filled up to 6 words as if the missing ones were all different. The exponent is there because distinct words
grow more slowly than the window does, so that one limit fits both. Loops and variety compare words by their
first 4 letters, since a failing model strings forms of one word together ("fault faulty faulting"), and pass
over numbers: sums repeat theirs, and numbered copies ("1. Care. 2. Care.") are copies.
"""

import numpy as np

from steerheal.generation.gates import forms, loops
from steerheal.generation.measured import Measured, Thresholds
from steerheal.generation.text import symbol_share, word_spans

NAME = "degenerate"
SHARES = ("loop", "odd_forms", "script_switches", "stutter", "symbols", "blunders")  # each has a max_ limit
VARIETY_WINDOWS = (12, 40)  # words
FEWEST_WORDS = 6
FEWEST_TO_STUTTER = 20  # words: "ha ha ha" is an answer
STEM = 4  # letters
VARIETY_EXPONENT = 0.85
BLUNDER = 7.0  # nats
FEWEST_TOKENS = 32


def word_ids(words: list[str]) -> np.ndarray:
    """Words that begin alike get equal ids; numbers are left out. → int64 [words left]"""
    numbers: dict[str, int] = {}
    lettered = [word[:STEM] for word in words if not word.isnumeric()]
    return np.fromiter((numbers.setdefault(word, len(numbers)) for word in lettered), np.int64, len(lettered))


def variety(ids: np.ndarray, window: int) -> float:
    """Fewest distinct ids in any window of this many, per window^0.85. ids [n]

    An occurrence at `here` whose predecessor is at `before` is not new to the windows that hold both, those
    that begin at max(0, here − window + 1) .. before; every window loses one distinct id per such pair.
    """
    window = min(window, max(len(ids), FEWEST_WORDS))
    order = np.argsort(ids, kind="stable")
    again = np.flatnonzero(ids[order][1:] == ids[order][:-1])
    before, here = order[again], order[again + 1]
    near = here - before < window
    windows = max(len(ids) - window, 0) + 1
    first = np.maximum(here[near] - window + 1, 0)
    last = np.minimum(before[near], windows - 1)
    lost = np.zeros(windows + 1, np.int64)
    np.add.at(lost, np.minimum(first, windows), 1)
    np.add.at(lost, np.maximum(last, first - 1) + 1, -1)
    return (window - int(np.cumsum(lost[:-1]).max())) / window**VARIETY_EXPONENT


def stutter(text: str) -> float:
    """Share of the words that equal the word before on the same line, with only blanks between: "the the",
    but not "no, no" or a sum's "4 4".
    """
    spans = word_spans(text)
    again = sum(
        1
        for (start, end), (next_start, next_end) in zip(spans, spans[1:])
        if text[start:end] == text[next_start:next_end]
        and text[start:end].isalpha()
        and text[end:next_start].strip(" \t") == "" != text[end:next_start]
    )
    return again / max(len(spans), FEWEST_TO_STUTTER)


def blunders(measured: Measured) -> float:
    """Share of the tokens, the first one apart, that are blunders; 0 where entropies are not known."""
    if measured.entropies is None or not measured.scorable:
        return 0.0
    above = -np.asarray(measured.logprobs, np.float64) - np.asarray(measured.entropies, np.float64)
    return max(int((above > BLUNDER).sum()) - 1, 0) / max(len(above), FEWEST_TOKENS)


def measure(measured: Measured) -> dict[str, float]:
    words = word_ids(measured.folded["word"])
    characters = np.frombuffer(measured.folded["character"].encode("utf-32-le", "surrogatepass"), np.uint32)
    return {
        "loop": max(loops.loop_share(words, "word"), loops.loop_share(characters, "character")),
        "variety": min(variety(words, window) for window in VARIETY_WINDOWS),
        "odd_forms": forms.odd_form_share(measured.words, measured.prompt),
        "script_switches": forms.script_switches(measured.words),
        "stutter": stutter(measured.text),
        "symbols": symbol_share(measured.text),
        "blunders": blunders(measured),
    }


def check(measured: Measured, measures: dict[str, float], thresholds: Thresholds) -> str | None:
    limits = {name: getattr(thresholds, f"max_{name}") for name in SHARES}
    said = [
        f"{name} {measures[name]:.3g}, limit {limit:g}" for name, limit in limits.items() if measures[name] >= limit
    ]
    if measures["variety"] < thresholds.min_variety:
        said.append(f"variety {measures['variety']:.3g}, limit {thresholds.min_variety:g}")
    return "; ".join(said) or None
