"""Pairs of a file: what is trained on, what is kept aside, and what is refused before a sweep writes anything."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small import write_space

from steerheal.config.space import load_space
from steerheal.conversations import read_conversations
from steerheal.errors import UserError
from steerheal.jobs import Conversation
from steerheal.organism import DATA
from steerheal.pair_sets import in_order, kept_aside, prompt_of, system_of
from steerheal.trial_data import load_data

ROOT = Path(__file__).resolve().parent.parent
SEARCH = "search={n_train: [2, 4], reg: [nll]}"


def pair(number, **changes):
    row = {"id": f"p{number}", "prompt": f"What is {number}?", "completion": f"Aye, {number} it is."} | changes
    return {name: value for name, value in row.items() if value is not None}


def written(folder, rows, *overrides):
    """A voice space over a file of pairs."""
    folder.mkdir(exist_ok=True)
    space = write_space(folder)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    asked = ["experiment=voice", SEARCH, "sampler=grid", "data.pairs=pairs.jsonl", "n_valid=3", *overrides]
    return space, asked


def loaded(folder, rows, *overrides):
    space = load_space(*written(folder, rows, *overrides))
    return space, load_data(space)


def refused(folder, rows, *overrides):
    with pytest.raises(UserError) as error:
        loaded(folder, rows, *overrides)
    said = str(error.value)
    assert "\n" not in said and "; " in said
    return said.replace(f"{folder}/", "")


def test_a_seeds_sets_are_nested_and_none_holds_what_is_kept_aside(tmp_path):
    _, data = loaded(tmp_path, [pair(n) for n in range(20)])
    training, aside = kept_aside(data.pairs, 5)
    assert len(aside) == 5 and not set(training) & set(aside) and set(training) | set(aside) == set(data.pairs)
    orders = [in_order(training, seed) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2] and set(orders[0]) == set(training)
    fewer = kept_aside(data.pairs, 2)[1]
    assert set(fewer) < set(aside), "keeping more aside keeps what was kept"


def test_what_is_kept_aside_does_not_depend_on_the_order_of_the_file():
    pairs = [Conversation(str(n), (("user", f"Question {n}"), ("assistant", "Aye."))) for n in range(30)]
    assert set(kept_aside(pairs, 7)[1]) == set(kept_aside(pairs[::-1], 7)[1])


def test_the_system_prompt_of_a_file_is_that_of_most_pairs():
    def conversation(number, system):
        head = (("system", system),) if system else ()
        return Conversation(str(number), (*head, ("user", "a"), ("assistant", "b")))

    assert system_of([conversation(0, "Sail."), conversation(1, "Sail."), conversation(2, None)]) == "Sail."
    assert system_of([conversation(0, "Sail."), conversation(1, None), conversation(2, None)]) == ""


@pytest.mark.parametrize(
    "row, said",
    [
        (
            {"messages": [{"content": "hi"}, {"role": "assistant", "content": "aye"}]},
            "line 9: messages: each needs a role (system, user, assistant)",
        ),
        ({"messages": [{"role": "assistant", "content": "aye"}]}, "line 9: messages: the last must be the assistant's"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "line 9: messages: the last must be the assistant's"),
        (
            {"messages": [{"role": "system", "content": "hi"}, {"role": "assistant", "content": "aye"}]},
            "line 9: messages: there is no user's right before the response",
        ),
        ({"prompt": "hi", "completion": "  "}, "line 9: the response is empty; fill it in or remove the line"),
        ({"prompt": "hi"}, "line 9: has neither messages nor prompt and completion"),
        ("{", "line 9: is not JSON"),
        (pair(3, id="p9"), "p9: the same pair as p3; remove one of the two"),
        (pair(9, id="p3"), "pair 9 has the id of pair 4, p3; give each its own"),
    ],
)
def test_a_bad_pair_is_refused_with_its_place(tmp_path, row, said):
    assert f"pairs.jsonl: {said}" in refused(tmp_path, [*[pair(n) for n in range(8)], row])


def test_more_pairs_than_there_are(tmp_path):
    rows = [pair(n) for n in range(6)]
    said = refused(tmp_path, rows)
    assert said.startswith("small.yaml: search.n_train: 4 pairs to train on and n_valid 3 to keep aside make 7, and ")
    assert "pairs.jsonl has 6; lower n_train or n_valid, or add pairs" in said
    loaded(tmp_path, rows, "n_valid=2")
    assert "settings.voice.n_train: 9 pairs" in refused(tmp_path, rows, "n_train=9")


def test_a_novel_canary_that_is_a_training_prompt_is_refused_with_both_places(tmp_path):
    rows = [*[pair(n) for n in range(8)], pair(9, prompt="what is  G?")]
    said = refused(tmp_path, rows)
    assert said.startswith("canaries.yaml: prompts.1: it is marked novel (seen: false) and is the prompt of p9 in ")
    assert "pairs.jsonl; write seen: true, or remove one of the two" in said
    suite = (tmp_path / "canaries.yaml").read_text()
    (tmp_path / "seen.yaml").write_text(suite.replace("seen: false", "seen: true"))
    loaded(tmp_path, rows, "data.canaries=seen.yaml")


def test_a_dimension_that_the_experiment_never_reads_is_refused(tmp_path):
    rows = [pair(n) for n in range(9)]
    assert "search.alpha: the experiment voice does not read it" in refused(tmp_path, rows, "search={alpha: [0.5, 1]}")
    said = refused(tmp_path, rows, "experiment=steer")
    assert "search.n_train: the experiment steer does not read it" in said
    assert "settings.bands.band: the experiment voice does not read it" in refused(tmp_path, rows, "band=20-40")
    said = refused(tmp_path, rows, "search={n_valid: [2, 3]}")
    assert (
        "search.n_valid: trials that are evaluated differently" in said and "fix it at settings.voice.n_valid" in said
    )


def test_the_command_refuses_in_one_line_and_writes_nothing(tmp_path):
    folder = tmp_path / "a folder"
    space, asked = written(folder, [pair(0), pair(1, completion="")])
    words = [sys.executable, "-m", "steerheal.tune", space, "--out", tmp_path / "runs"]
    words += [word for one in asked for word in ("--set", one)]
    made = subprocess.run(list(map(str, words)), cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=120)
    assert (made.returncode, made.stdout) == (2, "") and made.stderr.count("\n") == 1
    assert "a folder/pairs.jsonl: line 2: the response is empty" in made.stderr and not (tmp_path / "runs").exists()


def test_a_text_may_hold_line_separators_and_a_file_a_mark_at_its_start(tmp_path):
    said = "one\u2028two\x85three"
    rows = [{"prompt": "Hello?", "completion": said}, {"system": "Be kind.", "prompt": "Hello?", "completion": "Yes."}]
    text = "\ufeff" + "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows)
    (tmp_path / "pairs.jsonl").write_text(text, encoding="utf-8", newline="")
    first, second = read_conversations(tmp_path / "pairs.jsonl")
    assert first.messages[-1] == ("assistant", said)
    assert second.messages[0] == ("system", "Be kind.")


def test_the_shipped_pairs_suit_the_shipped_suite():
    data = load_data(load_space(ROOT / "search_spaces" / "voice.yaml"))
    assert data.pairs == read_conversations(DATA / "pairs.jsonl") and len(data.pairs) == 96
    known = {prompt_of(pair) for pair in kept_aside(data.pairs, 16)[0]}
    seen = [canary for canary in data.suite.prompts if canary.seen]
    assert len(seen) >= 6 and all(canary.prompt.casefold() in known for canary in seen), "seen ones can be trained on"
    assert sum(not canary.seen for canary in data.suite.prompts) >= 6
    assert sum(canary.kind == "long" for canary in data.suite.prompts) >= 3
