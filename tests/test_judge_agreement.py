"""Krippendorff's alpha against its author's example, its properties, and pairwise preferences and position bias."""

import itertools
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from steerheal.errors import UserError
from steerheal.judging.agreement import agreement
from steerheal.judging.answers import Answer
from steerheal.judging.pairwise import OURS, THEIRS, TIE, match, ours_first, position_bias, preference

# K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011): four observers, twelve units.
OBSERVED = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
UNITS = [[float(v) for v in unit if v != "."] for unit in zip(*OBSERVED, strict=True)]
SCORES = st.lists(st.lists(st.integers(0, 10).map(float), min_size=0, max_size=4), min_size=1, max_size=12)


def by_definition(units, difference):
    """Alpha as the paper defines it: over all ordered pairs, within units and at all."""
    units = [unit for unit in units if len(unit) > 1]
    values = [value for unit in units for value in unit]
    n = len(values)
    observed = sum(difference(a, b) / (len(unit) - 1) for unit in units for a, b in itertools.permutations(unit, 2)) / n
    expected = sum(difference(a, b) for a, b in itertools.permutations(values, 2)) / (n * (n - 1))
    return 1 - observed / expected if expected else None


def test_the_authors_example():
    assert agreement(UNITS)["alpha"] == pytest.approx(0.849, abs=5e-4)
    assert agreement([[str(value) for value in unit] for unit in UNITS])["alpha"] == pytest.approx(0.743, abs=5e-4)
    assert agreement(UNITS)["texts"] == 11


@settings(max_examples=60)
@given(SCORES)
def test_it_is_what_the_definition_says(units):
    assume(any(len(unit) > 1 for unit in units))
    words = [[f"w{int(value) % 3}" for value in unit] for unit in units]
    for given_units, difference in ((units, lambda a, b: (a - b) ** 2), (words, lambda a, b: a != b)):
        expected = by_definition(given_units, difference)
        found = agreement(given_units)["alpha"]
        assert found is None if expected is None else math.isclose(found, expected, abs_tol=1e-9)


@settings(max_examples=30)
@given(SCORES, st.floats(0.1, 10), st.floats(-100, 100))
def test_it_depends_neither_on_order_nor_on_the_unit_of_the_scale(units, factor, shift):
    alpha = agreement(units)["alpha"]
    assume(alpha is not None)
    changed = [[factor * value + shift for value in reversed(unit)] for unit in reversed(units)]
    assert agreement(changed)["alpha"] == pytest.approx(alpha, abs=1e-6)


def test_passes_that_always_agree_have_alpha_one_and_equal_judgements_none():
    assert agreement([[1, 1], [5, 5], [9, 9]])["alpha"] == 1
    assert agreement([[5, 5], [5, 5]]) == {"alpha": None, "low": None, "high": None, "texts": 2}
    assert agreement([[5], []])["texts"] == 0


def test_the_interval_holds_alpha_and_narrows_with_more_texts():
    few = agreement([[n % 11, (n * 7 + n // 3) % 11] for n in range(10)])
    many = agreement([[n % 11, (n * 7 + n // 3) % 11] for n in range(400)])
    for found in (few, many):
        assert found["low"] <= found["alpha"] <= found["high"]
    assert many["high"] - many["low"] < 0.5 * (few["high"] - few["low"])


def answer(text="a", line=1, prompt="p", **about):
    return Answer(line, text, prompt, tuple(about.items()))


def test_the_order_is_a_fair_coin_of_seed_and_pair_that_every_pass_turns():
    pairs = [(answer(f"a{n}"), answer(f"b{n}")) for n in range(1000)]
    drawn = [ours_first(pair, 0, 0) for pair in pairs]
    assert 440 < sum(drawn) < 560
    assert [ours_first(pair, 0, 1) for pair in pairs] == [not first for first in drawn]
    assert [ours_first(pair, 0, 2) for pair in pairs] == drawn == [ours_first(pair, 0, 0) for pair in pairs]
    assert 400 < sum(a != ours_first(pair, 1, 0) for a, pair in zip(drawn, pairs, strict=True)) < 600


def test_preference_counts_pairs_and_gives_an_exact_interval():
    found = preference([OURS] * 8 + [THEIRS] * 2 + [TIE, None])
    assert {name: found[name] for name in (OURS, THEIRS, TIE, "failed")} == {OURS: 8, THEIRS: 2, TIE: 1, "failed": 1}
    # The Clopper-Pearson limits of 8 of 10.
    assert (found["share"], found["low"], found["high"]) == pytest.approx((0.8, 0.4439, 0.9748), abs=1e-4)
    assert preference([TIE, None])["share"] is None


def test_a_judge_that_prefers_what_it_reads_first_is_found_out():
    always_first = [[(OURS, True), (THEIRS, False)]] * 20
    found = position_bias(always_first)
    assert (found["first"], found["second"], found["share"]) == (40, 0, 1.0) and found["low"] > 0.5


def test_a_judge_that_prefers_us_wherever_we_stand_has_no_position_bias():
    found = position_bias([[(OURS, True), (OURS, False)]] * 20)
    assert (found["first"], found["second"], found["share"]) == (20, 20, None)


def test_ties_lean_nowhere():
    assert position_bias([[(TIE, True)], []]) == {"first": 0, "second": 0, "share": None, "low": None, "high": None}


def test_answers_are_matched_by_id_and_sample_whatever_their_order_and_dose(tmp_path):
    ours = [answer("1", 1, id="a", sample=0, dose=1), answer("2", 2, id="a", sample=1, dose=1)]
    theirs = [answer("4", 1, id="a", sample=1, dose=0), answer("3", 2, id="a", sample=0, dose=0)]
    pairs = match(ours, theirs, tmp_path / "ours", tmp_path / "theirs")
    assert [(mine.text, other.text) for mine, other in pairs] == [("1", "3"), ("2", "4")]
    by_prompt = match([answer("x", prompt="q")], [answer("y", prompt="q")], tmp_path, tmp_path)
    assert [(mine.text, other.text) for mine, other in by_prompt] == [("x", "y")]


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ([answer(id="a")], [answer(id="b")], "ours.jsonl: line 1: theirs.jsonl has no answer to compare it with"),
        ([answer(id="a")], [answer(id="a"), answer(id="b", line=2)], "theirs.jsonl: line 2: ours.jsonl has no answer"),
        (
            [answer(id="a"), answer(id="a", line=2)],
            [answer(id="a")],
            "ours.jsonl: line 2: it cannot be told from line 1",
        ),
        ([answer(id="a", prompt="p")], [answer(id="a", prompt="q")], "its prompt is not that of line 1"),
    ],
)
def test_answers_without_exactly_one_partner_are_refused(ours, theirs, words):
    with pytest.raises(UserError) as caught:
        match(ours, theirs, "ours.jsonl", "theirs.jsonl")
    assert words in str(caught.value)
