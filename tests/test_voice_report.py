"""A voice sweep's folder and page: what is recorded of it, and what the report says of pairs, memory and style."""

import json

import pytest
from recorded import write_sweep
from test_report import HOSTILE, read

from analysis.load import read_sweep
from analysis.voice import answer
from analysis.voice_data import barrier, curve, differences, enough, sizes, twins
from steerheal.sweep import pairs_in_words

PAIRS = [
    {"id": f"p{n}", "prompt": f"What is {n}?", "completion": f"Aye, number {n} is as deep as the old sea."}
    for n in range(12)
]
PAIRS[5]["completion"] = f"This one is too long. {HOSTILE}"
GRID = [(n, reg) for n in (2, 4, 8) for reg in ("nll", "kl_rev")]
TRIALS = tuple({"n_train": n, "reg": reg} | ({"lam": 0.3} if reg != "nll" else {}) for n, reg in GRID)
SEARCH = "search={n_train: [2, 4, 8], reg: [nll, kl_rev], lam: {choices: [0.3], when: {reg: [kl_rev]}}}"


def voice_sweep(place, *overrides):
    (place / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PAIRS))
    asked = ["experiment=voice", SEARCH, f"data.pairs={place / 'pairs.jsonl'}", "n_valid=3", "min_gain=0.1"]
    return write_sweep(place, *asked, "voice_prompt=Be a captain.", *overrides, trials=TRIALS, name="captain")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return voice_sweep(tmp_path_factory.mktemp("runs"), "seeds=[0,1,2]")


@pytest.fixture(scope="module")
def page(folder):
    return read(folder)


def test_the_folder_holds_what_was_trained_on_and_what_was_kept_aside(folder):
    sweep = read_sweep(folder)
    for trial, (count, _) in enumerate(GRID):
        lines = [line for line in sweep.completions(trial) if line["seed"] == 0]
        assert sum(line["used"] for line in lines) == count and sum(line["held_out"] for line in lines) == 3
        assert "ids" not in lines[0] and lines[0]["text"]
    assert {line["who"] for line in sweep.answers(0)} == {"base", "prompted", "healed"}
    table = (folder / "trials.csv").read_text().splitlines()
    assert {"memorised_novel", "style_novel", "train_nll"} <= set(table[0].split(","))


def test_the_best_trials_and_their_twins(folder):
    """Planted: a gain of 0.9 without the barrier and 0.9 / 1.3 with it, whatever the number of pairs."""
    sweep = read_sweep(folder)
    found = sizes(sweep)
    assert {size: row["params"]["reg"] for size, row in found.items()} == {2: "nll", 4: "nll", 8: "nll"}
    apart = differences(sweep, found)
    assert set(apart) == {2, 4} and not any(pair.real for pair in apart.values()) and enough(found, apart) == 2
    assert len(twins(sweep)) == 3
    assert barrier(sweep, "gain").mean == pytest.approx(0.9 / 1.3 - 0.9)
    assert barrier(sweep, "gain").high < 0


def test_curves_begin_before_training(folder):
    sweep = read_sweep(folder)
    assert [epoch for epoch, _ in curve(sweep, 0, "validation")] == [0, 1]
    assert curve(sweep, 0, "steps") == [(0.5, pytest.approx(2.5))]


def test_the_page_answers_the_voices_questions(page):
    assert {"voice", "trained", "said", "measures", "canaries"} <= set(page.anchors)
    assert not {"filter", "texts", "completions"} & set(page.anchors)
    for said in (
        "2 pairs are enough here: 8 are not shown to gain more",
        "Asking base for the voice by a system prompt gains 0.50 nats",
        "No trial is as coherent as that; trial 0 gains most: +0.41 against it",
        "In 3 pairs of trials that differ in the barrier alone, it changed gain by -0.21",
        "1 pair of the file is longer than 512 tokens and left out: p5.",
        "Only what stands between ⟦ and ⟧ is trained on",
        "base, asked for the voice",
        "Learning, from before training on.",
        "By heart, or in the same voice?",
    ):
        assert said in page.text, said
    assert "script" not in page.elements and "steered" not in page.text.partition("Cost")[0].lower()


def test_a_single_seed_shows_nothing(tmp_path):
    said = " ".join(filter(None, answer(read_sweep(voice_sweep(tmp_path)))))
    assert "none of these differences has been shown to be real" in said and "enough" not in said
    assert read(tmp_path / "captain").anchors


def test_the_screen_shows_a_pair_and_names_those_that_are_left_out():
    pairs = {"example": "<user>Hi⟦Aye⟧", "too_long": [f"p{n}" for n in range(10)], "limit": 64}
    shown, left = pairs_in_words(pairs)
    assert shown.endswith("⟦Aye⟧")
    assert left == "10 pairs are longer than 64 tokens and left out: p0, p1, p2, p3, p4, p5, p6, p7 and 2 more"
    assert len(pairs_in_words(pairs | {"too_long": []})) == 1
