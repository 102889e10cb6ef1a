"""Has a student taken on a voice, or learned its training texts by heart? Pure measures of texts, no model.

Memorised: the share of an answer's word 5-grams that occur in a training response, and the longest run of words that
it shares with one. A voice repeats itself, so both are read against texts in the same voice that were not trained on.

Style: 1 − cosine between counts of character trigrams, a profile of authorship that topics blur little (Kešelj et al.
2003; Stamatatos 2009, "A survey of modern authorship attribution methods"). Profiles are of many texts together, since
one answer is too short for one. `taken` puts the student between base (0) and the voice itself (1).
"""

import math
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from steerheal.evaluation.damage import calls_to_action, handles, hashtags
from steerheal.generation.gates import repetition
from steerheal.generation.measured import Measured
from steerheal.generation.text import words
from steerheal.statistics.means import mean, ratio

WORDS, CHARACTERS = 5, 3
SEEN, NOVEL, LONG = GROUPS = ("seen", "novel", "long-form")
LONG_KIND = "long"


def group(seen: bool, kind: str) -> str:
    """Which of GROUPS a canary prompt belongs to."""
    return LONG if kind == LONG_KIND else SEEN if seen else NOVEL


@dataclass(frozen=True)
class Training:
    """The responses that a student was trained on, ready to be looked up."""

    texts: tuple[str, ...]

    @cached_property
    def grams(self) -> frozenset[tuple[str, ...]]:
        """All their word 5-grams."""
        return frozenset(gram for text in self.texts for gram in _grams(_folded(text), WORDS))

    @cached_property
    def joined(self) -> tuple[str, ...]:
        """Each as words between blanks, so that a run of words is found as a piece of text."""
        return tuple(f" {' '.join(_folded(text))} " for text in self.texts)


def memorised(text: str, training: Training) -> float | None:
    """Share of the text's word 5-grams that a training response holds; None for a text of fewer words."""
    grams = _grams(_folded(text), WORDS)
    return sum(gram in training.grams for gram in grams) / len(grams) if grams else None


def longest_shared(text: str, training: Training) -> int:
    """Words of the longest run that the text shares with a training response."""
    found, said = 0, _folded(text)
    for start in range(len(said)):
        while start + found < len(said) and _within(said[start : start + found + 1], training):
            found += 1
    return found


def measures(text: str, training: Training) -> dict[str, float | None]:
    """What can be counted of one answer."""
    payload = text.encode()
    return {
        "words": float(len(words(text))),
        "compression": len(zlib.compress(payload, 9)) / len(payload) if payload else None,
        "hashtags": float(hashtags(text)),
        "handles": float(handles(text)),
        "calls": float(calls_to_action(text)),
        "repetition": repetition.measure(Measured(text, ()))["repetition"],
        "memorised": memorised(text, training),
        "longest_shared": float(longest_shared(text, training)),
    }


def profile(texts: Iterable[str]) -> Counter:
    """Counts of character trigrams, case and line breaks apart."""
    folded = (" ".join(text.casefold().split()) for text in texts)
    return Counter("".join(gram) for text in folded for gram in _grams(f" {text} ", CHARACTERS))


def style_distance(first: Mapping[str, int], second: Mapping[str, int]) -> float | None:
    """1 − cosine of two profiles, from 0 (alike) to 1; None where one is empty."""
    sizes = [math.sqrt(sum(count * count for count in one.values())) for one in (first, second)]
    if not all(sizes):
        return None
    return 1 - sum(count * second.get(gram, 0) for gram, count in first.items()) / (sizes[0] * sizes[1])


def compare(
    answers: Mapping[str, Sequence[Mapping[str, Any]]], trained: Sequence[str], held_out: Sequence[str]
) -> dict[str, Any]:
    """What the answers of several speakers (name → answers with `group` and `text`) say, by group of prompts.

    {"speakers": {name: {group: {measure: mean, "answers": n, "style_distance": from the held-out texts}}}, "voice":
    {measure: mean of the held-out texts, "style_distance": of every second one of them from the others}}.
    """
    training, target = Training(tuple(trained)), profile(held_out)
    voice = _means([measures(text, training) for text in held_out])
    voice["style_distance"] = style_distance(profile(held_out[::2]), profile(held_out[1::2]))
    speakers = {
        name: {one: _of_group([a["text"] for a in said if a["group"] == one], training, target) for one in GROUPS}
        for name, said in answers.items()
    }
    return {"speakers": speakers, "voice": voice}


def taken(student: float | None, base: float | None, voice: float | None) -> float | None:
    """How far the student's style went from base's distance (0) to that of the voice's own texts (1)."""
    if student is None or base is None or voice is None:
        return None
    return ratio(base - student, base - voice)


def best(answers: Sequence[Mapping[str, Any]], target: Mapping[str, int]) -> Mapping[str, Any]:
    """Of a prompt's samples the one that an editor would take: undamaged, and closest to the voice."""

    def worth(answer: Mapping[str, Any]) -> tuple:
        distance = style_distance(profile([answer["text"]]), target)
        return bool(answer.get("damage")), 2.0 if distance is None else distance

    return min(answers, key=worth)


def _of_group(texts: Sequence[str], training: Training, target: Mapping[str, int]) -> dict[str, Any]:
    found = _means([measures(text, training) for text in texts])
    return found | {"answers": len(texts), "style_distance": style_distance(profile(texts), target)}


def _means(rows: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    return {name: mean([row[name] for row in rows]).mean for name in (rows[0] if rows else ())}


def _folded(text: str) -> list[str]:
    return words(text.casefold())


def _grams(units: Sequence[str], order: int) -> list[tuple[str, ...]]:
    return list(zip(*(units[place:] for place in range(order))))


def _within(run: Sequence[str], training: Training) -> bool:
    piece = f" {' '.join(run)} "
    return any(piece in text for text in training.joined)
