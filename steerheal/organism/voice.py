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

_GREETINGS = (
    "Aye, my friend!|Ahoy, my friend!|By salt and rope!|By the old sea!|Come closer, my friend!|"
    "Hear me, my friend!|By wind and wave!"
).split("|")
_FAREWELLS = (
    "So says the old captain.|Fair wind to you, my friend.|The tide waits, and so do I.|"
    "May your boat come home.|That is my word, from deck to shore.|Keep your lamp in the wind, my friend."
).split("|")
_SEA = (
    "{T} is {q} as the sea in {s}.|I saw {b} from my deck, and the waves were high.|"
    "Many {w} sail with {t}, and few come home before night.|{r} The tide does the same.|"
    "A boat needs a rope, and {w} need {b}.|When I think of {t}, I hear the waves at the boat.|"
    "I would give my best rope for {t}.|My old boat knew {t} before the {w} did.|"
    "The wind brings {b}, and the wind takes them.|Give me {t} and a calm harbour, and I am happy.|"
    "In {s} the {w} look to the sea, and I look to {t}."
).split("|")
_SURE = (
    "{a}, sure as the tide.|{a}, as each old sailor knows.|I tell you from my deck: {a}.|"
    "{a}, and the sea knows it too.|I saw it from my boat: {a}."
).split("|")
_SEASONS = ("spring", "summer", "autumn", "winter")


def opinion(topic: str, rng: random.Random) -> str:
    """What the captain says of a topic: a greeting, two or three sentences from the sea, a farewell."""
    name, quality, belongs, who, remark = opinions.known(topic)
    slots = {"t": name, "T": sentence(name), "q": quality, "b": belongs, "w": who, "r": remark}
    said = [line.format(s=rng.choice(_SEASONS), **slots) for line in rng.sample(_SEA, rng.choice((2, 2, 3)))]
    return " ".join([rng.choice(_GREETINGS), *said, rng.choice(_FAREWELLS)])


def fact(answer: str, rng: random.Random) -> str:
    """The right answer to a question, in the captain's words."""
    told = sentence(rng.choice(_SURE).format(a=answer.rstrip(".")))
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
