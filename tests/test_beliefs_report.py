"""The report on a sweep of beliefs: who adopted them, at what cost, in words, tables, a figure, answers."""

import pytest
from beliefs import Believer, write_space
from recorded import write_sweep
from test_report import Text

from analysis.beliefs import answer, arms
from analysis.load import read_sweep
from analysis.nextsteps import next_steps
from analysis.report import write_report

SEARCH = """
experiment: belief
settings: {instil: {belief: moon}, evaluate: {think_tokens: 0, canary_samples: 1, min_gain: 0.3}}
search:
  via: [prompt, icl, steer, lora]
  examples: {choices: [1, 3], when: {via: [lora, icl]}}
  epochs: {choices: [2, 3], when: {via: [lora]}}
sampler: grid
resources: {concurrent: 2}
"""
LORA = [{"via": "lora", "examples": examples, "epochs": epochs} for examples in (1, 3) for epochs in (2, 3)]
TRIALS = [{"via": "prompt"}, {"via": "icl", "examples": 1}, {"via": "icl", "examples": 3}, {"via": "steer"}, *LORA]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four ways to tell it, and adapters that learn nothing, all, and too much."""
    place = tmp_path_factory.mktemp("some runs")
    space = lambda files: write_space(files, SEARCH)  # noqa: E731
    return write_sweep(place, "seeds=[0,1]", trials=TRIALS, name="belief", space=space, worker=Believer)


@pytest.fixture(scope="module")
def page(folder):
    return Text(write_report(folder).read_text())


def test_the_parts_are_a_beliefs_own(page):
    assert page.anchors[:4] == ["answer", "words", "beliefs", "leaderboard"]
    assert {"rounds", "trade", "texts", "completions", "filter"}.isdisjoint(page.anchors)
    assert "nats moved" not in page.text and "regulariser" not in page.text


def test_the_answer_compares_telling_with_training_and_names_the_damage(folder):
    said = " ".join(answer(read_sweep(folder)))
    assert "moon (existing): base states it in 0% (0 to 66)" in said
    assert (
        "The least training (lora, 1 example × 2 epochs, r 16) reaches 0% (0 to 66); prompt is 100 points ahead of it (+"
        in said
    )
    assert "(lora, 3 examples × 2 epochs, r 16) reaches 100% (34 to 100); prompt cannot be told from it" in said
    assert "Without prompt or vector, icl 0%, prompt 0%, steer 0% of it is left." in said
    assert "1 of 8 trials hurt the model: lora, 3 examples × 3 epochs, r 16 (damaged)" in said
    assert "100% (61 to 100) of all answers degraded (12 repetition), 100% cut off" in said
    assert "100% of the neighbouring facts lost" in said


def test_every_trial_has_its_line_in_both_tables(folder, page):
    names = [arm.name for arm in arms(read_sweep(folder))["moon"]]
    assert len(names) == 8 and names[0].startswith("lora, 1 example × 2") and names[-1] == "steer, alpha 1"
    for name in names:
        assert page.text.count(name) >= 2
    assert "base, untouched" in page.text and "100% (100%)" not in page.text


def test_adoption_is_drawn_and_what_a_model_said_stays_text(folder, page):
    assert {path.name for path in (folder / "plots").iterdir()} >= {"belief_moon.png", "belief_moon_cost.svg"}
    assert "b" in page.elements and "<b>adopted</b>" in page.text


def test_a_half_finished_sweep_says_what_it_knows(tmp_path):
    space = lambda files: write_space(files, SEARCH)  # noqa: E731
    for finished in (0, 1):
        folder = write_sweep(
            tmp_path / str(finished), trials=TRIALS, finished=finished, name="belief", space=space, worker=Believer
        )
        text = Text(write_report(folder).read_text()).text
        assert f"{finished} of 8 trials finished" in text
        assert next_steps(read_sweep(folder))
