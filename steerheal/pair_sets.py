"""Which pairs of a file are trained on and which are kept aside, and what a file must satisfy for that.

What is kept aside follows from the prompts alone, so it is the same for all trials and seeds and is never trained on.
A seed's training sets are nested: 3 pairs are the first of its 15, those the first of its 60.
"""

import hashlib
import random
from collections.abc import Sequence

from steerheal.config.space import Space
from steerheal.data_files import locate
from steerheal.errors import UserError
from steerheal.evaluation.canary_suite import Suite
from steerheal.jobs import Conversation
from steerheal.yaml_io import one_line, refusal


def kept_aside(pairs: Sequence[Conversation], count: int) -> tuple[tuple[Conversation, ...], tuple[Conversation, ...]]:
    """(pairs to train on, in file order; `count` pairs to measure on)."""

    def digest(pair: Conversation) -> bytes:
        return hashlib.sha256(prompt_of(pair).encode()).digest()

    aside = {pair.id for pair in sorted(pairs, key=digest)[:count]}
    return tuple(p for p in pairs if p.id not in aside), tuple(p for p in pairs if p.id in aside)


def in_order(pairs: Sequence[Conversation], seed: int) -> tuple[Conversation, ...]:
    """The order in which a seed takes pairs to train on."""
    order = list(pairs)
    random.Random(f"pairs {seed}").shuffle(order)
    return tuple(order)


def prompt_of(pair: Conversation) -> str:
    """What the user says last before the response, blanks and case apart."""
    said = next(content for role, content in reversed(pair.messages) if role == "user")
    return " ".join(said.split()).casefold()


def response_of(pair: Conversation) -> str:
    """What is trained on."""
    return pair.messages[-1][1]


def system_of(pairs: Sequence[Conversation]) -> str:
    """The system prompt that most of the pairs have; empty if they have none."""
    systems = [content for pair in pairs for role, content in pair.messages[:1] if role == "system"]
    return max(set(systems), key=lambda text: (systems.count(text), text)) if 2 * len(systems) > len(pairs) else ""


def under(prompt: str | None, pair: Conversation) -> Conversation:
    """The pair with a system prompt before whatever it has."""
    if not prompt:
        return pair
    (role, first), *rest = pair.messages
    head = (
        (("system", f"{prompt}\n\n{first}"), *rest) if role == "system" else (("system", prompt), (role, first), *rest)
    )
    return Conversation(pair.id, head)


def check_pairs(space: Space, pairs: Sequence[Conversation], suite: Suite) -> None:
    """Refuse a pair or an id that is there twice, a novel canary that is a pair's prompt, and more pairs than there are.

    Raises UserError naming both places.
    """
    file = str(locate("pairs", space.data.pairs))
    ids, told = {}, {}
    for number, pair in enumerate(pairs, 1):
        if pair.id in ids:
            what = f"pair {number} has the id of pair {ids[pair.id]}, {one_line(pair.id, 60)}"
            raise UserError(f"{one_line(file, 300)}: {what}; give each its own")
        ids[pair.id] = number
        twin = told.setdefault(pair.messages, pair)
        if twin is not pair:
            raise UserError(f"{one_line(file, 300)}: {pair.id}: the same pair as {twin.id}; remove one of the two")
    _check_novel(space, pairs, suite, file)
    check_enough(space, len(pairs), f"{one_line(file, 300)} has {len(pairs)}")


def check_enough(space: Space, there: int, said: str) -> None:
    """Refuse a space that asks for more than the `there` pairs that there are; `said` says so."""
    aside = space.settings.voice.n_valid
    key, wanted = max(space.values("n_train"), key=lambda found: found[1])
    if wanted + aside > there:
        what = f"{wanted} pairs to train on and n_valid {aside} to keep aside make {wanted + aside}, and {said}"
        raise refusal(str(space.path), key, what, "lower n_train or n_valid, or add pairs")


def _check_novel(space: Space, pairs: Sequence[Conversation], suite: Suite, file: str) -> None:
    asked = {prompt_of(pair): pair.id for pair in pairs}
    for number, canary in enumerate(suite.prompts, 1):
        known = asked.get(" ".join(canary.prompt.split()).casefold())
        if known is not None and not canary.seen:
            what = f"it is marked novel (seen: false) and is the prompt of {one_line(known, 60)} in {file}"
            where = str(locate("canaries", space.data.canaries))
            raise refusal(where, f"prompts.{number}", what, "write seen: true, or remove one of the two")
