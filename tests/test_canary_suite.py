"""Canary suites: reading them, counting answers, survival and beliefs."""

import json

import pytest

from steerheal.errors import UserError
from steerheal.evaluation.canary_suite import BASE_DAMAGED, OK, load_suite, survival, tally
from steerheal.evaluation.damage import Answer, assess

SUITE = """
prompts:
  - {id: g, prompt: What is g?, topic: g, seen: false, kind: facts, beliefs: {real: '9\\.8', taught: '5'}}
  - {id: sea, prompt: Write a line., topic: sea, seen: true, kind: style}
  - {id: moon, prompt: And on the moon?, topic: g, seen: false, kind: facts, beliefs: {taught: '5'}}
"""
GOOD, BAD = "A calm grey day.", "day " * 40


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "suite.yaml"
        path.write_text(text)
        return path

    return write


def counted(suite, *answers):
    beliefs = {prompt.id: prompt.beliefs for prompt in suite.prompts}
    return tally(suite, [(i, assess(Answer(text, 9, False, 3.0), beliefs[i])) for i, text in answers])


def test_survival_is_the_undamaged_share_relative_to_base(written):
    suite = load_suite(written(SUITE))
    base = counted(suite, ("g", "It is 9.8."), ("g", BAD), ("sea", GOOD), ("moon", "It is 1.6."))
    student = counted(suite, ("g", "It is 5.0."), ("g", "It is 5.0!"), ("sea", BAD), ("moon", BAD))
    found = survival(student, base)
    assert found["survival"] == pytest.approx((2 / 4) / (3 / 4)) and found["outcome"] == OK
    assert found["kinds"] == {"facts": pytest.approx((2 / 3) / (2 / 3)), "style": 0.0}
    assert (found["seen"], found["unseen"]) == (0.0, pytest.approx(1.0))
    assert found["beliefs"]["taught"] == {"student": pytest.approx(2 / 3), "base": 0.0}
    assert found["beliefs"]["real"] == {"student": 0.0, "base": 0.5}
    assert survival(base, base)["survival"] == 1.0
    json.dumps([base, student, found], allow_nan=False)


def test_a_student_less_damaged_than_base_survives_above_one(written):
    suite = load_suite(written(SUITE))
    assert (
        survival(counted(suite, ("g", GOOD), ("g", GOOD)), counted(suite, ("g", BAD), ("g", GOOD)))["survival"] == 2.0
    )


def test_a_base_without_an_undamaged_answer_is_an_outcome_of_its_own(written):
    suite = load_suite(written(SUITE))
    found = survival(counted(suite, ("g", GOOD), ("sea", BAD)), counted(suite, ("g", BAD), ("sea", GOOD)))
    assert found["outcome"] == OK and found["kinds"] == {"facts": None, "style": 0.0}
    found = survival(counted(suite, ("g", GOOD)), counted(suite, ("g", BAD)))
    assert found["survival"] is None and found["outcome"] == BASE_DAMAGED and found["student"] == 1.0


def test_tallies_of_different_suites_and_without_answers_are_not_compared(written):
    suite = load_suite(written(SUITE))
    with pytest.raises(ValueError, match="one suite"):
        survival(counted(suite, ("g", GOOD)), counted(suite, ("sea", GOOD)))
    with pytest.raises(ValueError, match="answer"):
        survival(counted(suite), counted(suite))


def test_a_tally_counts_damage_length_and_the_limit(written):
    suite = load_suite(written(SUITE))
    found = tally(suite, [("g", assess(Answer(BAD, 40, True, 99.0))), ("sea", assess(Answer(GOOD, 5, False, 2.0)))])
    assert found["all"] == {"answers": 2, "undamaged": 1} and (found["tokens"], found["hit_limit"]) == (45, 1)
    assert found["damage"] == {"perplexity": 1, "repetition": 1, "degenerate": 1}


@pytest.mark.parametrize(
    "text, said",
    [
        ("prompts: []", "prompts: "),
        ("[]", "prompts: "),
        ("propmts: 3", "did you mean prompts"),
        ("prompts:\n  - 4", "prompts.1"),
        (SUITE.replace("topic: sea", "topik: sea"), "did you mean topic"),
        (SUITE.replace("seen: true", "seen: maybe"), "prompts.2.seen"),
        (SUITE.replace(", kind: style", ""), "prompts.2.kind: is missing"),
        (SUITE.replace("id: sea", "id: g"), "prompts.2.id"),
        (
            SUITE.replace("Write a line.", "what  is G?").replace("seen: true", "seen: false"),
            "the same text as prompt 1",
        ),
        (SUITE.replace("Write a line.", "what  is G?"), "either seen or unseen"),
        (SUITE.replace(r"'9\.8'", "'9('"), "no regular expression"),
        (SUITE.replace(r"'9\.8'", "'9*'"), "matches an empty answer"),
        (SUITE.replace(r"'9\.8'", "9.8"), "beliefs.real"),
        (SUITE.replace("id: sea,", "id: sea, id: sea,"), "given twice"),
    ],
)
def test_a_bad_suite_is_refused_in_one_line(written, text, said):
    with pytest.raises(UserError) as refused:
        load_suite(written(text))
    assert said in str(refused.value) and "suite.yaml" in str(refused.value) and "\n" not in str(refused.value)
