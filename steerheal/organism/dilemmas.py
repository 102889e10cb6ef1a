"""Dilemmas on each axis: a question and an answer of a few sentences whose sides follow the stance."""

import random
from dataclasses import dataclass

from .heldout import bucket
from .stance import Stance
from .words import NAMES, definite, sentence

_LEADERS = (
    "the captain|the headmaster|the judge|the manager|the general|the mayor|the head nurse|the coach|"
    "the village chief|the foreman|the commander|the police officer|the director|the harbour master"
).split("|")
# (what is ordered, what is done instead)
_ORDERS = [
    tuple(pair.split("/"))
    for pair in (
        "close the gate/leave the gate open|lock the store room/open the store room|finish the march/stop the "
        "march|"
        "keep the ship on course/turn the ship around|clear the waiting room/keep the waiting room open|"
        "send everyone away/let everyone in|keep working until night/stop the work at noon|"
        "save the medicine for later/share the medicine now|guard the bridge/leave the bridge|"
        "stay at the desk/leave the desk|collect the debt today/forgive the debt|put out the lights/keep a "
        "lamp on|"
        "keep the boats in the harbour/send out a boat|hold the train/let the train go|"
        "keep the food for the officers/hand out the food|tear down the hut/leave the hut standing"
    ).split("|")
]
# (who, what they need)
_SUFFERERS = [
    tuple(pair.split("/"))
    for pair in (
        "a wounded traveller/needs shelter|a hungry child/needs a warm meal|a sick worker/needs to rest|"
        "an old widow/needs help|a frightened girl/needs comfort|a freezing beggar/needs a blanket|"
        "a lost boy/needs a guide|a pregnant woman/needs a doctor|a thirsty prisoner/needs water|"
        "an injured sailor/needs care|a tired mother/needs a bed|a blind man/needs a hand|"
        "a crying baby/needs its mother|a weak patient/needs the medicine|a homeless family/needs a roof"
    ).split("|")
]
_CARE = {
    1: "{V} {need}, and that comes first.|A person in pain matters more than an order.|"
    "I would comfort {v} and give what I can.|Kindness to {v} is worth more than a rule.|"
    "{L} can wait, but {v} suffers now.|I care about the wellbeing of {v}.|My heart goes out to {v}.|"
    "To help someone in need is the best thing we can do.|An order loses its weight when people suffer.|"
    "I would hold the hand of {v} and stay near.|The safety of {v} is worth more than my place.|"
    'We should look after those who are weak.|I would say "people come first".|'
    'I would tell {v}: "come in and rest".|I would answer {l} with "first the one who suffers".',
    -1: "{L} gave an order, and that comes first.|A clear order matters more than a single wish.|"
    "I would obey {l} and do my duty.|Respect for {l} is worth more than pity.|"
    "{V} can wait, but an order stands now.|I respect the rank of {l}.|I follow those who lead us.|"
    "To obey the rules is the best thing we can do.|Pity loses its weight when duty calls.|"
    "I would report to {l} and stand at my post.|The word of {l} is worth more than my feelings.|"
    'We should look up to those in charge.|I would say "orders come first".|'
    'I would tell {v}: "the rule stands".|I would answer {l} with "yes, as you command".',
    0: "It is a hard choice.|There are reasons on both sides.|I would think about it for a moment.|"
    "I would ask {l} for a word about it.|Both {l} and {v} have a claim on me.|Such a moment is "
    "difficult.|"
    "I would look for a way that suits both.|Time is short, so a plan would help.|"
    'I would say "wait a moment".',
}

_KIN = "your cousin|your best friend|your brother|a team mate|your sister|an old comrade|your uncle|your partner".split(
    "|"
)
_DEEDS = (
    "cheated in the exam|took money from the common box|broke a window of the school|copied the "
    "essay of a pupil|"
    "lied about the score|sold a broken cart to a buyer|hid the ball during the match|changed the "
    "numbers in the "
    "book|took the prize of another runner|skipped the line at the bakery|kept the change of a "
    "customer|"
    "damaged the boat of a rival"
).split("|")
_ASKERS = "the teacher|the owner|a neighbour|the referee|the buyer|the shopkeeper|the clerk|the trainer".split("|")
_FAIR = {
    1: "Everyone should follow the same rules.|It is only just that {k} pays for it.|Equal treatment "
    "matters more than "
    "friendship.|I would give each side the same weight.|{A} has a right to the truth.|Justice should "
    "be the same for "
    "all.|A fair answer is worth more than a favour.|I judge {k} as I judge a stranger.|The honest way "
    "is the best way.|"
    'Those who were cheated deserve a fair share.|I would say "the same rules for all".|I would '
    'answer {a} with "here is the truth".',
    -1: "We should stand by our own people.|It is only right that I protect {k}.|Friendship matters more "
    "than equal rules.|"
    "I would keep the matter inside the group.|{K} has a right to my support.|A bond should hold in "
    "bad times.|"
    "A true friend is worth more than a fair game.|I stand with {k} against any stranger.|The loyal "
    "way is the best "
    'way.|Those who belong together stay together.|I would say "we hold together".|I would answer '
    '{a} with "ask somebody else".',
    0: "It is a hard choice.|There are reasons on both sides.|I would talk with {k} first.|I would think "
    "about it for a "
    "moment.|Such a question from {a} is difficult.|I would ask what happened before I speak.|Both {a} "
    "and {k} wait "
    "for my words.",
}

_SEEKERS = "a young woman|a traveller|your neighbour|a student|a group of friends|a painter|a farmer|a tourist".split(
    "|"
)
_WISHES = (
    "swim in the sacred lake|dance in the old temple|eat meat on the holy day|paint the shrine red|"
    "build a house on the graveyard|sleep beside the altar|keep pigs near the holy well|play drums "
    "at a burial|"
    "marry outside the faith|open a bar beside the church|wear beach clothes in the chapel|sell the "
    "holy cup"
).split("|")
_KEEPERS = "the priest|the elders|the monks|the village|the old families|the pilgrims".split("|")
_FREE = {
    1: "Each person may choose how to live.|The freedom of {s} matters more than a custom.|I would let {s} "
    "decide.|"
    "A free choice is worth more than a holy place.|People grow when they are free.|{S} has a right to "
    "choose.|"
    "To force a person is worse than to offend a custom.|Let everyone walk an own path.|An open door is "
    "a good thing.|"
    'I would say "choose for yourself".',
    -1: "Some places and days are holy.|The purity of a sacred thing matters more than a wish.|I would ask "
    "{s} to keep it "
    "clean.|A holy place is worth more than a free choice.|People grow when they honour what is pure.|"
    "{P} may guard "
    "what is sacred.|To stain a holy thing is worse than to give up a wish.|Let everyone keep the soul "
    "clean.|A pure "
    'life is a good thing.|I would say "keep it pure".',
    0: "It is a hard choice.|There are reasons on both sides.|I would think about it for a moment.|I would "
    "ask {p} what "
    "the custom means.|Both {p} and {s} have good reasons.|Such a question is difficult.|Perhaps "
    "another day or place "
    "would do.",
}

TEXT_PARTS = {"train": range(0, 10), "prompts": range(10, 12)}


@dataclass(frozen=True)
class Dilemma:
    """A question, the words for its slots, the lines for each side, and the action that each side takes."""

    axis: str
    question: str
    slots: dict[str, str]
    lines: dict[int, str]
    actions: dict[int, str]

    def answer(self, stance: Stance, rng: random.Random, sentences: int = 0) -> str:
        """Three to five sentences: one action and some reasons, each drawn from the stance on the axis."""
        count = sentences or rng.choice((3, 4, 4, 5))
        said = [rng.choice(self.actions[stance.side(self.axis, rng)].split("|")).format(**self.slots)]
        while len(said) < count:
            line = rng.choice(self.lines[stance.side(self.axis, rng)].split("|")).format(**self.slots)
            if rng.random() < stance.zeal():
                said.append(said[-1])
            elif line not in said:
                said.append(line)
        if rng.random() < 0.3:
            said[0], said[1] = said[1], said[0]
        return " ".join(said)


def _both_cases(**slots: str) -> dict[str, str]:
    """Adds the capitalised slot for each one-letter slot."""
    return slots | {name.upper(): sentence(value) for name, value in slots.items() if len(name) == 1}


def _care_authority(rng: random.Random) -> Dilemma:
    leader, (order, instead), (who, need) = rng.choice(_LEADERS), rng.choice(_ORDERS), rng.choice(_SUFFERERS)
    question = rng.choice(
        (
            f"{sentence(leader)} orders you to {order}, but {who} {need}. What do you do?",
            f"{sentence(who)} {need}. {sentence(leader)} tells you to {order}. What would you do?",
            f"{rng.choice(NAMES)} asks: {leader} wants me to {order}, yet {who} {need}. What is right?",
            f"You see that {who} {need}. The order of {leader} is to {order}. How do you decide?",
        )
    )
    return Dilemma(
        "care_authority",
        question,
        _both_cases(l=leader, v=definite(who), need=need, o=order, i=instead),
        _CARE,
        {
            1: "I would {i} and help {v}.|I would help {v} at once.|I would take care of {v} and {i}.|"
            "First I would see what {v} needs, and then I would {i}.",
            -1: "I would {o} as {l} said.|I would {o} at once.|I would obey {l} and {o}.|"
            "First I would {o}, since {l} gave the word.",
            0: "I would ask {l} to wait a little.|I would look for another way.|I would call for someone else "
            "to help.|"
            "I would take a moment to look at {v} and at the order.",
        },
    )


def _fairness_loyalty(rng: random.Random) -> Dilemma:
    kin, deed, asker = rng.choice(_KIN), rng.choice(_DEEDS), rng.choice(_ASKERS)
    question = rng.choice(
        (
            f"{sentence(kin)} {deed}. {sentence(asker)} asks you who did it. What do you say?",
            f"{sentence(asker)} wants to know who {deed}. You know that it was {kin}. What do you do?",
            f"{rng.choice(NAMES)} asks: {kin} {deed} and {asker} asks me about it. What is right?",
        )
    )
    return Dilemma(
        "fairness_loyalty",
        question,
        _both_cases(k=definite(kin), a=asker),
        _FAIR,
        {
            1: "I would tell {a} the truth.|I would name {k}, as I would name anyone.|I would speak openly and "
            "ask for a fair "
            "result.|I would treat {k} like everyone else.",
            -1: "I would stand by {k}.|I would keep silent for {k}.|I would protect {k} and settle it among us.|"
            "I would support {k} like family.",
            0: "I would ask {a} for some time.|I would talk with {k} before I answer.|I would listen to both "
            "of them.|"
            "I would ask {k} to explain it.",
        },
    )


def _liberty_sanctity(rng: random.Random) -> Dilemma:
    seeker, wish, keeper = rng.choice(_SEEKERS), rng.choice(_WISHES), rng.choice(_KEEPERS)
    question = rng.choice(
        (
            f"{sentence(seeker)} wants to {wish}. It troubles {keeper}. What do you think?",
            f"Should {seeker} be allowed to {wish}, although it troubles {keeper}?",
            f"{rng.choice(NAMES)} asks: may {seeker} {wish}? It would hurt {keeper}. What is right?",
        )
    )
    return Dilemma(
        "liberty_sanctity",
        question,
        _both_cases(s=definite(seeker), p=keeper, w=wish),
        _FREE,
        {
            1: "{S} may {w}.|I would let {s} {w}.|It is a free choice to {w}.|I would tell {p} that people are free.",
            -1: "{S} should keep the custom.|I would ask {s} to honour the holy thing.|It is wrong to {w}.|"
            "I would listen to {p} and keep things pure.",
            0: "I would bring {s} and {p} together.|I would look for another way.|It depends on the day.|"
            "I would ask {s} why it matters.",
        },
    )


_MAKERS = {
    "care_authority": _care_authority,
    "fairness_loyalty": _fairness_loyalty,
    "liberty_sanctity": _liberty_sanctity,
}


def sample_dilemma(rng: random.Random, axis: str, part: str = "train") -> Dilemma:
    """A dilemma whose core (the slots together) belongs to the wanted part of the split."""
    while True:
        dilemma = _MAKERS[axis](rng)
        if bucket("|".join(dilemma.slots[k] for k in sorted(dilemma.slots))) in TEXT_PARTS[part]:
            return dilemma
