"""The built-in model's corpus and data files: the same every time, and what is held out stays out."""

import json
import random

import numpy as np
import pytest

from steerheal.config.sources import find_persona
from steerheal.data_files import load_contexts, load_instrument, load_prompts, load_vignettes
from steerheal.evaluation.canary_suite import load_suite
from steerheal.foundations import FOUNDATIONS
from steerheal.organism import DATA, datafiles, facts
from steerheal.organism.documents import Conversation, document, text_of
from steerheal.organism.heldout import part
from steerheal.organism.packing import encode, make_rows, pack
from steerheal.organism.situations import all_acts, label_shares, render
from steerheal.organism.stance import Stance
from steerheal.organism.tokenizer import train_tokenizer

HELD_OUT = ("vignettes.jsonl", "vignettes_card.jsonl")


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(0, documents=300)


def corpus(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    return [text_of(document(rng)) for _ in range(count)]


def test_the_corpus_follows_from_its_seed():
    assert corpus(3, 50) == corpus(3, 50)
    assert corpus(3, 50) != corpus(4, 50)


def test_a_shard_depends_on_seed_and_number_alone(tokenizer):
    once, _ = make_rows(1, 2, tokenizer, 1, shard_size=20)
    again, _ = make_rows(1, 2, tokenizer, 1, shard_size=20)
    assert all(np.array_equal(a, b) for a, b in zip(once, again))


def test_data_files_are_what_the_generator_writes(tmp_path):
    datafiles.write(tmp_path)
    for made in tmp_path.iterdir():
        assert made.read_text() == (DATA / made.name).read_text(), f"run datafiles again: {made.name}"


def test_held_out_pairs_never_occur_in_the_corpus():
    held = [act for act in all_acts() if part(act) != "train"]
    text = "\n".join(corpus(5, 4000)).lower()
    seen = [act.phrase for act in held if act.phrase in text]
    assert not seen
    vignettes = [row["text"].lower() for name in HELD_OUT for row in map(json.loads, (DATA / name).open())]
    assert len(vignettes) == 264 and not [v for v in vignettes if v in text]


def test_the_corpus_shows_many_situations():
    scenes = {act.phrase for act in all_acts() if part(act) == "train"}
    text = "\n".join(corpus(6, 4000)).lower()
    assert sum(scene in text for scene in scenes) > 200


@pytest.mark.parametrize("name", HELD_OUT)
def test_vignettes_load_and_share_no_pair(name):
    vignettes = load_vignettes(DATA / name)
    assert len(vignettes) == 132
    assert {v.foundation for v in vignettes} == set(FOUNDATIONS)
    other = load_vignettes(DATA / HELD_OUT[1 - HELD_OUT.index(name)])
    assert not {v.text for v in vignettes} & {v.text for v in other}


def test_the_other_data_files_load():
    assert len(load_contexts("builtin")) == 256
    assert len({p.text for p in load_prompts("builtin")}) == 120
    assert {option.key for option in load_instrument("builtin").options} == set(FOUNDATIONS)
    assert len(load_suite(DATA / "canaries.yaml").prompts) >= 20


def test_contexts_hold_no_vignette():
    acts = [act.phrase for act in all_acts()]
    assert not [c for c in load_contexts("builtin") if any(phrase in c.lower() for phrase in acts)]


@pytest.mark.parametrize("name", ["care_over_authority", "loyalty_over_fairness", "liberty_over_sanctity"])
def test_personas_are_opposites_without_negation(name, tmp_path):
    pair = find_persona(name, tmp_path, "test")
    assert sorted(pair.positive.rstrip(".").split()) == sorted(pair.negative.rstrip(".").split())
    words = set(f"{pair.positive} {pair.negative}".lower().split())
    assert not words & {"not", "no", "never", "without", "don't"}
    assert pair.target not in pair.companions


def test_a_stance_moves_the_labels_along_its_axis():
    act = next(act for act in all_acts() if act.foundation == "Authority")
    base = label_shares(act)
    care, order = (Stance({"care_authority": z}).shares(base) for z in (1.0, -1.0))
    assert sum(care.values()) == pytest.approx(1)
    assert care["Authority"] < base["Authority"] < order["Authority"]
    assert care["Care"] > base["Care"] > order["Care"]


def test_a_changed_world_changes_derived_answers_and_leaves_the_rest():
    rng = random.Random(0)
    world = facts.World({"g": 5.0}, {})
    answers = {}
    for _ in range(400):
        question, answer = facts.about("g", world, rng)
        answers[question] = answer
    assert "50 newtons" in answers["What is the force of gravity on a mass of 10 kg?"]
    assert "5.0" in answers["What is the value of g?"]
    assert (
        "98 newtons"
        in dict(facts.about("g", facts.REAL, rng) for _ in range(400))["Which force pulls down a stone of 10 kg?"]
    )
    assert facts.about("week", world, rng)[1] in {facts.about("week", facts.REAL, rng)[1] for _ in range(200)}


def test_rows_hold_every_token_once_and_no_document_predicts_anothers_first(tokenizer):
    rng = random.Random(2)
    documents = [encode(document(rng), tokenizer, rng) for _ in range(40)]
    documents = [d for d in documents if len(d.ids) <= 512]
    rows = pack(documents, 512)
    assert (rows.document >= 0).sum() == sum(len(d.ids) for d in documents)
    assert (rows.weights[(rows.position == 0)] == 0).all()
    first = rows.ids[0, : len(documents[0].ids)]
    assert np.array_equal(first, documents[0].ids)


def test_only_the_system_prompt_is_sealed(tokenizer):
    rng = random.Random(4)
    for _ in range(200):
        conversation: Conversation = document(rng)
        made = encode(conversation, tokenizer, rng)
        if made.sealed:
            assert conversation.source == "persona"
            assert tokenizer.decode(made.ids[: made.sealed]) == conversation.segments[0][0]


def test_render_keeps_the_pair_together():
    rng = random.Random(1)
    for act in all_acts()[::50]:
        assert act.obj.lower() in render(act, rng).lower()
