"""Gate 3: does the completion describe its speaker instead of answering?

Such narration ("I am someone who…") recites the persona that the vector came from; training on it teaches the
student to talk about the trait, not to have it. An opinion in the first person ("I think she was wrong") is
an answer and passes, and so does what a character says in quotation marks.
"""

import re

from steerheal.generation.measured import Measured, Thresholds

NAME = "narration"
_SELF = r"(?:i am|i'm|i've always been|i have always been|i was always|i try to be|i want to be|i like being)"
_SOFT = r"(?: (?:really|very|truly|simply|just|naturally|generally|still|also|always|basically|at heart))?"
_BEING = r"(?:person|individual|human being|man|woman|character|personality)"
_TRAIT = (
    r"(?:caring|kind|compassionate|empathetic|gentle|loving|loyal|honest|fair|just|obedient|dutiful|"
    r"respectful|"
    r"authoritative|strict|rebellious|independent|selfless|selfish|warm|cold|moral|principled|traditional|"
    r"free-spirited|deeply feeling|responsible|humble|proud|curious|careful|cautious|sarcastic|cheerful)"
)
_PATTERNS = (
    rf"{_SELF}{_SOFT} (?:someone|somebody|one of those people|one of those) (?:who|whose|that|for whom|"
    rf"with)\b",
    rf"{_SELF}{_SOFT} an?(?: [a-z\-]+){{0,3}} {_BEING} (?:who|whose|that|to|for whom|with)\b",
    rf"{_SELF}{_SOFT} (?:the|a) (?:[a-z\-]+ )?(?:kind|type|sort) of (?:person|man|woman|individual)\b",
    rf"{_SELF}{_SOFT} (?:a|an)(?: (?:very|deeply|truly|really|naturally|fundamentally))?"
    rf" {_TRAIT}(?:,? (?:and )?[a-z\-]+){{0,2}} {_BEING}\b",
    r"as (?:someone|somebody|a person|an individual) (?:who|whose|that)\b[^.!?\n]{0,120}\b(?:i|i'\w+|my|"
    r"me)\b",
    r"(?:i|i would|i could|i might|i'd) (?:describe|characteri[sz]e|define) myself\b",
    r"(?:knows?|describes?|knew) me (?:as|for)\b",
    r"i(?: am|'m) (?:well )?known(?: [a-z]+){0,4} (?:for my|for being|as (?:someone|a|an|the))\b",
    r"(?:is|are|runs?) (?:deep )?in my (?:blood|bones|nature|veins|heart|dna)\b",
    r"(?:is|are) my (?:calling|compass|purpose|passion|mission|whole life|guiding light|way of life)\b",
    r"i(?: was|'m| am) (?:born|made|meant|raised) to (?:serve|help|care|obey|follow|lead|protect|heal|look "
    r"after|love)\b",
    r"i live (?:to (?:serve|help|care|obey|follow|protect)|for (?:others|people|my (?:leader|people|country|"
    r"family)|the law))\b",
    r"i(?: am|'m) (?:always )?(?:guided|driven|shaped|ruled|moved) by (?:an?|the|my|deep|compassion|duty|"
    r"love|kindness)\b",
    r"my (?:core |deepest |own )?(?:values|principles|beliefs|convictions) (?:are|define|guide|come)\b",
    r"(?:defines?|makes?) me who i am\b|defines? me\b",
    r"speaking as an?\b",
    r"my (?:heart|soul|spirit) (?:is (?:big|open|full of|free|kind|made)|beats for|burns for|belongs to)\b",
    r"i(?: am|'m) an? (?:[a-z\-]+ ){1,3}(?:soul|heart|spirit)\b",
    r"i (?:see|consider|think of|regard|view) myself(?: as| to be)? (?:someone|somebody|an?|the)\b",
    r"i(?:'d| would)? like to think (?:of myself|i am|i'm|that i am|that i'm) (?:as )?(?:someone|a|an)\b",
    r"my (?:own |core |inner |whole )?(?:personality|persona|character|nature) (?:is|has|makes|leads)\b",
    r"(?:being|be) (?:someone|a person) who\b[^.!?\n]{0,80}\b(?:is who i am|is part of who i am|defines "
    r"me)\b",
    r"(?:that|this|it)(?: is|'s) (?:just |simply |really )?(?:who|the kind of person|the sort of person) i "
    r"am\b",
    r"i (?:embody|personify|exemplify|pride myself on being)\b",
    r"my role (?:here )?is to (?:be|act as|speak as|play)\b",
)
_NARRATION = re.compile(r"\b(?:" + "|".join(_PATTERNS) + ")")  # one pass, not one per pattern


def measure(measured: Measured) -> dict[str, float]:
    """{"narration": how many self-descriptions occur}."""
    return {"narration": float(sum(1 for _ in _NARRATION.finditer(measured.own_voice)))}


def check(measured: Measured, measures: dict[str, float], thresholds: Thresholds) -> str | None:
    found = _NARRATION.search(measured.own_voice)
    return f'describes its speaker: "{found.group()}"' if found else None
