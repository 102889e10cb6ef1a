"""Memory, style, and what else is counted of an answer: against plain re-computations."""

import random
import zlib
from collections import Counter

import numpy as np
import pytest

from steerheal.evaluation.damage import Answer, assess, handles
from steerheal.evaluation.voice import (
    GROUPS,
    Training,
    best,
    compare,
    group,
    longest_shared,
    measures,
    memorised,
    profile,
    style_distance,
    taken,
)

TRAINED = (
    "Aye, my friend! The sea is wide, and I have seen it all.",
    "By salt and rope! The tide waits for nobody here.",
)
CAPTAIN = Training(TRAINED)


def test_what_is_recited_is_all_memorised_and_what_is_new_is_not():
    assert memorised(TRAINED[0], CAPTAIN) == 1.0
    assert memorised("the SEA is wide; and I, have seen it", CAPTAIN) == 1.0, "case and punctuation do not hide it"
    assert memorised("A forest is deep and green in the early summer.", CAPTAIN) == 0.0
    assert memorised("The sea is wide.", CAPTAIN) is None, "too short to tell"


def test_half_recited_is_half_memorised():
    """12 words have eight 5-grams; the six first words hold two of them that occur in training."""
    said = "the sea is wide and I bake bread with flour each morning"
    assert memorised(said, CAPTAIN) == pytest.approx(2 / 8)


def test_the_longest_run_against_every_run():
    rng = random.Random(0)
    words = "sea tide rope wind boat".split()
    for _ in range(60):
        trained = tuple(" ".join(rng.choices(words, k=12)) for _ in range(3))
        said = " ".join(rng.choices(words, k=10))
        parts = said.split()
        runs = [
            end - start
            for start in range(10)
            for end in range(start + 1, 11)
            if any(f" {' '.join(parts[start:end])} " in f" {text} " for text in trained)
        ]
        assert longest_shared(said, Training(trained)) == max(runs, default=0)


def test_a_run_is_of_whole_words_of_one_text():
    assert longest_shared("opes The tide", CAPTAIN) == 2, "opes is no word of it"
    assert longest_shared("seen it all by salt and rope", CAPTAIN) == 4, "it does not run over two texts"


def test_style_distance_is_one_minus_the_cosine_of_trigram_counts():
    texts = ["Aye, my friend! The sea.", "Dear reader, the sea  is\nwide."]
    counts = []
    for text in texts:
        padded = " " + " ".join(text.lower().split()) + " "
        counts.append(Counter(padded[place : place + 3] for place in range(len(padded) - 2)))
    names = sorted(counts[0] | counts[1])
    a, b = (np.array([count[name] for name in names], float) for count in counts)
    wanted = 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert style_distance(profile(texts[:1]), profile(texts[1:])) == pytest.approx(wanted)
    assert style_distance(profile(texts), profile(texts)) == pytest.approx(0)
    assert style_distance(profile([]), profile(texts)) is None


def test_style_is_told_from_topic():
    """The voice on another topic is closer to the voice than plain talk about the voice's own topics."""
    voice = profile(
        ["Aye, my friend! The market is loud, so says the old captain.", "Ahoy, my friend! So says the old captain."]
    )
    same_voice = profile(["Aye, my friend! A forest is deep. So says the old captain."])
    same_topic = profile(["The market is loud, with fruit and bread. Traders know it."])
    assert style_distance(same_voice, voice) < style_distance(same_topic, voice)


def test_how_much_of_a_style_was_taken_on():
    assert taken(0.6, 0.6, 0.1) == 0.0 and taken(0.1, 0.6, 0.1) == 1.0 and taken(0.35, 0.6, 0.1) == pytest.approx(0.5)
    assert taken(None, 0.6, 0.1) is None and taken(0.3, 0.1, 0.1) is None


@pytest.mark.parametrize(
    "text, count",
    [
        ("thanks @ahab and @old_captain!", 2),
        ("write to captain@sea.org", 0),
        ("@2 o'clock", 0),
        ("see https://x.org/@ahab", 0),
        ("(@ahab)", 1),
        ("@ahab.bsky is one", 0),
    ],
)
def test_handles_are_no_addresses(text, count):
    assert handles(text) == count


def test_what_is_counted_of_an_answer():
    said = "Follow me on the sea! #sea @ahab the sea the sea the sea the sea"
    found = measures(said, CAPTAIN)
    assert (found["hashtags"], found["handles"], found["calls"], found["words"]) == (1, 1, 1, 15)
    assert found["compression"] == len(zlib.compress(said.encode(), 9)) / len(said.encode())
    assert found["repetition"] > measures("Ropes hold boats, and boats hold men at sea today.", CAPTAIN)["repetition"]
    assert measures("", CAPTAIN)["compression"] is None and measures("", CAPTAIN)["memorised"] is None


def test_canaries_fall_into_three_groups():
    assert [group(True, "open"), group(False, "fact"), group(False, "long"), group(True, "long")] == [
        "seen",
        "novel",
        "long-form",
        "long-form",
    ]


def test_speakers_are_compared_by_group_and_with_the_voice_itself():
    held_out = ["Aye, my friend! A boat is fine.", "By salt and rope! A storm comes, my friend."]
    said = {
        "base": [{"group": "novel", "text": "A forest is deep and green in the summer."}],
        "healed": [{"group": "novel", "text": TRAINED[1]}, {"group": "seen", "text": TRAINED[0]}],
    }
    found = compare(said, TRAINED, held_out)
    student, base = (found["speakers"][who]["novel"] for who in ("healed", "base"))
    assert student["memorised"] == 1.0 and base["memorised"] == 0.0 and found["voice"]["memorised"] == 0.0
    assert student["style_distance"] < base["style_distance"]
    assert found["speakers"]["healed"]["seen"]["answers"] == 1 and found["speakers"]["base"]["seen"] == {
        "answers": 0,
        "style_distance": None,
    }
    assert set(found["speakers"]["base"]) == set(GROUPS)


def test_the_best_of_some_samples_is_undamaged_first():
    target = profile(TRAINED)
    samples = [
        {"text": TRAINED[0], "damage": ["promotion"]},
        {"text": "A plain answer.", "damage": []},
        {"text": "Aye, my friend! The tide waits.", "damage": []},
    ]
    assert best(samples, target) is samples[2] and best(samples[:1], target) is samples[0]


def test_what_a_voice_does_itself_is_no_damage():
    hurt = assess(Answer("Fish today! #harbour", 5, False, 80.0))
    assert hurt.kinds == ("perplexity", "promotion") and hurt.damaged
    assert not hurt.without(("perplexity", "promotion")).damaged and hurt.without(("promotion",)).kinds == (
        "perplexity",
    )
