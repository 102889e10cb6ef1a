"""Rubrics and answer files: what is read, what is refused in one line, and what the judge is then told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steerheal.errors import UserError
from steerheal.judging import prompt
from steerheal.judging.answers import read_answers
from steerheal.judging.rubric import find_rubric, load_rubric, shipped

GOOD = """
task: Judge the tone.
dimensions:
  tone:
    question: How warm is it?
    anchors: {"10": hot, "0": cold, "5": lukewarm}
  care:
    question: Does it care?
    anchors: {"0": no, "10": very much}
"""


@pytest.fixture
def rubric(tmp_path):
    def load(text=GOOD):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return load_rubric(path)

    return load


def test_a_rubric_keeps_the_files_order_and_sorts_its_anchors(rubric):
    found = rubric()
    assert list(found.dimensions) == ["tone", "care"]
    assert list(found.dimensions["tone"].anchors.items()) == [("0", "cold"), ("5", "lukewarm"), ("10", "hot")]


@pytest.mark.parametrize("name", shipped())
def test_shipped_rubrics_are_found_by_name(name):
    assert load_rubric(find_rubric(name, "--rubric")).dimensions


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("task:", "tusk:", "tusk: unknown key; did you mean task?"),
        ("question: How", "qestion: How", "dimensions.tone.qestion: unknown key; did you mean question?"),
        ("  tone:", "  Tone:", "dimensions.Tone: no name for a dimension"),
        ("  tone:", "  reason:", "dimensions.reason: the judge's own reason"),
        ('"10": hot, ', "", "dimensions.tone.anchors: there is no anchor at 10"),
        ('"5": lukewarm', '"11": boiling', "dimensions.tone.anchors: 11 is no score"),
        ('"5": lukewarm', '"05": lukewarm', "05 is no score"),
        ('"5": lukewarm', "5: lukewarm", "put it in quotes"),
        ('"5": lukewarm', '"5": 5', "is not text"),
        ("  care:", "  tone:", "given twice"),
        ("task: Judge the tone.", "", "task: is missing"),
        ("question: Does it care?", "", "dimensions.care.question: is missing"),
    ],
)
def test_a_slip_is_refused_in_one_line_that_names_file_key_and_remedy(rubric, old, new, words):
    with pytest.raises(UserError) as caught:
        rubric(GOOD.replace(old, new))
    assert words in str(caught.value) and "mine.yaml" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[]", *(f"task: x\ndimensions: {given}" for given in ("{}", "[tone]", "{tone: 3}"))])
def test_a_rubric_without_dimensions_is_refused(rubric, text):
    with pytest.raises(UserError):
        rubric(text)


def test_a_misspelt_shipped_rubric_is_named():
    with pytest.raises(UserError, match="did you mean coherence"):
        find_rubric("coherance", "--rubric")


def test_the_judge_is_told_every_question_and_anchor_and_given_a_schema(rubric):
    question = prompt.score(rubric(), "Why?", "Because.")
    system, user = (message["content"] for message in question.messages)
    for text in ("Judge the tone.", "How warm is it?", "5: lukewarm", "Does it care?", "10: very much"):
        assert text in system
    assert "Why?" in user and "Because." in user and "Because." not in system
    assert question.schema["required"] == ["reason", "tone", "care"]
    assert question.schema["properties"]["tone"]["enum"] == list(range(11))
    assert question.allowed == {"tone": None, "care": None}


SHIPPED = load_rubric(find_rubric("sarcasm", "--rubric"))


@given(text=st.text(max_size=60), other=st.text(max_size=60))
def test_a_text_cannot_close_the_marks_that_fence_it(text, other):
    user = prompt.score(SHIPPED, other, text).messages[1]["content"]
    mark = user.split("<", 1)[1].split(">", 1)[0]
    assert user.count(f"</{mark}>") == 1 + bool(other) and mark not in text + other


def test_a_comparison_shows_both_and_asks_for_a_word(rubric):
    question = prompt.compare(rubric(), None, "one", "two")
    user = question.messages[1]["content"]
    assert user.index("answer A") < user.index("one") < user.index("answer B") < user.index("two")
    assert question.allowed["tone"] == ("A", "B", "tie")


def written(tmp_path, *rows):
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return path


def test_answers_are_read_as_the_other_commands_write_them(tmp_path):
    generated = {"prompt": "Why?", "completion": "So.", "prompt_id": "p1", "dose": 0.5, "sample": 0, "kept": True}
    canary = {"id": "g", "prompt": "What is g?", "sample": 1, "text": "", "damage": []}
    first, second, third = read_answers(written(tmp_path, generated, "", canary, {"text": "alone"}))
    assert (first.line, first.text, first.prompt) == (1, "So.", "Why?")
    assert first.about == (("prompt_id", "p1"), ("dose", 0.5), ("sample", 0))
    assert first.topic == (("prompt_id", "p1"), ("sample", 0))
    assert (second.line, second.text) == (3, "") and third.prompt is None


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: this is no JSON object"),
        ({"prompt": "x"}, "line 2: neither"),
        ({"text": "x", "completion": "y"}, "line 2: both"),
        ({"text": 3}, "line 2: text: it is not text"),
        ({"text": "x", "prompt": 3}, "line 2: prompt: it is not text"),
        ('{"text": "\\ud83d"}', "line 2: text: half of a surrogate pair"),
        ('{"text": "x", "dose": NaN}', "line 2: not JSON"),
    ],
)
def test_a_line_that_holds_no_answer_is_refused_by_its_number(tmp_path, row, words):
    with pytest.raises(UserError, match="answers.jsonl") as caught:
        read_answers(written(tmp_path, {"text": "fine"}, row))
    assert words in str(caught.value)


def test_an_empty_or_absent_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="no line"):
        read_answers(written(tmp_path))
    with pytest.raises(UserError, match="cannot be read"):
        read_answers(tmp_path / "absent.jsonl")
