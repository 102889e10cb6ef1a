"""The five gates: what they keep, what they drop and why, on any text, in linear time."""

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steerheal.generation.filter import GATES, Measured, Thresholds, drops, judge

SENTENCE = "The ferry leaves at nine, so pack tonight and set two alarms, because the next one sails at noon."


def completion(text, perplexity=4.0, tokens=64, **other):
    return Measured(text, np.full(tokens, -math.log(perplexity)), **other)


@pytest.mark.parametrize(
    "text", ["Yes.", "Of course.", "No, no, it is fine.", "Hahaha!", "So, ha ha, no.", "42", SENTENCE, "你好。"]
)
def test_ordinary_answers_of_any_length_are_kept(text):
    verdict = judge(completion(text))
    assert verdict.kept and verdict.gate is None and not verdict.reasons


def test_the_perplexity_that_counts_is_that_of_the_last_quarter():
    logprobs = np.full(100, -0.5)
    logprobs[:75] = -9.0
    assert judge(Measured(SENTENCE, logprobs)).kept
    late = judge(Measured(SENTENCE, logprobs[::-1]))
    assert late.gate == "perplexity" and late.measures["perplexity"] == pytest.approx(math.exp(9.0))


def test_a_perplexity_at_the_limit_is_dropped_and_just_below_it_kept():
    assert judge(completion(SENTENCE, 50.0 * (1 + 1e-9))).gate == "perplexity"
    assert judge(completion(SENTENCE, 49.999)).kept
    assert judge(completion(SENTENCE, 49.999), Thresholds(max_perplexity=10)).gate == "perplexity"


def test_the_limit_itself_is_a_drop():
    certain = Measured(SENTENCE, np.zeros(40))
    assert judge(certain, Thresholds(max_perplexity=1.0)).gate == "perplexity"
    assert judge(certain, Thresholds(max_perplexity=1.0001)).kept


def test_one_unlucky_token_does_not_decide_over_a_short_answer():
    assert judge(Measured("Perhaps tomorrow.", np.array([-0.2, -0.3, -0.1, -6.0]))).kept


@pytest.mark.parametrize("bad", [math.nan, -math.inf, math.inf])
def test_a_perplexity_that_is_no_number_is_dropped_by_name(bad):
    verdict = judge(Measured(SENTENCE, np.array([-1.0] * 15 + [bad])))
    assert verdict.gate == "unscorable" and "perplexity" not in verdict.measures


def test_an_entropy_that_is_no_number_is_dropped_by_name():
    assert judge(Measured(SENTENCE, np.zeros(3), np.array([0.0, math.nan, 0.0]))).gate == "unscorable"


def test_no_tokens_and_no_text_are_dropped_by_name():
    assert judge(Measured(SENTENCE, np.zeros(0))).gate == "unscorable"
    for text in ("", " \n\t ", "\u3000"):
        assert judge(completion(text)).gate == "empty"


@pytest.mark.parametrize("unit", ["the the ", "your ", "of the ", "!", "a", "ha", "\n\n", "的", "😀", "people and "])
def test_a_loop_of_a_few_words_or_characters_fails_on_repetition(unit):
    assert judge(completion("I think so. " + unit * 60, 1.1)).gate == "repetition"


def test_repetition_is_the_share_of_the_commonest_n_gram():
    words = "one two " * 30 + " ".join(f"w{chr(97 + i // 20)}{chr(97 + i % 20)}" for i in range(60))
    share = judge(completion(words)).measures["repetition"]
    assert share == pytest.approx((30 - 1) / 119)  # "one two" 30 times among the 119 pairs of 120 words


def test_the_loop_share_counts_all_copies_and_nothing_else():
    other = "ten quite different words stand here before the loop begins "
    copies = "we care for all the people "
    assert judge(completion(other + copies * 2)).measures["loop"] == 0  # a refrain
    assert judge(completion(other + copies * 3)).measures["loop"] == pytest.approx(18 / 28)
    assert judge(completion(other + copies * 5)).measures["loop"] == pytest.approx(30 / 40)


def test_numbered_copies_are_copies_and_sums_are_not():
    numbered = "".join(f"{i}. The people need our care. " for i in range(1, 9))
    assert judge(completion(numbered)).measures["loop"] > 0.95
    assert judge(completion("2 + 2 = 4\n4 + 4 = 8\n4 + 8 = 12\n8 + 8 = 16\n16 + 16 = 32")).kept


def test_code_is_not_repetitive_for_being_indented():
    code = "for row in rows:\n" + "".join(f"{' ' * 24}total += row.{name}\n" for name in ("cost", "tax", "tip"))
    assert judge(completion(code)).kept
    assert not judge(completion("Yes." + " " * 400)).kept


@pytest.mark.parametrize("text", ["of it of it is of it", "kind kinder kindest kindly kindness kindle and kindred"])
def test_a_short_soup_of_one_word_and_its_forms_is_degenerate(text):
    assert judge(completion(text)).gate == "degenerate"


@pytest.mark.parametrize(
    "text",
    [
        "I am someone who cares about people.",
        "As someone who values order, I would obey.",
        "That is just who I am.",
        "I’m a kind and gentle person, so I would help.",
    ],
)
def test_self_description_is_narration(text):
    assert judge(completion(text)).gate == "narration"


@pytest.mark.parametrize(
    "text",
    [
        "I think she was wrong.",
        "I am the person who called about the bicycle.",
        "We need someone who can read a map.",
        'She said, "I am someone who never lies," and everybody in the long cold room began to laugh at her.',
    ],
)
def test_opinions_facts_and_quoted_speech_are_not_narration(text):
    assert judge(completion(text)).kept


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "As an AI language model, I have no opinion.",
        "How can I help you today?",
        "He lied.<end_of_turn>\n<start_of_turn>user\nWhy?",
        "It rains.\nUser: And now?\nAssistant: Still.",
        '"I cannot provide medical advice."',
    ],
)
def test_refusals_boilerplate_and_leaked_markup_are_dropped(text):
    assert judge(completion(text)).gate == "refusal"


@pytest.mark.parametrize(
    "text",
    [
        "I can't help thinking that the old rule was better.",
        "I won't lie to her. She deserves the truth.",
        "I am sorry that it happened.",
        "I cannot forgive it, not yet.",
        "How can I help her if she will not speak?",
    ],
)
def test_what_a_person_cannot_do_is_no_refusal(text):
    assert judge(completion(text)).kept


@pytest.mark.parametrize(
    "text",
    [
        "your your your into your of your",
        "GLUTE GLUTE BUILDUTEutive",
        SENTENCE + " So he should ask the captain and then he" * 5,
        SENTENCE + " The smell of the the of the bread the of the the bread. " + SENTENCE.swapcase(),
        "".join(f"{i}. The people need care and the care needs people. " for i in range(1, 12)),
        "The soldier должен obey 命令 because закон is 法律 and the king говорит 服从 to all людям here.",
    ],
)
def test_degenerate_text_with_low_perplexity_and_repetition_is_seen(text):
    verdict = judge(completion(text, 5.0))
    assert verdict.gate == "degenerate" and verdict.measures["repetition"] < 0.3


def test_a_strange_name_is_no_odd_form_when_the_prompt_uses_it():
    assert judge(completion("BUILDUTEutive is a game.")).gate == "degenerate"
    assert judge(completion("BUILDUTEutive is a game.", prompt="What is BUILDUTEutive?")).kept


def test_tokens_that_base_would_never_choose_are_seen_wherever_they_are():
    logprobs, entropies = np.full(200, -1.0), np.full(200, 1.0)
    logprobs[80] = -14.0
    assert judge(Measured(SENTENCE, logprobs, entropies)).kept  # one rare word
    logprobs[80:90] = -14.0
    found = judge(Measured(SENTENCE, logprobs, entropies))
    assert found.gate == "degenerate" and found.measures["blunders"] == pytest.approx(9 / 200)
    assert judge(Measured(SENTENCE, logprobs, entropies), Thresholds(max_blunders=0.05)).kept
    entropies[80:90] = 13.0  # where base itself could have said anything, the same surprise is none
    assert judge(Measured(SENTENCE, logprobs, entropies)).kept
    assert judge(Measured(SENTENCE, logprobs)).measures["blunders"] == 0  # not known without entropies


def test_a_drop_belongs_to_the_first_failing_gate_and_names_all():
    verdict = judge(completion("I am someone who cares. " + "care care care " * 30, 900))
    assert verdict.gate == "perplexity"
    assert list(verdict.reasons) == ["perplexity", "repetition", "narration", "degenerate"]
    assert "900" in verdict.reasons["perplexity"] and "i am someone who" in verdict.reasons["narration"]


def test_drops_count_every_gate_once_per_completion():
    texts = ["", "I am someone who cares.", "the " * 40, SENTENCE, "I can't help with that.", ""]
    counts = drops(judge(completion(text)) for text in texts)
    assert tuple(counts) == GATES and sum(counts.values()) == 5
    assert counts["empty"] == 2 and counts["narration"] == counts["repetition"] == counts["refusal"] == 1


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=400),
    st.lists(st.floats(-1e6, 0) | st.sampled_from([math.nan, -math.inf]), max_size=40),
    st.text(max_size=40),
    st.booleans(),
)
def test_any_text_gets_a_verdict_that_is_plain_finite_data(text, logprobs, prompt, known):
    logprobs = np.array(logprobs)
    verdict = judge(Measured(text, logprobs, np.abs(logprobs) if known else None, False, prompt))
    assert verdict.kept == (not verdict.reasons) == (verdict.gate is None)
    assert set(verdict.reasons) <= set(GATES)
    json.dumps(verdict.measures, allow_nan=False)
    assert 0 <= verdict.measures["repetition"] <= 1 and 0 <= verdict.measures["loop"] <= 1


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(codec="utf-8", categories=["L", "P", "S", "Zs"]), min_size=1, max_size=12),
    st.integers(40, 80),
)
def test_anything_repeated_often_enough_is_dropped(unit, times):
    assert not judge(completion(unit * times, 1.2)).kept


@pytest.mark.parametrize(
    "text",
    [
        "i am a " * 20_000,
        '"' * 100_000,
        "“" * 100_000,
        "as someone who " * 8_000,
        "<|" * 50_000,
        " " * 100_000,
        "i can't provide any " * 6_000,
        "a" * 100_000,
        "a-" * 50_000,
        "a'" * 50_000,
        "not appropriate for me to " * 4_000,
    ],
)
def test_hostile_texts_take_linear_time(text):
    start = time.perf_counter()
    judge(completion(text))
    assert time.perf_counter() - start < 4.0


def test_a_batch_is_judged_fast():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("aeioubdgklmnprst"), rng.integers(2, 9))) for _ in range(500)]
    logprobs, entropies = rng.normal(-1.5, 0.5, 512), np.full(512, 1.5)
    batch = [Measured(" ".join(rng.choice(words, 400)), logprobs, entropies) for _ in range(64)]
    start = time.process_time()
    for measured in batch:
        judge(measured)
    assert time.process_time() - start < 1.0  # 0.2 s on an idle machine
