"""Canary suites: fixed prompts whose answers are watched for damage and drift, and what a suite says of a
student.

    survival = share of the student's answers without damage / the same share of base's answers

over the suite, per kind of prompt, and for seen and unseen prompts apart (a student that is undamaged on what
it was trained on only has memorised it). Where base has no undamaged answer the ratio says nothing: it is
None, and the outcome is "base damaged". A ratio above 1 (a student less damaged than base) stands as it is.

The file is YAML: `prompts:`, a list of {id, prompt, topic, seen, kind, beliefs, perplexity}; `beliefs` maps a
name to the regular expression (case apart) that an answer stating it matches.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from steerheal.config.messages import unknown_key, validate
from steerheal.config.sections import Frozen
from steerheal.evaluation.damage import Damage
from steerheal.yaml_io import load, one_line, refusal

Text = Annotated[str, Field(min_length=1, max_length=20_000)]
OK, BASE_DAMAGED = "ok", "base damaged"


class CanaryPrompt(Frozen):
    """One prompt. seen: its topic occurs in the training data; kind: what it watches (facts, style, ...); perplexity:
    whether an answer that surprises base is damaged, as it is not where another answer than base's is wanted.
    """

    id: Text
    prompt: Text
    topic: Text
    seen: bool
    kind: Text
    beliefs: dict[Text, Text] = {}
    perplexity: bool = True


class Suite(Frozen):
    """The prompts in the order of the file."""

    prompts: tuple[CanaryPrompt, ...]


def load_suite(path: str | Path) -> Suite:
    """Read and check a suite; anything wrong is refused in one line that names file, key and remedy."""
    name, data = str(path), load(path)
    for key in data if isinstance(data, dict) else ():
        if key != "prompts":
            raise refusal(name, one_line(key, 60), *unknown_key(key, ["prompts"]))
    if not isinstance(data, dict) or not isinstance(data.get("prompts"), list) or not data["prompts"]:
        raise refusal(name, "prompts", "the suite lists no prompts", "write `prompts:` and a list of {id, prompt, ...}")
    prompts = tuple(
        validate(CanaryPrompt, item, name, "prompts", str(number)) for number, item in enumerate(data["prompts"], 1)
    )
    _refuse_repeats(name, prompts)
    _refuse_bad_patterns(name, prompts)
    return Suite(prompts=prompts)


def _refuse_repeats(name: str, prompts: Iterable[CanaryPrompt]) -> None:
    ids: dict[str, int] = {}
    texts: dict[str, tuple[int, bool]] = {}
    for number, prompt in enumerate(prompts, 1):
        where = f"prompts.{number}"
        if prompt.id in ids:
            what = f"{one_line(prompt.id, 60)} is also the id of prompt {ids[prompt.id]}"
            raise refusal(name, f"{where}.id", what, "give each its own")
        ids[prompt.id] = number
        text = " ".join(prompt.prompt.split()).casefold()
        if text in texts:
            other, seen = texts[text]
            if seen != prompt.seen:
                what = f"prompt {other} is the same text and is {'seen' if seen else 'unseen'}"
                raise refusal(name, f"{where}.seen", what, "a prompt is either seen or unseen; remove one of the two")
            raise refusal(name, f"{where}.prompt", f"the same text as prompt {other}", "remove one of the two")
        texts[text] = number, prompt.seen


def _refuse_bad_patterns(name: str, prompts: Iterable[CanaryPrompt]) -> None:
    for number, prompt in enumerate(prompts, 1):
        for belief, pattern in prompt.beliefs.items():
            where = f"prompts.{number}.beliefs.{one_line(belief, 60)}"
            try:
                matches_nothing_said = re.search(pattern, "") is not None
            except re.error as error:
                what = f"no regular expression ({error})"
                remedy = "write a backslash before . ( ) [ ] + * ? as text"
                raise refusal(name, where, what, remedy) from None
            if matches_nothing_said:
                what = "this expression matches an empty answer, and so every answer"
                raise refusal(name, where, what, "make it match the belief only")


def tally(suite: Suite, answers: Iterable[tuple[str, Damage]]) -> dict:
    """Counts of one model's answers, (prompt id, damage) each, as plain JSON data.

    {"all": {"answers", "undamaged"}, "kinds": {kind: same}, "seen": same, "unseen": same, "damage": {kind of
    damage: answers}, "beliefs": {name: {"answers", "held"}}, "hit_limit": answers, "tokens": sum}. A belief's
    answers are those to the prompts that watch it.
    """
    prompts = {prompt.id: prompt for prompt in suite.prompts}
    total: dict[tuple[str, ...], Counter] = {}
    damage: Counter = Counter()
    sums: Counter = Counter({"hit_limit": 0, "tokens": 0})
    for prompt_id, found in answers:
        prompt = prompts[prompt_id]
        for group in (("all",), ("kinds", prompt.kind), ("seen" if prompt.seen else "unseen",)):
            total.setdefault(group, Counter()).update(answers=1, undamaged=not found.damaged)
        for belief in prompt.beliefs:
            total.setdefault(("beliefs", belief), Counter()).update(answers=1, held=belief in found.beliefs)
        damage.update(found.kinds)
        sums.update({name: int(found.measures[name]) for name in sums})
    return _nested(total) | {"damage": dict(damage)} | dict(sums)


def _nested(total: Mapping[tuple[str, ...], Counter]) -> dict:
    nested: dict = {"all": {"answers": 0, "undamaged": 0}, "kinds": {}, "beliefs": {}}
    for (group, *name), counts in total.items():
        place = nested[group] if name else nested
        place[name[0] if name else group] = {key: int(count) for key, count in counts.items()}
    return nested


def survival(student: Mapping, base: Mapping) -> dict:
    """What two tallies of one suite say of the student against base, as plain JSON data.

    {"survival": ratio or None, "outcome": OK or BASE_DAMAGED, "student": share, "base": share, "kinds":
    {kind: ratio or None}, "seen": ratio or None, "unseen": ratio or None, "beliefs": {name: {"student": rate,
    "base": rate}}}
    """
    if student["kinds"].keys() != base["kinds"].keys() or student["beliefs"].keys() != base["beliefs"].keys():
        raise ValueError("survival compares two tallies of one suite, and these two are of different suites")
    if not student["all"]["answers"] or not base["all"]["answers"]:
        raise ValueError("survival needs at least one answer of each model")
    ratio = _ratio(student["all"], base["all"])
    return {
        "survival": ratio,
        "outcome": BASE_DAMAGED if ratio is None else OK,
        "student": _share(student["all"], "undamaged"),
        "base": _share(base["all"], "undamaged"),
        "kinds": {kind: _ratio(student["kinds"][kind], base["kinds"][kind]) for kind in base["kinds"]},
        "seen": _ratio(student.get("seen"), base.get("seen")),
        "unseen": _ratio(student.get("unseen"), base.get("unseen")),
        "beliefs": {
            name: {
                "student": _share(student["beliefs"][name], "held"),
                "base": _share(base["beliefs"][name], "held"),
            }
            for name in base["beliefs"]
        },
    }


def _share(counts: Mapping | None, key: str) -> float | None:
    return counts[key] / counts["answers"] if counts and counts["answers"] else None


def _ratio(student: Mapping | None, base: Mapping | None) -> float | None:
    """The student's undamaged share over base's; None where that is 0 or either has no answer."""
    ours, theirs = _share(student, "undamaged"), _share(base, "undamaged")
    return None if ours is None or not theirs else ours / theirs
