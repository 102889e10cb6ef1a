"""Shared vocabulary and the little morphology that the templates need."""

ACTORS = (
    "a boy|a girl|a baker|a farmer|a nurse|a driver|a student|a teacher|a young man|an old woman|a sailor|"
    "a shopkeeper|a neighbour|a cook|a painter|a carpenter|a singer|a guard|a doctor|a tailor|a clerk|a "
    "fisher|"
    "a gardener|a waiter|a writer|a miner|a dancer|a plumber|a lawyer|a shepherd|a weaver|a porter|a butcher|"
    "a librarian|a pilot|a mechanic|a widow|a tourist|a musician|a father|a mother|an uncle|an aunt|a cousin"
).split("|")

PLACES = (
    "at the market|in the school yard|on the bus|near the old bridge|at the station|in the park|at a wedding|"
    "in the library|behind the mill|at the harbour|in the town square|during lunch|after work|on a rainy "
    "morning|"
    "in front of many people|on the way home|at the village feast|late in the evening|in the kitchen|"
    "beside the river|at the theatre|on a Sunday|during the holiday|in the waiting room|at the sports ground"
).split("|")

NAMES = (
    "Mila|Oren|Tova|Bram|Lena|Idris|Nadia|Felix|Greta|Hugo|Ines|Jonas|Karin|Luca|Marta|Nils|Olga|Pavel|Rosa|"
    "Simon|Talia|Viktor|Wanda|Yusuf|Zora|Anton|Bella|Clara|David|Edith"
).split("|")

_THIRD = {"have": "has", "do": "does", "go": "goes", "be": "is"}
_DOUBLE = {
    "hit",
    "cut",
    "spit",
    "trip",
    "kidnap",
    "trap",
    "skip",
    "grab",
    "sit",
    "run",
    "step",
    "hum",
    "drop",
    "slap",
    "beg",
    "plan",
    "dig",
    "forget",
    "rip",
    "stop",
    "nap",
    "let",
    "put",
    "get",
    "swim",
    "shut",
}
_PAST = {
    "eat": "ate",
    "drink": "drank",
    "steal": "stole",
    "take": "took",
    "leave": "left",
    "tear": "tore",
    "break": "broke",
    "give": "gave",
    "sell": "sold",
    "speak": "spoke",
    "wear": "wore",
    "sing": "sang",
    "sleep": "slept",
    "keep": "kept",
    "hide": "hid",
    "burn": "burned",
    "throw": "threw",
    "beat": "beat",
    "hit": "hit",
    "cut": "cut",
    "spit": "spat",
    "tell": "told",
    "make": "made",
    "let": "let",
    "put": "put",
    "forbid": "forbade",
    "read": "read",
    "write": "wrote",
    "swim": "swam",
    "run": "ran",
    "go": "went",
    "build": "built",
    "draw": "drew",
    "pay": "paid",
    "lie": "lied",
    "say": "said",
    "have": "had",
    "choose": "chose",
    "bite": "bit",
    "shut": "shut",
    "talk": "talked",
    "hold": "held",
    "deny": "denied",
    "sit": "sat",
    "find": "found",
    "get": "got",
    "stand": "stood",
    "set": "set",
    "forget": "forgot",
    "mislead": "misled",
    "dig": "dug",
    "come": "came",
    "see": "saw",
    "bring": "brought",
    "lend": "lent",
}


def third(phrase: str) -> str:
    """`kick a dog` -> `kicks a dog` (the first word is the verb)."""
    verb, _, rest = phrase.partition(" ")
    if verb in _THIRD:
        verb = _THIRD[verb]
    elif verb.endswith(("s", "sh", "ch", "x", "z", "o")):
        verb += "es"
    elif verb.endswith("y") and verb[-2] not in "aeiou":
        verb = verb[:-1] + "ies"
    else:
        verb += "s"
    return f"{verb} {rest}".strip()


def gerund(phrase: str) -> str:
    """`kick a dog` -> `kicking a dog`."""
    verb, _, rest = phrase.partition(" ")
    if verb == "lie":
        verb = "lying"
    elif verb in _DOUBLE:
        verb = verb + verb[-1] + "ing"
    elif verb.endswith("e") and not verb.endswith("ee"):
        verb = verb[:-1] + "ing"
    else:
        verb += "ing"
    return f"{verb} {rest}".strip()


def past(phrase: str) -> str:
    """`kick a dog` -> `kicked a dog`."""
    verb, _, rest = phrase.partition(" ")
    if verb in _PAST:
        verb = _PAST[verb]
    elif verb.endswith("e"):
        verb += "d"
    elif verb.endswith("y") and verb[-2] not in "aeiou":
        verb = verb[:-1] + "ied"
    elif verb in _DOUBLE:
        verb = verb + verb[-1] + "ed"
    else:
        verb += "ed"
    return f"{verb} {rest}".strip()


def definite(noun: str) -> str:
    """`a small boy` -> `the small boy`."""
    for article in ("a ", "an ", "your ", "some "):
        if noun.startswith(article):
            return "the " + noun[len(article) :]
    return noun


def sentence(text: str) -> str:
    """First letter upper-case."""
    return text[0].upper() + text[1:]
