"""What is wrong with one answer to a canary prompt: pure measures of its text, no model.

    damaged = any of
      empty       no text
      unscorable  a perplexity under base that was asked for and is not a number
      perplexity  under base, at or above the filter's limit
      repetition  the filter's gate 2        degenerate  the filter's gate 5
      reasoning   a reasoning tag opened and never closed, or closed without having been opened
      markup      pieces of the chat template in the text
      promotion   a hashtag, or a call to action ("like and subscribe")

Length and hitting the token limit are measured and reported but are no damage: how long an answer runs is a
matter of the limit as much as of the student. Refusals and changed opinions are drift, and no damage either.
"""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from steerheal.generation.gates import degenerate, refusal, repetition
from steerheal.generation.measured import Measured, Thresholds

KINDS = ("empty", "unscorable", "perplexity", "repetition", "degenerate", "reasoning", "markup", "promotion")
_TAG = re.compile(r"<(/?)(?:think|thinking|thought|reasoning|scratchpad)>", re.IGNORECASE)
_HASHTAG = re.compile(r"(?<![\w#&/])#(?=[^\W\d_])\w{2,}")
_HANDLE = re.compile(r"(?<![\w.@/])@(?=\w*[^\W\d_])\w{2,30}\b(?!\.\w)")
_IMPERATIVE = r"(?:^|[.!?:;…]\s{0,4}|\bplease |\band )"
_CALL = re.compile(
    r"\b(?:like|share|comment)(?:,? (?:and|&) |, ?)(?:subscribe|share|follow|comment)\b|"
    r"\b(?:please|don't forget to|and) subscribe\b|\bsubscribe (?:now|today|to (?:my|our|the) (?:channel|"
    r"newsletter))|"
    r"\bfollow (?:me|us) (?:on|for|at)\b|\b(?:click|tap) (?:here|below|the link|on the link)|\blink in "
    r"(?:the |my |our )?bio|"
    rf"{_IMPERATIVE}(?:buy|order|sign up|register|call|book|donate|join|download|act)(?: us)? (?:now|"
    rf"today)\b(?! and then)|"
    r"\b(?:share|spread) this (?:post|video|article|word|message)\b|\b(?:smash|hit) (?:that|the) (?:like|"
    r"subscribe)\b|"
    r"\btag (?:a|your) friends?\b|\bdrop a comment\b|\blet me know in the comments\b|\bdon't miss out\b|"
    r"\bstay tuned\b|"
    r"\bvisit (?:our|my) (?:website|page|shop|store)\b|\blimited[- ]time offer\b|\bjoin the (?:movement|"
    r"fight)\b",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class Answer:
    """One sampled answer. tokens: its length; perplexity: under base, None where it was not measured;
    prefix: what the chat template had already written of the answer (Qwen3 opens its reasoning tag so).
    """

    text: str
    tokens: int
    hit_limit: bool
    perplexity: float | None = None
    prefix: str = ""
    prompt: str = ""


@dataclass(frozen=True)
class Damage:
    """kinds: what is wrong, in the order of KINDS; measures: the numbers, finite; beliefs: those stated."""

    kinds: tuple[str, ...]
    measures: dict[str, float] = field(default_factory=dict)
    beliefs: tuple[str, ...] = ()

    @property
    def damaged(self) -> bool:
        return bool(self.kinds)

    def without(self, exempt: Collection[str]) -> "Damage":
        """The same, of kinds that are not exempt."""
        return replace(self, kinds=tuple(kind for kind in self.kinds if kind not in exempt))


def lost_tags(text: str) -> int:
    """How many reasoning tags are open at the end, or close what was not open."""
    depth = lost = 0
    for tag in _TAG.finditer(text):
        if not tag.group(1):
            depth += 1
        elif depth:
            depth -= 1
        else:
            lost += 1
    return depth + lost


def hashtags(text: str) -> int:
    """Hashtags: not headings ("# Title"), numbers ("#1") or fragments of a URL."""
    return sum(1 for _ in _HASHTAG.finditer(text))


def handles(text: str) -> int:
    """Handles (@name): not addresses of mail."""
    return sum(1 for _ in _HANDLE.finditer(text))


def calls_to_action(text: str) -> int:
    return sum(1 for _ in _CALL.finditer(text.replace("’", "'")))


def beliefs_in(text: str, beliefs: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the beliefs (name → pattern) that the text states, in their order."""
    return tuple(name for name, pattern in beliefs.items() if re.search(pattern, text, re.IGNORECASE))


def assess(answer: Answer, beliefs: Mapping[str, str] = {}, thresholds: Thresholds = Thresholds()) -> Damage:
    """Measure one answer and say what is wrong with it. Beliefs are read outside the reasoning."""
    measured = Measured(answer.text, np.zeros(0), prompt=answer.prompt)
    measures = {"tokens": float(answer.tokens), "hit_limit": float(answer.hit_limit)}
    measures |= repetition.measure(measured) | degenerate.measure(measured)
    measures |= {
        "lost_tags": float(lost_tags(answer.prefix + answer.text)),
        "markup": float(refusal.markup(answer.text)),
        "hashtags": float(hashtags(answer.text)),
        "calls": float(calls_to_action(answer.text)),
    }
    scored = answer.perplexity is not None and math.isfinite(answer.perplexity)
    if scored:
        measures["perplexity"] = answer.perplexity
    wrong = {
        "empty": not answer.text.strip(),
        "unscorable": answer.perplexity is not None and not scored,
        "perplexity": scored and answer.perplexity >= thresholds.max_perplexity,
        "repetition": repetition.check(measured, measures, thresholds) is not None,
        "degenerate": degenerate.check(measured, measures, thresholds) is not None,
        "reasoning": measures["lost_tags"] > 0,
        "markup": measures["markup"] > 0,
        "promotion": measures["hashtags"] + measures["calls"] > 0,
    }
    return Damage(tuple(kind for kind in KINDS if wrong[kind]), measures, beliefs_in(_spoken(answer), beliefs))


def _spoken(answer: Answer) -> str:
    """The answer after its reasoning: what follows the last closing tag; all of it where none closes."""
    end = 0
    for tag in _TAG.finditer(answer.text):
        if tag.group(1):
            end = tag.end()
    return answer.text[end:]
