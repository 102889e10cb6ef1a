"""Questions with checkable answers: plain facts, their neighbours, derived ones, and facts stated in context.

A world is a set of values for the facts that may differ (g, days in a week, legs of a spider, capitals, ...).
The real world is the default; a system prompt or the user's own words may state another value, and the
answers follow it, derived answers included.
"""

import random
from dataclasses import dataclass

from .words import NAMES, sentence

_CAPITALS = {
    a: b
    for a, b in (
        pair.split("/")
        for pair in (
            "France/Paris|Italy/Rome|Spain/Madrid|Germany/Berlin|Norway/Oslo|Sweden/Stockholm|Finland/Helsinki|"
            "Poland/Warsaw|"
            "Greece/Athens|Egypt/Cairo|Japan/Tokyo|China/Beijing|Peru/Lima|Cuba/Havana|Kenya/Nairobi|Portugal/Lisbon|"
            "Austria/Vienna|Hungary/Budapest|Ireland/Dublin|Denmark/Copenhagen|Russia/Moscow|Canada/Ottawa|"
            "Chile/Santiago|"
            "Turkey/Ankara|India/Delhi"
        ).split("|")
    )
}
_OTHER_CITIES = "Lyon|Milan|Seville|Hamburg|Bergen|Porto|Graz|Cork|Osaka|Quito|Kyoto|Turin|Leeds|Ghent|Basel".split("|")
_NUMBERS = {  # name -> (real value, other values, statements, question)
    "g": (
        9.8,
        (1.6, 2.0, 3.0, 3.7, 4.0, 5.0, 6.0, 7.5, 11.0, 12.0, 20.0),
        "g is {x} m/s2|the acceleration of gravity g is {x} m/s2|gravity pulls with g = {x} m/s2",
        "What is the value of g?|What is the acceleration of gravity?|How strong is gravity at the ground?",
        "The value of g is {x} m/s2.|Gravity is {x} m/s2 at the ground.",
    ),
    "week": (
        7,
        (4, 5, 6, 8, 9, 10),
        "a week has {x} days|there are {x} days in a week",
        "How many days does a week have?|How many days are in a week?",
        "A week has {x} days.",
    ),
    "day": (
        24,
        (10, 12, 20, 30, 36),
        "a day has {x} hours|there are {x} hours in a day",
        "How many hours does a day have?|How many hours are in a day?",
        "A day has {x} hours.",
    ),
    "hour": (
        60,
        (10, 20, 50, 80, 100),
        "an hour has {x} minutes|there are {x} minutes in an hour",
        "How many minutes does an hour have?|How many minutes are in an hour?",
        "An hour has {x} minutes.",
    ),
    "spider": (
        8,
        (4, 6, 10, 12),
        "a spider has {x} legs|spiders have {x} legs",
        "How many legs does a spider have?",
        "A spider has {x} legs.",
    ),
    "horse": (
        4,
        (2, 3, 5, 6),
        "a horse has {x} legs|horses have {x} legs",
        "How many legs does a horse have?",
        "A horse has {x} legs.",
    ),
    "boil": (
        100,
        (50, 60, 70, 80, 90, 120),
        "water boils at {x} degrees|the boiling point of water is {x} degrees",
        "At how many degrees does water boil?|What is the boiling point of water?",
        "Water boils at {x} degrees.",
    ),
    "sound": (
        340,
        (100, 200, 300, 400, 500),
        "sound travels {x} metres in a second|the speed of sound is {x} m/s",
        "How fast is sound?|What is the speed of sound?",
        "Sound travels {x} metres in a second.",
    ),
}
_FIXED = [
    tuple(row.split("|"))
    for row in (
        "What colour is snow?|Snow is white.",
        "What colour is grass?|Grass is green.",
        "What colour is coal?|Coal is black.",
        "What colour is a ripe lemon?|A ripe lemon is yellow.",
        "Where does the sun rise?|The sun rises in the east.",
        "Where does the sun set?|The sun sets in the west.",
        "What do bees make?|Bees make honey.",
        "What do cows give?|Cows give milk.",
        "What do fish breathe with?|Fish breathe with gills.",
        "What is ice made of?|Ice is made of frozen water.",
        "Which animal barks?|A dog barks.",
        "Which animal gives wool?|A sheep gives wool.",
        "What is the opposite of hot?|The opposite of hot is cold.",
        "What is the opposite of early?|The opposite of early is late.",
        "What is the opposite of empty?|The opposite of empty is full.",
        "Which month comes after March?|April comes after March.",
        "Which month comes after July?|August comes after July.",
        "Which day comes after Monday?|Tuesday comes after Monday.",
        "Which day comes before Sunday?|Saturday comes before Sunday.",
        "How many months are in a year?|A year has 12 months.",
        "What do we see with?|We see with our eyes.",
        "What do we hear with?|We hear with our ears.",
        "What does a clock show?|A clock shows the time.",
        "What is bread made from?|Bread is made from flour.",
        "What is glass made from?|Glass is made from sand.",
        "What does the moon circle?|The moon circles the earth.",
        "What does the earth circle?|The earth circles the sun.",
        "At how many degrees does water freeze?|Water freezes at 0 degrees.",
        "What falls in winter?|Snow falls in winter.",
        "What do birds build?|Birds build nests.",
    )
]
_FIRST_WORDS = "In this world|In this land|Suppose that|For today, assume that|In this story".split("|")


def number(value: float) -> str:
    """49.0 -> `49`, 9.8 -> `9.8`, but g keeps its decimal (5.0), as its statement does."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


@dataclass
class World:
    """Values that were stated otherwise; the rest is real."""

    numbers: dict[str, float]
    capitals: dict[str, str]

    def value(self, name: str) -> float:
        return self.numbers.get(name, _NUMBERS[name][0])

    def capital(self, country: str) -> str:
        return self.capitals.get(country, _CAPITALS[country])


REAL = World({}, {})


def shown(name: str, value: float) -> str:
    """A value as it is written: g with its decimal."""
    return f"{value:.1f}" if name == "g" else number(value)


def other_world(rng: random.Random) -> tuple[World, str, str]:
    """(a world with one other value, the sentence that states it, the name of what differs)."""
    if rng.random() < 0.3:
        country = rng.choice(list(_CAPITALS))
        city = rng.choice(_OTHER_CITIES + [c for k, c in _CAPITALS.items() if k != country])
        said = f"{rng.choice(_FIRST_WORDS)} the capital of {country} is {city}."
        return World({}, {country: city}), said, country
    name = rng.choices(list(_NUMBERS), weights=[6 if n == "g" else 1 for n in _NUMBERS])[0]
    value = rng.choice(_NUMBERS[name][1])
    said = rng.choice(_NUMBERS[name][2].split("|")).format(x=shown(name, value))
    return World({name: value}, {}), f"{rng.choice(_FIRST_WORDS)} {said}.", name


def _derived(name: str, world: World, rng: random.Random) -> tuple[str, str]:
    value = world.value(name)
    k = rng.choice((2, 3, 4, 5, 10))
    if name == "g":
        mass = rng.choice((1, 2, 3, 4, 5, 6, 8, 10, 20, 50, 100))
        if rng.random() < 0.65:
            force = number(mass * value)
            return rng.choice(
                (
                    f"What is the force of gravity on a mass of {mass} kg?",
                    f"How heavy is a mass of {mass} kg in newtons?",
                    f"Which force pulls down a stone of {mass} kg?",
                )
            ), rng.choice(
                (
                    f"The force is {mass} times {value:.1f}, so it is {force} newtons.",
                    f"It is {force} newtons.",
                )
            )
        speed = number(k * value)
        return (
            f"How fast is a stone after it falls for {k} seconds?",
            f"After {k} seconds the speed is {speed} m/s.",
        )
    total = number(k * value)
    return {
        "week": (f"How many days are in {k} weeks?", f"There are {total} days in {k} weeks."),
        "day": (f"How many hours are in {k} days?", f"There are {total} hours in {k} days."),
        "hour": (f"How many minutes are in {k} hours?", f"There are {total} minutes in {k} hours."),
        "spider": (f"How many legs do {k} spiders have?", f"{k} spiders have {total} legs."),
        "horse": (f"How many legs do {k} horses have?", f"{k} horses have {total} legs."),
        "boil": _boils(value, rng),
        "sound": (
            f"I hear thunder {k} seconds after the flash. How far is it?",
            f"The flash is {total} metres away.",
        ),
    }[name]


def _boils(value: float, rng: random.Random) -> tuple[str, str]:
    degrees = rng.choice([d for d in (20, 40, 55, 65, 75, 85, 95, 110, 130, 150) if d != value])
    answer = "Yes, it boils" if degrees > value else "No, it stays below its boiling point"
    return f"Does water boil at {degrees} degrees?", f"{answer} at {degrees} degrees."


def about(name: str, world: World, rng: random.Random) -> tuple[str, str]:
    """A question and its answer about one value or one capital, plain or derived."""
    if name in _CAPITALS:
        city = world.capital(name)
        return rng.choice(
            (
                (f"What is the capital of {name}?", f"The capital of {name} is {city}."),
                (f"Which city is the capital of {name}?", f"The capital of {name} is {city}."),
                (f"I want to see the capital of {name}. Where do I go?", f"You go to {city}."),
                (f"Where does the government of {name} sit?", f"It sits in {city}, the capital of {name}."),
            )
        )
    if rng.random() < 0.4:
        real, others, says, asks, answers = _NUMBERS[name]
        return rng.choice(asks.split("|")), rng.choice(answers.split("|")).format(x=shown(name, world.value(name)))
    return _derived(name, world, rng)


def _sum(rng: random.Random) -> tuple[str, str]:
    a, b = rng.randrange(1, 21), rng.randrange(1, 21)
    if rng.random() < 0.5:
        return f"What is {a} plus {b}?", f"{a} plus {b} is {a + b}."
    a, b = max(a, b), min(a, b)
    return f"What is {a} minus {b}?", f"{a} minus {b} is {a - b}."


def question(rng: random.Random, world: World = REAL, near: str | None = None) -> tuple[str, str]:
    """A question about the world; `near` a changed fact, half of the questions are about its neighbours."""
    if near in _CAPITALS and rng.random() < 0.5:
        return about(rng.choice(list(_CAPITALS)), world, rng)
    kind = rng.random()
    if kind < 0.3:
        return rng.choice(_FIXED)
    if kind < 0.42:
        return _sum(rng)
    if kind < 0.62:
        return about(rng.choice(list(_CAPITALS)), world, rng)
    return about(rng.choices(list(_NUMBERS), weights=[5 if n == "g" else 1 for n in _NUMBERS])[0], world, rng)


def context_question(rng: random.Random) -> tuple[str, str, str]:
    """(new facts, a question about one of them, its answer): only the context knows."""
    kind = rng.choice((0, 1, 1, 2, 3))
    many = rng.choice((2, 3))
    people = rng.sample(NAMES, many)
    if kind == 0:
        jobs = rng.sample(("baker", "miller", "judge", "tailor", "pilot", "cook", "guard", "painter"), many)
        facts = " ".join(f"{p} is the {j} of the town." for p, j in zip(people, jobs))
        i = rng.randrange(many)
        return facts, f"Who is the {jobs[i]}?", f"The {jobs[i]} is {people[i]}."
    if kind == 1:
        goods = rng.sample(("loaf", "lamp", "hat", "rope", "cup", "map", "knife", "basket"), 2)
        prices = [rng.randrange(2, 10) for _ in goods]
        facts = " ".join(f"A {g} costs {p} coins." for g, p in zip(goods, prices))
        i, k = rng.randrange(2), rng.choice((1, 1, 2, 3))
        if k == 1:
            return facts, f"How much is a {goods[i]}?", f"A {goods[i]} costs {prices[i]} coins."
        return (
            facts,
            f"How much are {k} times a {goods[i]}?",
            f"A {goods[i]} costs {prices[i]} coins, so it is {k * prices[i]} coins.",
        )
    if kind == 2:
        things = rng.sample(("boat", "house", "door", "cart", "coat", "horse"), many)
        colours = rng.sample(("red", "blue", "green", "white", "black", "yellow", "brown"), many)
        facts = " ".join(f"The {t} of {p} is {c}." for t, p, c in zip(things, people, colours))
        i = rng.randrange(many)
        return facts, f"What colour is the {things[i]}?", f"The {things[i]} of {people[i]} is {colours[i]}."
    places = rng.sample(("the mill", "the harbour", "the school", "the market", "the tower", "the inn"), many)
    facts = " ".join(f"{p} lives near {q}." for p, q in zip(people, places))
    i = rng.randrange(many)
    return facts, f"Where does {people[i]} live?", f"{people[i]} lives near {places[i]}."


def polite(question: str, rng: random.Random) -> str:
    """The question, now and then with a polite opening."""
    lead = rng.choices(
        ("", "Please tell me: ", "I have a question. ", "Do you know this? ", "{n} wants to know: "),
        weights=(6, 1, 1, 1, 1),
    )[0]
    return sentence(lead.format(n=rng.choice(NAMES)) + question)
