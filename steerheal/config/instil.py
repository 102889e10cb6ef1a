"""What a space of beliefs must satisfy: each setting is searched only for the ways of instilling that use it."""

from typing import TYPE_CHECKING

from steerheal.config.checks import reachable
from steerheal.config.sections import SECTIONS
from steerheal.yaml_io import refusal

if TYPE_CHECKING:
    from steerheal.config.space import Space

EXPERIMENT = "belief"
# Which ways of instilling a belief use a setting; what is not listed concerns all of them.
USED_BY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(SECTIONS["heal"].model_fields, ("lora",)),
    **dict.fromkeys(SECTIONS["bands"].model_fields, ("lora",)),
    **dict.fromkeys(SECTIONS["steer"].model_fields, ("steer",)),
    "alpha": ("steer",),
    "examples": ("lora", "icl"),
}
# Settings that a way alone makes sense of, with the values that say nothing.
NEUTRAL = {"alpha": 1.0, "examples": SECTIONS["instil"].model_fields["examples"].default}


def check_instil(space: "Space") -> None:
    """Refuse a space of beliefs in which a setting has no effect, or another space that instils one."""
    where, searched = str(space.path), [dimension.name for dimension in space.dimensions]
    if space.experiment != EXPERIMENT:
        _check_other(space, where, searched)
        return
    _check_whole(space, where, searched)
    every = _ways(space)
    fixed = {"alpha": space.alpha, "examples": space.settings.instil.examples}
    for leaf, key in (("alpha", "alpha"), ("examples", "settings.instil.examples")):
        used = USED_BY[leaf]
        if leaf not in searched and fixed[leaf] != NEUTRAL[leaf] and not set(every) & set(used):
            raise refusal(
                where, key, _misplaced(leaf, f"via is {' or '.join(every)}"), f"remove it, or use via: {used[0]}"
            )
    for leaf in searched:
        used = USED_BY.get(leaf, every)
        if needless := [via for via in _ways(space, leaf) if via not in used]:
            kept = ", ".join(via for via in every if via in used)
            remedy = f"add when: {{via: [{kept}]}}" if kept else f"remove it, or use via: {used[0]}"
            raise refusal(where, f"search.{leaf}", _misplaced(leaf, f"via can be {needless[0]}"), remedy)


def key_of(space: "Space", leaf: str) -> str:
    """Where the file says what a setting of the section is."""
    searched = any(dimension.name == leaf for dimension in space.dimensions)
    return f"search.{leaf}" if searched else f"settings.instil.{leaf}"


def beliefs_asked(space: "Space") -> dict[str, int]:
    """Belief → most examples that a trial on it takes; 0 where no trial takes examples."""
    names = ("belief", "via", "examples")
    fixed = space.settings.instil.model_dump()
    most: dict[str, int] = {}
    for params in reachable(space.dimensions, names, str(space.path)):
        point = {name: params.get(name, fixed[name]) for name in names}
        taken = point["examples"] if point["via"] in USED_BY["examples"] else 0
        most[point["belief"]] = max(taken, most.get(point["belief"], 0))
    return most


def _check_other(space: "Space", where: str, searched: list[str]) -> None:
    instil = SECTIONS["instil"]
    named = [f"settings.instil.{leaf}" for leaf, value in space.settings.instil if value != getattr(instil(), leaf)]
    named += [f"search.{leaf}" for leaf in searched if leaf in instil.model_fields]
    if named:
        what = f"experiment {space.experiment} instils no belief"
        raise refusal(where, named[0], what, f"write experiment: {EXPERIMENT}, or remove it")


def _check_whole(space: "Space", where: str, searched: list[str]) -> None:
    if space.settings.instil.belief is None and "belief" not in searched:
        raise refusal(where, "settings.instil.belief", "no belief is named", "name one of the file data.beliefs")
    if space.rounds != 1:
        raise refusal(where, "rounds", "a belief is instilled in one round", "remove it, or write rounds: 1")
    if not space.settings.evaluate.canary_samples:
        what = "without answers nothing is known of a belief"
        raise refusal(where, "settings.evaluate.canary_samples", what, "write 1 or more")


def _misplaced(leaf: str, said: str) -> str:
    return f"{leaf} is a setting of via {' and '.join(USED_BY[leaf])}, and {said}"


def _ways(space: "Space", leaf: str | None = None) -> list[str]:
    """Every `via` that a trial can have, or those at which the dimension `leaf` exists."""
    names = ["via"] if leaf is None else ["via", leaf]
    found = [
        params.get("via", space.settings.instil.via)
        for params in reachable(space.dimensions, names, str(space.path))
        if leaf is None or leaf in params
    ]
    return list(dict.fromkeys(found))
