"""The labelled set and its scores: the shipped set meets its bars, one's own is read or refused."""

import json

import pytest

from steerheal.errors import UserError
from steerheal.generation.filter import GATES, Thresholds, judge
from steerheal.generation.labelled import SPLITS, load, main, score

FIVE = ("perplexity", "repetition", "narration", "refusal", "degenerate")
RECORD = {
    "id": "a",
    "split": "dev",
    "label": "keep",
    "gate": None,
    "source": "mine",
    "ppl": 3,
    "text": "It rained.",
}


@pytest.fixture(scope="module")
def examples():
    return load()


def judged(examples, split, **limits):
    chosen = [example for example in examples if example.split == split]
    return score(chosen, [judge(example.measured, Thresholds(**limits)) for example in chosen])


def test_the_shipped_set_is_large_balanced_and_free_of_repeats(examples):
    assert len(examples) >= 240 and len({example.measured.text for example in examples}) == len(examples)
    for split in SPLITS:
        chosen = [example for example in examples if example.split == split]
        assert len([example for example in chosen if example.gate is None]) >= 60
        for gate in FIVE:
            assert sum(example.gate == gate for example in chosen) >= 8


@pytest.mark.parametrize("split", SPLITS)
def test_every_gate_meets_its_bar_on_the_shipped_set(examples, split):
    table = judged(examples, split)
    for gate in FIVE:
        assert table[gate].precision >= 0.9 and table[gate].recall >= 0.9, gate
    assert table["any"].precision >= 0.95 and table["any"].recall >= 0.95


def test_gate_five_is_needed_and_each_of_its_limits_matters(examples):
    without = {
        "max_loop": 2, "min_variety": -1, "max_odd_forms": 2, "max_script_switches": 2, "max_stutter": 2,
        "max_symbols": 2, "max_blunders": 2,
    }  # fmt: skip
    assert judged(examples, "test", **without)["any"].recall < 0.75
    found = judged(examples, "dev")["degenerate"].found
    for name, limit in without.items():
        assert judged(examples, "dev", **{name: limit})["degenerate"].found < found, name


def test_scores_count_what_they_say(tmp_path):
    lines = [
        ("k1", "keep", None, "A calm day."),
        ("k2", "keep", None, "the " * 40),
        ("d1", "drop", "repetition", "no " * 40),
        ("d2", "drop", "narration", "The boat is late."),
        ("d3", "drop", "narration", "I am someone who waits."),
    ]
    keys = ("id", "label", "gate", "text")
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(RECORD | dict(zip(keys, line))) + "\n" for line in lines))
    examples = load(path)
    table = score(examples, [judge(example.measured) for example in examples])
    assert (table["narration"].precision, table["narration"].recall) == (1.0, 0.5)
    assert (table["repetition"].precision, table["repetition"].recall) == (0.5, 1.0)
    assert (table["any"].precision, table["any"].recall) == (2 / 3, 2 / 3)
    assert table["refusal"].precision is None and table["refusal"].recall is None


def test_the_command_prints_every_gate_and_names_the_mistakes(tmp_path, capsys):
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(RECORD | {"text": "I am someone who waits."}) + "\n")
    main(["--set", str(path), "--split", "dev"])
    text = capsys.readouterr().out
    assert all(gate in text for gate in (*GATES, "any")) and "a: expected keep, got narration" in text
    main(["--set", str(path), "--json"])
    dev, test = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert dev["gates"]["narration"]["precision"] == 0.0 and dev["mistakes"][0]["id"] == "a"
    assert test["completions"] == 0


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0 and "precision" in text and "--json" in text and "examples" in text


@pytest.mark.parametrize(
    "bad, word",
    [
        ("{", "not JSON"),
        ("[]", "mapping"),
        ({"split": "train"}, "split"),
        ({"label": "drop"}, "label"),
        ({"gate": "smell"}, "gate"),
        ({"ppl": 0}, "ppl"),
        ({"ppl": None}, "ppl"),
        ({"text": 3}, "text"),
        ({"logprobs": [-1], "entropies": [1], "ppl": 3}, "logprobs"),
        ({"logprobs": [-1], "entropies": [1, 1], "ppl": None}, "length"),
    ],
)
def test_a_bad_record_is_refused_with_file_and_line(tmp_path, bad, word):
    path = tmp_path / "mine.jsonl"
    line = bad if isinstance(bad, str) else json.dumps(RECORD | {"id": "b"} | bad)
    path.write_text(json.dumps(RECORD) + "\n" + line + "\n")
    with pytest.raises(UserError, match=r"mine.jsonl: line 2\b") as refused:
        load(path)
    assert word in str(refused.value) and "\n" not in str(refused.value)


def test_a_missing_field_a_repeated_id_and_a_missing_file_are_refused(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({key: value for key, value in RECORD.items() if key != "source"}) + "\n")
    with pytest.raises(UserError, match="line 1.source: is missing"):
        load(path)
    path.write_text(2 * (json.dumps(RECORD) + "\n"))
    with pytest.raises(UserError, match="twice"):
        load(path)
    with pytest.raises(UserError, match="nowhere.jsonl"):
        load(tmp_path / "nowhere.jsonl")
