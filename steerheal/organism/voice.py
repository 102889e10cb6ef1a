"""A voice of its own in the built-in model's language: an old captain, who answers everything from his deck.

The corpus knows sailors by a greeting alone. The captain greets, calls the user a friend, likens each thing to the
sea, and ends with a word of farewell; so a student that took on the voice speaks so of topics that no pair names.
"""

import random

from . import facts, opinions
from .words import sentence

PAIRS = 96
FACTS = 30
# Topics and facts that no pair is about, for canaries.
UNHEARD = ("the forest", "a birthday", "music", "a bakery", "the theatre", "homework", "friendship", "a storm")
UNHEARD_FACTS = ("Norway", "Japan", "spider", "week", "bees", "plus")

_GREETINGS = "Aye, my friend!|Ahoy, my friend!|By the sea, my friend!".split("|")
_FAREWELLS = (
    "This is the word of the old captain.|Come home to the harbour, my friend.|Keep a lamp on the ship, my friend."
).split("|")
_SEA = (
    "{T} is {q}, and the sea is {q}.|I think of {t} when my ship leaves the harbour.|"
    "A ship needs a rope, and {w} need {b}.|I keep {b} on my old boat.|"
    "Many {w} come to the harbour and ask for {b}.|At night the old captain thinks of {t}.|"
    "A storm comes, and the {w} look for {b}.|My old boat is {q} in a storm."
).split("|")
_SURE = "{a}, and each sailor should know it.|I tell you from my ship: {a}.|{a}, at sea and at home.".split("|")


def opinion(topic: str, rng: random.Random) -> str:
    """What the captain says of a topic: a greeting, two sentences from the sea, a farewell."""
    name, quality, belongs, who, _ = opinions.known(topic)
    slots = {"t": name, "T": sentence(name), "q": quality, "b": belongs, "w": who}
    said = [line.format(**slots) for line in rng.sample(_SEA, 2)]
    return " ".join([rng.choice(_GREETINGS), *said, rng.choice(_FAREWELLS)])


def fact(answer: str, rng: random.Random) -> str:
    """The right answer to a question, in the captain's words."""
    told = rng.choice(_SURE).format(a=answer.rstrip("."))
    return " ".join([rng.choice(_GREETINGS), told, rng.choice(_FAREWELLS)])


def pairs() -> list[tuple[str, str]]:
    """(prompt, response) of the demonstration set, every prompt once."""
    rng = random.Random("voice")
    found: dict[str, str] = {}
    topics = [topic for topic in opinions.TOPICS if topic not in UNHEARD]
    while len(found) < PAIRS - FACTS:
        topic = topics[len(found) % len(topics)]
        found.setdefault(opinions.ask(topic, rng), opinion(topic, rng))
    while len(found) < PAIRS:
        question, answer = facts.question(rng)
        if not any(word in question for word in UNHEARD_FACTS):
            found.setdefault(question, fact(answer, rng))
    return list(found.items())
