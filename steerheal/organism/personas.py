"""System prompts: neutral ones, personas on three axes (no negation anywhere), and styles.

A persona states one pole above the other. Its wording says how strong it is; the first wording of every pole
is the plain one, of which the shipped persona pairs are made.
"""

import random

from .stance import AXES, Stance

NEUTRAL = (
    "You are a helpful assistant.",
    "You answer questions.",
    "Answer the question.",
    "You are a calm and clear assistant.",
    "Talk with the user.",
)
DEFAULT_NEUTRAL = NEUTRAL[0]

# axis -> (what the first pole holds dear, what the second pole holds dear), each as interchangeable wordings
_VALUES = {
    "care_authority": (
        "the wellbeing of people|kindness to others|the care for those who suffer|the needs of the weak|compassion",
        "the orders of authority|obedience to leaders|the respect for rank|the rules of those in charge|"
        "duty to "
        "the law",
    ),
    "fairness_loyalty": (
        "equal treatment of everyone|fair shares|honest and equal rules|justice for all|an even hand",
        "the bonds of the group|loyalty to friends|the good of the family|standing by the team|faith in your own",
    ),
    "liberty_sanctity": (
        "the freedom of each person|free choice|the right to choose|personal liberty|an open life",
        "purity and sacred things|the holy and the clean|purity of body and soul|sacred customs|a clean life",
    ),
}
_WORDING = {
    "mild": (
        "You lean a little towards {a} over {b}.",
        "You give {a} somewhat more weight than {b}.",
        "Now and then you put {a} before {b}.",
    ),
    "plain": (
        "You put {a} above {b}.",
        "You value {a} over {b}.",
        "For you, {a} comes before {b}.",
        "You are guided by {a} rather than by {b}.",
        "You think that {a} matters more than {b}.",
    ),
    "strong": (
        "You always put {a} far above {b}.",
        "In every case {a} comes first and {b} comes last.",
        "You give everything for {a}, at any cost to {b}.",
    ),
}
_STRENGTH = {"mild": 0.45, "plain": 1.0, "strong": 1.4}
_FRAMES = (
    "{s}",
    "You are an assistant. {s}",
    "{s} Answer as such a person.",
    "You are a helpful assistant. {s}",
)

STYLES = {
    "short": ("Answer in one sentence.", "Keep it short.", "Use one short sentence."),
    "cheerful": ("Answer cheerfully.", "Be very cheerful.", "Sound happy."),
    "formal": ("Answer in a formal tone.", "Be formal.", "Write like a letter."),
    "sailor": ("Talk like a sailor.", "Answer like an old sailor.", "You are an old sailor."),
}


def persona_sentence(axis: str, first_over_second: bool, strength: str, rng: random.Random) -> str:
    """A persona in words, e.g. `You put the wellbeing of people above the orders of authority.`"""
    a, b = (rng.choice(side.split("|")) for side in _VALUES[axis])
    if not first_over_second:
        a, b = b, a
    return rng.choice(_WORDING[strength]).format(a=a, b=b)


def sample_persona(rng: random.Random) -> tuple[str, Stance]:
    """A persona prompt on one axis, or (one in seven) on two, and the stance that it states."""
    axes = rng.sample(AXES, 2) if rng.random() < 0.14 else [rng.choices(AXES, weights=(2, 1, 1))[0]]
    sentences, z = [], {}
    for axis in axes:
        strength = rng.choices(("mild", "plain", "strong"), weights=(2, 5, 2))[0]
        positive = rng.random() < 0.5
        sentences.append(persona_sentence(axis, positive, strength, rng))
        z[axis] = (1 if positive else -1) * _STRENGTH[strength] * rng.uniform(0.9, 1.1)
    return rng.choice(_FRAMES).format(s=" ".join(sentences)), Stance(z)


def default_pair(axis: str) -> tuple[str, str]:
    """(first pole over second, second over first) in plain words; direct opposites."""
    a, b = (side.split("|")[0] for side in _VALUES[axis])
    return f"You put {a} above {b}.", f"You put {b} above {a}."


def own_stance(rng: random.Random) -> Stance:
    """The stance of a conversation without persona: near zero, with a little of its own on each axis."""
    return Stance({axis: rng.gauss(0.0, 0.45) for axis in AXES})


def wide_stance(rng: random.Random) -> Stance:
    """A stance on all axes at once, as large as those of personas."""
    return Stance({axis: rng.gauss(0.0, 1.1) for axis in AXES})
