"""What a space of beliefs must satisfy: each setting is searched or given only for the ways that use it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from steerheal.config.checks import reachable
from steerheal.config.sections import SECTION_OF, SECTIONS
from steerheal.yaml_io import refusal

if TYPE_CHECKING:
    from steerheal.config.space import Space

EXPERIMENT = "belief"
# Which ways of instilling a belief use a setting; what is not listed concerns all of them.
USED_BY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(SECTIONS["heal"].model_fields, ("lora",)),
    **dict.fromkeys(SECTIONS["steer"].model_fields, ("steer",)),
    "alpha": ("steer",),
    "examples": ("lora", "icl"),
}
# Sections of steered generation, which no belief goes through.
UNUSED = ("dose", "filter")


def check_instil(space: "Space", raw: dict[str, Any]) -> None:
    """Refuse a space of beliefs in which a setting has no effect, or another space that names a belief; `raw`: the
    file as it was written, where a setting that is given can be told from a default.
    """
    where = str(space.path)
    given = [(f"settings.{section}.{leaf}", leaf) for section, leaf in _given(raw)]
    searched = [(f"search.{dimension.name}", dimension.name) for dimension in space.dimensions]
    if space.experiment != EXPERIMENT:
        for key, leaf in given + searched:
            if SECTION_OF.get(leaf) == "instil":
                remedy = f"write experiment: {EXPERIMENT}, or remove it"
                raise refusal(where, key, f"experiment {space.experiment} instils no belief", remedy)
        return
    _check_whole(space, where)
    given += [("alpha", "alpha")] if "alpha" in raw else []
    every = _ways(space)
    for key, leaf in given + searched:
        if SECTION_OF.get(leaf) in UNUSED:
            raise refusal(where, key, "a belief is not instilled through steered completions", "remove it")
        used = USED_BY.get(leaf, every)
        needless = [via for via in (_ways(space, leaf) if key.startswith("search.") else every) if via not in used]
        if not [via for via in every if via in used]:
            what = f"{leaf} is a setting of via {' and '.join(used)}, and via is {' or '.join(every)}"
            raise refusal(where, key, what, f"remove it, or use via: {used[0]}")
        if needless and key.startswith("search."):
            what = f"{leaf} is a setting of via {' and '.join(used)}, and via can be {needless[0]}"
            kept = ", ".join(via for via in every if via in used)
            raise refusal(where, key, what, f"add when: {{via: [{kept}]}}")


def beliefs_asked(space: "Space") -> list[tuple[str, str, int]]:
    """(key in the file, belief, most examples that a trial on it takes; 0 where no trial takes examples)."""
    names = ("belief", "via", "examples")
    fixed = space.settings.instil.model_dump()
    key = "search.belief" if any(d.name == "belief" for d in space.dimensions) else "settings.instil.belief"
    most: dict[str, int] = {}
    for params in reachable(space.dimensions, names, str(space.path)):
        point = {name: params.get(name, fixed[name]) for name in names}
        taken = point["examples"] if point["via"] in USED_BY["examples"] else 0
        most[point["belief"]] = max(taken, most.get(point["belief"], 0))
    return [(key, belief, taken) for belief, taken in most.items()]


def _check_whole(space: "Space", where: str) -> None:
    if space.settings.instil.belief is None and not any(d.name == "belief" for d in space.dimensions):
        raise refusal(where, "settings.instil.belief", "no belief is named", "name one of the file data.beliefs")
    if space.rounds != 1:
        raise refusal(where, "rounds", "a belief is instilled in one round", "remove it, or write rounds: 1")
    if not space.settings.evaluate.canary_samples:
        what = "without answers nothing is known of a belief"
        raise refusal(where, "settings.evaluate.canary_samples", what, "write 1 or more")


def _given(raw: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(section, leaf) of the settings that the file itself gives."""
    for section, values in (raw.get("settings") or {}).items():
        yield from ((section, leaf) for leaf in values or ())


def _ways(space: "Space", leaf: str | None = None) -> list[str]:
    """Every `via` that a trial can have, or those at which the dimension `leaf` exists."""
    names = ["via"] if leaf is None else ["via", leaf]
    found = [
        params.get("via", space.settings.instil.via)
        for params in reachable(space.dimensions, names, str(space.path))
        if leaf is None or leaf in params
    ]
    return list(dict.fromkeys(found))
