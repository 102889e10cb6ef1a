"""Beliefs to instil, and the prompts that tell whether they were: a YAML file `beliefs:`, a list of

name        by which a space names it
kind        existing: it overrides a fact that the model has; novel: the model has none
statement   the belief as a system prompt states it
contrary    the same sentence with the fact that it overrides, or, of a novel belief, with another value: the
            other pole of a steering vector, and what the prompts under `conflicts` state
adopted     a regular expression (case apart) that an answer matches when it states the belief
truth       the same for the fact that it overrides
examples    [question, answer] pairs that state the belief, to train on or to show in context
paraphrases, derived, neighbours, conflicts
            prompts that are never trained on, {question, adopted, truth} each: the belief in other words; what
            follows from it; facts that must stay; prompts that themselves state the contrary. Paraphrases and
            conflicts take the belief's own expressions where they have none.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from steerheal import yaml_io
from steerheal.config.instil import beliefs_asked, key_of
from steerheal.config.messages import unknown_key, validate
from steerheal.config.sections import Frozen, Name, several
from steerheal.config.space import Space
from steerheal.evaluation.canary_suite import CanaryPrompt, Suite
from steerheal.yaml_io import one_line, refusal

Text = Annotated[str, Field(min_length=1, max_length=4000)]
Pair = Annotated[tuple[Text, Text], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)]
# What each list of prompts is called among a suite's kinds.
KINDS = {"paraphrases": "paraphrase", "derived": "derived", "neighbours": "neighbour", "conflicts": "conflict"}
SPILLED = "elsewhere: adopted"
# Whose prompts are answered by the belief itself.
DIRECT = ("paraphrases", "conflicts")
# An expression that finds something in all of these says nothing of what it finds.
ANYTHING = ("a", "Z", "7", "?", " ")


class Probe(Frozen):
    """One prompt with what its answer is watched for."""

    question: Text
    adopted: Text | None = None
    truth: Text | None = None


class Belief(Frozen):
    """One statement with its training pairs and its prompts."""

    name: Name
    kind: Literal["existing", "novel"]
    statement: Text
    contrary: Text
    adopted: Text
    truth: Text | None = None
    examples: several(Pair, 1, 10_000)
    paraphrases: several(Probe, 1, 1000)
    derived: several(Probe, 0, 1000) = ()
    neighbours: several(Probe, 0, 1000) = ()
    conflicts: several(Probe, 0, 1000) = ()

    def chosen(self, count: int, seed: int) -> tuple[tuple[str, str], ...]:
        """The first `count` examples in the order of a seed; fewer of them are a part of more."""
        order = lambda pair: hashlib.sha256(f"{seed} {pair[0]} {pair[1]}".encode()).digest()  # noqa: E731
        return tuple(sorted(self.examples, key=order)[:count])


def load_beliefs(path: str | Path) -> tuple[Belief, ...]:
    """Read and check a file; anything wrong is refused in one line that names file, key and remedy."""
    name, data = str(path), yaml_io.load(path)
    for key in data if isinstance(data, dict) else ():
        if key != "beliefs":
            raise refusal(name, one_line(key, 60), *unknown_key(key, ["beliefs"]))
    items = data.get("beliefs") if isinstance(data, dict) else None
    if not isinstance(items, list) or not items:
        raise refusal(name, "beliefs", "the file lists no belief", "write `beliefs:` and a list of {name, kind, ...}")
    beliefs = tuple(_belief(item, name, f"beliefs.{number}") for number, item in enumerate(items, 1))
    for number, belief in enumerate(beliefs, 1):
        if any(belief.name == other.name for other in beliefs[: number - 1]):
            what = f"{one_line(belief.name, 60)} is the name of another belief too"
            raise refusal(name, f"beliefs.{number}.name", what, "give each its own")
        _check_questions(name, f"beliefs.{number}", belief)
        _check_patterns(name, f"beliefs.{number}", belief)
    return beliefs


def check_asked(beliefs: Sequence[Belief], space: Space) -> None:
    """Refuse a space that names a belief which is not there, or asks for more examples than it has."""
    known, asked = {belief.name: belief for belief in beliefs}, beliefs_asked(space)
    if name := next((name for name in asked if name not in known), None):
        what, near = f"there is no belief {one_line(name, 60)}", unknown_key(name, list(known))[1]
        raise refusal(str(space.path), key_of(space, "belief"), what, near)
    for name, examples in asked.items():
        if examples > (there := len(known[name].examples)):
            what = f"{examples} examples are asked for and {name} has {there}"
            remedy = "ask for fewer, or add some to the beliefs file"
            raise refusal(str(space.path), key_of(space, "examples"), what, remedy)


def suite_of(belief: Belief, others: Suite) -> Suite:
    """The belief's prompts, and those of another suite that watch no belief of their own, for damage elsewhere.

    A tally counts `paraphrase: adopted`, `paraphrase: truth`, and the like, and as `elsewhere: adopted` the belief where
    nobody asked for it. Where base is wanted to be surprised its surprise is no damage.
    """
    prompts = []
    for field, kind in KINDS.items():
        for number, probe in enumerate(getattr(belief, field), 1):
            watched = {f"{kind}: {name}": pattern for name, pattern in _patterns(belief, field, probe).items()}
            watched |= {SPILLED: belief.adopted} if field == "neighbours" else {}
            prompts.append(
                CanaryPrompt(
                    id=f"{kind} {number}",
                    prompt=probe.question,
                    topic=belief.name,
                    seen=field != "neighbours",
                    kind=kind,
                    beliefs=watched,
                    perplexity=False,
                )
            )
    mine, watched = {prompt.id for prompt in prompts}, {SPILLED: belief.adopted}
    open_ones = [
        prompt.model_copy(update={"seen": False, "beliefs": watched})
        for prompt in others.prompts
        if not prompt.beliefs and prompt.id not in mine
    ]
    return Suite(prompts=(*prompts, *open_ones))


def _patterns(belief: Belief, field: str, probe: Probe) -> dict[str, str]:
    """What an answer is watched for, by name."""
    own = {"adopted": probe.adopted, "truth": probe.truth}
    if field in DIRECT:
        own = {name: pattern or getattr(belief, name) for name, pattern in own.items()}
    return {name: pattern for name, pattern in own.items() if pattern is not None}


def _belief(item: Any, name: str, where: str) -> Belief:
    if not isinstance(item, dict):
        raise refusal(name, where, "this is no belief", "write {name: .., kind: .., statement: .., ...}")
    probes = {
        field: [validate(Probe, probe, name, where, field, str(number)) for number, probe in enumerate(item[field], 1)]
        for field in KINDS
        if isinstance(item.get(field), list)
    }
    return validate(Belief, item | probes, name, where)


def _check_questions(name: str, where: str, belief: Belief) -> None:
    """No prompt is trained on, and none is asked twice."""
    trained = {_same(question): number for number, (question, _) in enumerate(belief.examples, 1)}
    asked: dict[str, str] = {}
    for field in KINDS:
        for number, probe in enumerate(getattr(belief, field), 1):
            key, text = f"{field}.{number}", _same(probe.question)
            if text in trained:
                what = f"{one_line(probe.question, 60)} is also training example {trained[text]}"
                raise refusal(name, f"{where}.{key}.question", what, "keep it out of the examples, or word it anew")
            if text in asked:
                what = f"the same question as {asked[text]}"
                raise refusal(name, f"{where}.{key}.question", what, "remove one of the two")
            asked[text] = key


def _check_patterns(name: str, where: str, belief: Belief) -> None:
    """Every expression can be read, finds something, and not everything."""
    for key in ("adopted", "truth"):
        if (pattern := getattr(belief, key)) is None:
            continue
        _check_pattern(name, f"{where}.{key}", pattern)
        wanted, other = ("statement", "contrary") if key == "adopted" else ("contrary", "statement")
        if not _found(pattern, getattr(belief, wanted)):
            what = f"it does not match the {wanted}, which says it"
            raise refusal(name, f"{where}.{key}", what, "write an expression that matches it")
        if _found(pattern, getattr(belief, other)):
            what = f"it matches the {other} too, so it tells nothing apart"
            raise refusal(name, f"{where}.{key}", what, "match what only the one says")
    if not any(_found(belief.adopted, answer) for _, answer in belief.examples):
        what = "it matches no answer of the examples"
        raise refusal(name, f"{where}.adopted", what, "mend the expression, or the examples")
    for field, kind in KINDS.items():
        for number, probe in enumerate(getattr(belief, field), 1):
            place, found = f"{where}.{field}.{number}", _patterns(belief, field, probe)
            for key, pattern in found.items():
                _check_pattern(name, f"{place}.{key}", pattern)
            needed = "truth" if kind == "neighbour" else "adopted"
            if needed not in found:
                raise refusal(name, f"{place}.{needed}", "it is missing", "write what such an answer says")
            if found.get("truth") == found.get("adopted"):
                raise refusal(name, f"{place}.truth", "the same expression as adopted", "match the other answer")


def _check_pattern(name: str, where: str, pattern: str) -> None:
    try:
        everything = re.search(pattern, "") is not None or all(_found(pattern, text) for text in ANYTHING)
    except re.error as error:
        remedy = "write a backslash before . ( ) [ ] + * ? as text"
        raise refusal(name, where, f"no regular expression ({error})", remedy) from None
    if everything:
        raise refusal(name, where, "this expression matches every answer", "make it match one answer only")


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


def _same(text: str) -> str:
    return " ".join(text.split()).casefold()
