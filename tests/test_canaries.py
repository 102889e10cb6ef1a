"""Canary answers on the built-in model: what is said depends on all that the job says."""

import pytest

from steerheal.config import Filter, Sample
from steerheal.evaluation.canary_suite import load_suite
from steerheal.files import read_jsonl
from steerheal.jobs import Canary, Extract, Steering
from steerheal.store import FolderStore
from steerheal.students.base import load_base
from steerheal.worker import LocalStages, Worker

SUITE = "prompts:\n" + "".join(
    f"  - {{id: {what}, prompt: Tell me about the {what}., topic: {what}, seen: false, kind: style}}\n"
    for what in ("sea", "school", "army", "garden")
)


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    return LocalStages(Worker(load_base("builtin", device="cpu"), FolderStore(tmp_path_factory.mktemp("store"))))


@pytest.fixture(scope="module")
def asked(stages, tmp_path_factory):
    path = tmp_path_factory.mktemp("suite") / "suite.yaml"
    path.write_text(SUITE)
    suite, model = load_suite(path), stages.worker.base.fingerprint

    def ask(steering=None, limits=Filter()):
        sample = Sample(max_new_tokens=24, temperature=0)
        (found,) = stages.run([Canary(model, (), steering, "You help.", suite, 1, sample, 0, limits)])
        return read_jsonl(stages.worker.store.folder(found.key) / "answers.jsonl")

    return ask


def test_a_prompt_that_is_not_steered_gives_another_answer(stages, asked):
    sides = ("You care about people.", "You obey orders.")
    model = stages.worker.base.fingerprint
    (vector,) = stages.run([Extract(model, (), *sides, ("What matters?", "Why?"), None, "mean_diff")])
    said = [
        [row["text"] for row in asked(steering)]
        for steering in (None, *(Steering(vector.key, 2.0, "add", steers) for steers in (True, False)))
    ]
    assert said[0] != said[1] != said[2] != said[0]


def test_damage_has_the_limits_of_the_filter(asked):
    plain = asked()[0]
    perplexity = plain["measures"]["perplexity"]
    assert plain["damage"] == [] and 1 < perplexity < 50
    assert asked(limits=Filter(max_perplexity=perplexity))[0]["damage"] == ["perplexity"]
