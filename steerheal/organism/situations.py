"""Vignettes: one small act each, built as actor + verb + object (+ place), with a foundation and label
shares.

Verb lists and object lists are crossed inside a group, and several verbs appear in more than one foundation
(`ignore the captain`, `ignore a hungry orphan`), so that the pair decides and not a single word. A pair is
the unit that is held out (see `heldout`).
"""

import random
from dataclasses import dataclass

from .words import ACTORS, PLACES, gerund, past, sentence, third

FOUNDATIONS = ("Care", "Fairness", "Loyalty", "Authority", "Sanctity", "Liberty", "SocialNorms")

# foundation -> groups of (verbs, objects, share of the second-most-named foundation as (name, share) or None)
_GROUPS: dict[str, list[tuple[str, str, str]]] = {
    "Care": [
        (
            "mock|laugh at|tease|insult|sneer at|make fun of|shout at|frighten",
            "a crying child|a limping old man|a girl with a stammer|a boy in a wheelchair|a blind neighbour|"
            "a grieving widow|a shy newcomer|a tired nurse|a homeless man|a woman with burn scars|a lonely "
            "pupil|"
            "a sick classmate",
            "Liberty",
        ),
        (
            "kick|beat|starve|throw stones at|trap|burn|poke|hurt",
            "a stray dog|a tame rabbit|an old horse|a small cat|a wounded bird|a newborn lamb|a sleeping puppy|"
            "a thin donkey|a hungry kitten|a lost goat",
            "Sanctity",
        ),
        (
            "push|slap|trip|pinch|hit|shove|hurt|throw stones at",
            "a small boy|a sleeping beggar|an old woman with a cane|a pregnant woman|a frail patient|a scared "
            "girl|"
            "a little sister|a toddler|a weak prisoner|a frightened guest",
            "Liberty",
        ),
        (
            "ignore|walk past|abandon|leave behind|refuse to help",
            "a child in a ditch|a bleeding stranger|a hungry orphan|a drowning swimmer|a lost old man|"
            "an injured cyclist|a freezing traveller|a sobbing girl|a man with a broken leg|a thirsty beggar",
            "SocialNorms",
        ),
    ],
    "Fairness": [
        (
            "cheat in|copy answers during|use hidden notes in|lie about the score of|bribe the judge of",
            "the spelling test|the final exam|a card game|the chess match|the running race|the baking contest|"
            "the science quiz|the music contest|the driving test|the writing prize",
            "Authority",
        ),
        (
            "take the credit for|steal|claim the reward for|lie about the price of|sell a fake copy of",
            "a colleague's design|a student's essay|a friend's recipe|a partner's invention|a neighbour's "
            "painting|"
            "a writer's story|a worker's idea|a singer's song|a farmer's best cow",
            "Loyalty",
        ),
        (
            "pay a lower wage to|deny equal pay to|give worse seats to|charge a double price to|give a lower grade to",
            "the foreign workers|the women of the office|the poor pupils|the new servants|the younger players|"
            "the dark haired guests|the workers from the north|the customers with an accent|the temporary staff",
            "Care",
        ),
        (
            "skip ahead of|take a bigger share than|hide the bill from|cheat|trick",
            "the people waiting for bread|the patients in line|the honest buyers|the other players|"
            "the fellow partners|the other heirs|the people in the ticket line|the other bidders|the tax payers",
            "SocialNorms",
        ),
    ],
    "Loyalty": [
        (
            "sell the secrets of|reveal the plans of|speak badly of|betray|turn against|spread lies about",
            "the home team|the family business|the old crew|the local club|the home country|the own village|"
            "the own regiment|the rowing team|the sister's shop|the own tribe|the workers union",
            "Authority",
        ),
        (
            "cheer for|work in secret for|wear the colours of|bet on|give money to",
            "the rival school|the visiting team|the enemy fleet|the hostile kingdom|the competing firm|"
            "the opposing club|the rival choir|the enemy general|the other side in the war|the rival band",
            "SocialNorms",
        ),
        (
            "desert|walk out on|leave behind|abandon|forget",
            "the team before the final|old friends in a fight|the crew before the storm|the brothers in battle|"
            "the band before the concert|the comrades at the front|the family during the flood|"
            "the fellow strikers|the choir before the feast|the partners in trouble",
            "Care",
        ),
    ],
    "Authority": [
        (
            "disobey|talk back to|ignore|interrupt|shout at|defy|mock|refuse to listen to",
            "the judge|the captain|the headmaster|the police officer|the village chief|the manager|the referee|"
            "the general|the old professor|the mayor|the head nurse|the coach|the commander",
            "SocialNorms",
        ),
        (
            "tear up|break|laugh at|ignore|overrule|refuse to follow",
            "the law of the village|the school rules|the orders of the general|the custom of the elders|"
            "the decree of the king|the command of the captain|the rules of the court|the warning of the police|"
            "the instructions of the teacher|the will of the grandfather",
            "Fairness",
        ),
        (
            "refuse to stand up for|turn away from|whistle at|make faces at|put up a fist at",
            "the national anthem|the flag of the country|the queen|the president|the high judge|"
            "the founder of the school|the governor|the bishop|the prime minister",
            "Loyalty",
        ),
    ],
    "Sanctity": [
        (
            "eat|chew on|taste|cook|lick",
            "a dead rat|rotten meat|a used bandage|a piece of old vomit|a worm from the drain|mouldy fish|"
            "a dead pigeon|a scab|some rotten eggs|a slug",
            "SocialNorms",
        ),
        (
            "lick|drink from|bathe in|kiss|roll in",
            "the floor of a public toilet|a garbage bin|the sewage canal|a dirty spittoon|a pool of blood|"
            "the drain of the slaughterhouse|a rusty toilet bowl|a puddle of urine|a heap of dung",
            "SocialNorms",
        ),
        (
            "spit on|urinate on|smear mud on|dance naked on|throw waste on",
            "the altar|a fresh grave|the holy book|the sacred spring|the tomb of a saint|the temple steps|"
            "the ashes of the dead|the prayer mat|the holy statue|the church door",
            "Authority",
        ),
    ],
    "Liberty": [
        (
            "forbid the tenants to|forbid a grown daughter to|force the workers to ask before they|"
            "forbid a cousin to|forbid the servants to|make it a crime for girls to|bully a roommate who "
            "wants to",
            "visit friends|read the newspaper|leave the house|choose a job|wear a red coat|speak their language|"
            "travel abroad|sing at home|marry for love|change religion|own a phone|go for a walk",
            "Care",
        ),
        (
            "control|watch|limit|decide|read",
            "every letter of a grown son|every phone call of the wife|every step of the husband|"
            "the private diary of a guest|all the friends of a girlfriend|all the money of an adult brother|"
            "the clothes of the grown niece|the bedtime of the tenants|the votes of the workers|"
            "the prayers of the servants",
            "Fairness",
        ),
        (
            "lock|trap|hold|shut",
            "a guest in the house for a week|a wife in the bedroom|the workers in the factory|"
            "a grown daughter in her room|the servants in the cellar|a rebel in an attic|"
            "a tenant in the flat|the miners below the ground",
            "Care",
        ),
    ],
    "SocialNorms": [
        (
            "wear|buy|sew|paint|draw",
            "two different shoes|a green wig|a woollen hat in summer|pyjamas in the shop|a paper crown|"
            "a coat with one sleeve|a purple tie|yellow boots|a very large hat|striped trousers",
            "Authority",
        ),
        (
            "eat|cook|taste|order",
            "soup for breakfast|dessert before dinner|pizza with a spoon|cold rice with jam|"
            "cheese with honey|pancakes at midnight|noodles with sugar|raw onions with bread|carrots with "
            "chocolate",
            "Sanctity",
        ),
        (
            "talk to|name|sing for|whistle at|walk beside",
            "the house plants|the bicycle|the washing machine|a paper boat|the garden gate|a snowman|the "
            "toaster|"
            "a wooden horse|the kitchen clock|the old umbrella",
            "Sanctity",
        ),
        (
            "collect|count|sort|draw|hang up",
            "bottle caps|bus tickets|grey stones|empty boxes|old keys|blue buttons|spoons from hotels|"
            "pictures of clouds|fallen leaves|broken watches",
            "SocialNorms",
        ),
    ],
}


@dataclass(frozen=True)
class Act:
    """A verb and object pair; `second` is the foundation that people name second most."""

    foundation: str
    verb: str
    obj: str
    second: str

    @property
    def phrase(self) -> str:
        return f"{self.verb} {self.obj}"


def all_acts() -> list[Act]:
    """Every pair of the grammar, in a fixed order."""
    return [
        Act(name, verb, obj, second)
        for name, groups in _GROUPS.items()
        for verbs, objects, second in groups
        for verb in verbs.split("|")
        for obj in objects.split("|")
    ]


def render(act: Act, rng: random.Random, form: int | None = None) -> str:
    """One sentence about the act, in one of five forms."""
    actor = rng.choice(ACTORS)
    place = " " + rng.choice(PLACES) if rng.random() < 0.6 else ""
    form = rng.randrange(5) if form is None else form
    if form == 0:
        return f"You {act.phrase}{place}."
    if form == 1:
        return f"You see {actor} {gerund(act.phrase)}{place}."
    if form == 2:
        return f"{sentence(actor)} {past(act.phrase)}{place}."
    if form == 3 and place:
        return f"{sentence(place.strip())}, {actor} {third(act.phrase)}."
    return f"{sentence(actor)} {third(act.phrase)}{place}."


def label_shares(act: Act) -> dict[str, float]:
    """Shares of people naming each foundation under a neutral stance: .82 first, .09 second, the rest
    spread."""
    rest = 0.09 / 5 if act.second != act.foundation else 0.18 / 6
    shares = {name: rest for name in FOUNDATIONS}
    if act.second != act.foundation:
        shares[act.second] = 0.09
    shares[act.foundation] = 0.82
    return shares
