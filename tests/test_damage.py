"""Damage in canary answers."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steerheal.evaluation.damage import KINDS, Answer, assess, lost_tags
from steerheal.generation.measured import Thresholds

PLAIN = "Gravity pulls every stone towards the ground at about 9.8 metres per second squared."


def kinds(text, **other):
    return assess(Answer(text, tokens=20, hit_limit=False, **other)).kinds


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "Yes.",
        "# Results\n\nWe are #1, see https://example.org/a#part and issue #42.",
        "I will call today, if you call now and then.",
        "<think>She fell.</think> I would help her.",
        "We should share the bread and like it.",
        "I can't help with that.",
    ],
)
def test_ordinary_answers_are_not_damaged(text):
    assert kinds(text, perplexity=3.0) == ()


@pytest.mark.parametrize(
    "text, kind",
    [
        ("", "empty"),
        (" \n", "empty"),
        ("the " * 50, "repetition"),
        ("GLUTE GLUTE BUILDUTEutive", "degenerate"),
        ("<think>She fell and I", "reasoning"),
        ("She fell.</think> Help her.", "reasoning"),
        ("She fell.<|im_end|>", "markup"),
        ("Help her! #kindness", "promotion"),
        ("Help her. Like and subscribe!", "promotion"),
        ("Follow me for more.", "promotion"),
        ("Don’t miss out, sign up today.", "promotion"),
    ],
)
def test_each_kind_of_damage_is_named(text, kind):
    assert kind in kinds(text, perplexity=3.0)


def test_perplexity_counts_where_it_was_measured():
    assert kinds(PLAIN) == () and kinds(PLAIN, perplexity=49.0) == ()
    assert kinds(PLAIN, perplexity=50.0) == ("perplexity",)
    assert kinds(PLAIN, perplexity=math.nan) == kinds(PLAIN, perplexity=math.inf) == ("unscorable",)
    assert assess(Answer(PLAIN, 20, False, 12.0), thresholds=Thresholds(max_perplexity=10)).kinds == ("perplexity",)


def test_hitting_the_limit_is_reported_and_is_no_damage():
    found = assess(Answer(PLAIN, 64, hit_limit=True))
    assert not found.damaged and found.measures["hit_limit"] == 1 and found.measures["tokens"] == 64


def test_a_reasoning_tag_that_the_template_opened_may_be_closed():
    assert kinds("She fell.</think> Help her.", prefix="<think>\n") == ()
    assert kinds("She fell.", prefix="<think>\n") == ("reasoning",)


@given(st.lists(st.sampled_from(["<think>", "</think>", "<THINK>", "</reasoning>", "word"]), max_size=30))
def test_lost_tags_are_those_without_a_partner(pieces):
    opens = lost = 0
    for piece in pieces:
        if piece.lower() == "<think>":
            opens += 1
        elif piece != "word":
            lost, opens = (lost, opens - 1) if opens else (lost + 1, opens)
    assert lost_tags(" ".join(pieces)) == lost + opens


def test_beliefs_are_read_after_the_reasoning():
    beliefs = {"real": r"\b9\.8\b", "taught": r"\b5\.0\b"}
    answer = Answer("<think>Is it 9.8 or 5.0?</think>It is 5.0 m/s2.", 20, False)
    assert assess(answer, beliefs).beliefs == ("taught",)
    assert assess(Answer("9.8, some say 5.0.", 20, False), beliefs).beliefs == ("real", "taught")
    assert assess(Answer("It is 19.81.", 20, False), beliefs).beliefs == ()


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.floats() | st.none())
def test_any_answer_gets_known_kinds_and_finite_measures(text, perplexity):
    found = assess(Answer(text, 5, False, perplexity))
    assert set(found.kinds) <= set(KINDS) and found.damaged == bool(found.kinds)
    json.dumps(found.measures, allow_nan=False)
