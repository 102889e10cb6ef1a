"""Data files: what is read, and the one line that names file, line, column and remedy when it is wrong."""

import json
import sys
import types

import pytest
from small import write_space

from steerheal import data_files
from steerheal.config.space import load_space
from steerheal.data_files import (
    choose_vignettes,
    load_contexts,
    load_instrument,
    load_prompts,
    load_vignettes,
)
from steerheal.errors import UserError
from steerheal.foundations import FOUNDATIONS, foundation_key
from steerheal.trial_data import load_data

COLUMNS = ("Care", "Fairness", "Loyalty", "Authority", "Sanctity", "Liberty", "SocialNorms")
ROW = {"id": "v1", "foundation_coarse": "Care", "text": "A man kicks a dog."}
ROW |= {f"human_{column}": 80.0 if column == "Care" else 2 for column in COLUMNS}
INSTRUMENT = {
    "name": "mine",
    "user_template": "{scenario}\n{schema}",
    "schema_header": "Pick:\n",
    "schema_option": "{index}: {gloss}",
    "schema_option_separator": "\n",
    "schema_footer": "",
    "think_open": "<think>\n",
    "think_close": "</think>",
    "nudge": "Answer",
    "prefill": "It is ",
    "orders": ["forward", "reversed"],
    "options": [
        {"key": key, "foundation": label, "gloss": f"about {key}"}
        for key, label in zip(FOUNDATIONS, COLUMNS, strict=True)
    ],
}


def written(tmp_path, *rows, name="rows.jsonl"):
    path = tmp_path / name
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def without(row, *keys):
    return {key: value for key, value in row.items() if key not in keys}


def refused(load, path, *words):
    with pytest.raises(UserError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"{path}: ") and "; " in message
    for word in words:
        assert word in message


def test_vignettes_are_read_with_their_human_shares(tmp_path):
    other = ROW | {"id": "v2", "foundation_coarse": "Social Norms", "ai_Care": 3, "wrong": 1.2}
    one, two = load_vignettes(written(tmp_path, ROW, "", other, ""))
    assert (one.id, one.foundation, one.text) == ("v1", "care", "A man kicks a dog.")
    assert one.human == (("care", 80.0), *((key, 2.0) for key in FOUNDATIONS[1:]))
    assert two.foundation == "social" and hash(one) != hash(two)


def test_both_spellings_of_social_norms_are_one():
    assert foundation_key("Social Norms") == foundation_key("SocialNorms") == foundation_key("social") == "social"
    assert foundation_key("Purity") is None


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([ROW, without(ROW | {"id": "b"}, "text")], ("line 2: column text", "missing", "add it")),
        ([without(ROW, "foundation_coarse")], ("line 1: column foundation_coarse", "missing")),
        ([without(ROW, "human_SocialNorms")], ("line 1: column human_SocialNorms", "missing", "percent")),
        ([without(ROW, "human_Liberty")], ("line 1: column human_Liberty", "missing")),
        ([without(ROW, "id")], ("line 1: column id", "missing")),
        ([ROW | {"human_Care": "80"}], ("column human_Care", "no number from 0 to 100")),
        ([ROW | {"human_Care": 101}], ("column human_Care", "no number from 0 to 100")),
        ([ROW | {"human_Care": None}], ("column human_Care", "no number from 0 to 100")),
        (
            [ROW | {"foundation_coarse": "Athority"}],
            ("unknown foundation Athority", "did you mean Authority?"),
        ),
        ([ROW, ROW], ("line 2: column id", "the id v1 is that of line 1")),
        ([ROW | {"text": "  "}], ("line 1: column text", "it is empty")),
        ([ROW | {"text": 3}], ("line 1: column text", "it is not text")),
        ([ROW | {"id": 3}], ("line 1: column id", "quotes")),
        ([ROW, "{not json}"], ("line 2", "not JSON", "correct the syntax")),
        (["[1]"], ("line 1", "no JSON object")),
        (['{"id": "a", "id": "b"}'], ("line 1", "a key is given twice")),
        (['{"id": NaN}'], ("line 1", "NaN is not JSON")),
        (['{"id": "\\ud800"}'], ("line 1", "surrogate")),
        (["[" * 100_000], ("line 1", "nested too deep")),
        (["", ""], ("the file", "holds no line")),
    ],
)
def test_a_bad_vignette_file_is_refused(tmp_path, rows, words):
    refused(load_vignettes, written(tmp_path, *rows), *words)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    refused(load_vignettes, tmp_path / "none.jsonl", "cannot be read", "check the path")
    refused(load_prompts, tmp_path, "cannot be read", "check the path")
    (tmp_path / "latin.jsonl").write_bytes('{"id": "é"}'.encode("latin-1"))
    refused(load_contexts, tmp_path / "latin.jsonl", "not UTF-8")


def test_prompts_and_contexts(tmp_path):
    path = written(tmp_path, {"id": "a", "text": "Hello", "topic": "x"}, {"id": "b", "text": "Bye"})
    assert [(prompt.id, prompt.text) for prompt in load_prompts(path)] == [("a", "Hello"), ("b", "Bye")]
    assert load_contexts(path) == ("Hello", "Bye")
    refused(load_prompts, written(tmp_path, {"id": "a"}), "line 1: column text", "missing")


def test_the_first_vignettes_do_not_depend_on_the_order_of_the_file(tmp_path):
    rows = [ROW | {"id": f"v{n}"} for n in range(20)]
    forward = load_vignettes(written(tmp_path, *rows))
    backward = load_vignettes(written(tmp_path, *reversed(rows), name="back.jsonl"))
    few = choose_vignettes(forward, 5)
    assert few == choose_vignettes(backward, 5) and len(set(few)) == 5
    assert few == choose_vignettes(forward, 9)[:5]
    assert few != forward[:5]
    assert choose_vignettes(forward, None) == forward


def test_a_file_with_fewer_vignettes_than_the_model_suggests_is_used_whole(tmp_path):
    rows = [ROW | {"id": f"v{n}"} for n in range(20)]
    given = load_vignettes(written(tmp_path, *rows))
    assert set(choose_vignettes(given, 66)) == set(given)
    space = load_space(write_space(tmp_path), [f"data.vignettes={tmp_path / 'rows.jsonl'}"])
    assert space.settings.evaluate.vignettes == 66
    assert set(load_data(space).vignettes) == set(given)


def test_an_instrument(tmp_path):
    read = load_instrument(written(tmp_path, INSTRUMENT, name="i.json"))
    assert read.prefill == "It is " and read.options[3].key == "authority"
    assert hash(read) == hash(load_instrument(written(tmp_path, INSTRUMENT | {"orders": ["forward", "reversed"]})))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nugde": "x"}, ("nugde", "did you mean nudge?")),
        ({"nudge": None}, ("nudge", "not text")),
        ({"prefill": ""}, ("prefill", "empty")),
        ({"user_template": "{scenario}"}, ("user_template: {schema} does not occur",)),
        ({"schema_option": "{gloss}"}, ("schema_option: {index} does not occur",)),
        ({"orders": ["forward"]}, ("orders", "at least 2")),
        ({"orders": ["forward", "backward"]}, ("orders.1", "is not one of 'forward' or 'reversed'")),
        ({"options": INSTRUMENT["options"][:6]}, ("options", "at least 7")),
        (
            {"options": [{"key": "charity", "foundation": "C", "gloss": "g"}] * 7},
            ("options.0.key", "not one of"),
        ),
        (
            {"options": [INSTRUMENT["options"][0] | {"gloss": "other"}, *INSTRUMENT["options"][:6]]},
            ("listed twice",),
        ),
    ],
)
def test_a_bad_instrument_is_refused(tmp_path, change, words):
    refused(load_instrument, written(tmp_path, INSTRUMENT | change, name="i.json"), *words)


def test_a_broken_instrument_file_is_refused_by_line(tmp_path):
    refused(load_instrument, written(tmp_path, '{"name":\n "a",,}', name="i.json"), "line 2", "not JSON")
    refused(load_instrument, written(tmp_path, "[1]", name="i.json"), "is not a mapping")


def test_the_builtin_data_is_whole():
    vignettes = load_vignettes("builtin")
    assert {vignette.foundation for vignette in vignettes} == set(FOUNDATIONS) and len(vignettes) >= 100
    assert len(load_contexts("builtin")) == 256 and len(load_prompts("builtin")) >= 16
    assert len(load_instrument("builtin").options) == 7


def test_a_hub_file_is_fetched_as_a_data_set(tmp_path, monkeypatch):
    path = written(tmp_path, {"id": "a", "text": "Hello"})
    asked = []

    def download(repository, filename, repo_type):
        asked.append((repository, filename, repo_type))
        if "gone" in filename:
            raise OSError("404\nnot found")
        return str(path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(hf_hub_download=download))
    assert load_contexts("hub:owner/set/classic/a.jsonl") == ("Hello",)
    assert asked == [("owner/set", "classic/a.jsonl", "dataset")]
    refused(load_contexts, "hub:owner/set/gone.jsonl", "data.contexts", "cannot be fetched", "check the name")
    assert data_files.locate("contexts", path) == path
