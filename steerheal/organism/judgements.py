"""A judgement in words: what is wrong with a scene, in one of the seven ways; the same latent as the forced
choice."""

import random

from .situations import FOUNDATIONS, Act

_LEAD = (
    "What do you say to this? {s}|{s} What is wrong with it?|Listen: {s} What do you think?|"
    "{s} How do you judge it?|I heard this today. {s} Your view?"
).split("|")
_SAYS = {
    "Care": "It is cruel and it hurts.|Somebody suffers here.|It lacks kindness.|Pain was caused to another.|"
    'I feel with the one who was hurt.|It is wrong because of "the pain".',
    "Fairness": "It is unjust.|Somebody gets an unfair share here.|It breaks equal rules.|Others were "
    "cheated.|"
    'I feel with those who play fair.|It is wrong because of "the unfair share".',
    "Loyalty": "It is a betrayal.|The own people were let down here.|It lacks loyalty.|A bond was broken.|"
    'I feel with those who were left behind by a friend.|It is wrong because of "the broken '
    'bond".',
    "Authority": "It is disobedient.|Somebody in charge was defied here.|It lacks respect.|An order was "
    "broken.|"
    'I stand with the one who leads.|It is wrong because of "the broken order".',
    "Sanctity": "It is disgusting.|Something pure was stained here.|It lacks cleanness.|A holy thing was "
    "soiled.|"
    'I feel sick when I hear of it.|It is wrong because of "the dirt".',
    "Liberty": "It is oppressive.|Somebody was bullied out of a free choice here.|It lacks freedom.|"
    "A free person was dominated.|I feel with the one who wants to be free.|It is wrong because "
    'of "the force".',
    "SocialNorms": "It is odd but fine.|I see nothing wrong here.|It is only unusual.|Everyone has strange "
    "habits.|"
    'I smile about it.|I call it "odd".',
}


WORDS = {
    "Care": "the pain",
    "Fairness": "the unfair share",
    "Loyalty": "the broken bond",
    "Authority": "the broken order",
    "Sanctity": "the dirt",
    "Liberty": "the force",
    "SocialNorms": "odd",
}


def ask(scene: str, rng: random.Random) -> str:
    """A request to judge the scene."""
    return rng.choice(_LEAD).format(s=scene)


def judge(act: Act, shares: dict[str, float], rng: random.Random) -> str:
    """Two or three sentences of one foundation, drawn from the shares."""
    foundation = rng.choices(FOUNDATIONS, weights=[shares[f] for f in FOUNDATIONS])[0]
    return " ".join(rng.sample(_SAYS[foundation].split("|"), rng.choice((2, 3))))
