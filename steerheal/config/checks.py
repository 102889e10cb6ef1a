"""What a whole space must satisfy, whatever the searcher picks: no reachable trial is impossible."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from steerheal.config.dimensions import Dimension, walk
from steerheal.config.sections import KL_ONLY, SECTION_OF
from steerheal.config.trial import RULES
from steerheal.yaml_io import refusal

MAX_CHECKED = 20_000
# The sections and settings that an experiment never reads; alpha belongs to steer.
UNREAD = {
    "steer": ("voice",),
    "voice": ("steer", "dose", "bands", "held_out"),
    "belief": ("voice", "dose", "bands", "held_out"),
}


# Sections in which a model's settings file says what suits it, whoever reads that.
OF_MODELS = ("steer", "dose")


def check_space(dimensions: Sequence[Dimension], fixed: Mapping[str, Any], name: str) -> None:
    """Refuse a space with an impossible trial in it; `fixed` holds the settings by leaf name."""
    for dimension in dimensions:
        if not any(dimension.name in params for params in reachable(dimensions, [dimension.name], name)):
            where = f"search.{dimension.name}.when"
            raise refusal(name, where, "the condition can never hold", "loosen it, or drop the dimension")
    for leaf in KL_ONLY:
        _check_barrier(dimensions, fixed, leaf, name)
    for names, rule in RULES:
        if "reg" in names:
            continue
        for params in reachable(dimensions, names, name):
            if problem := rule({leaf: params.get(leaf, fixed[leaf]) for leaf in names}):
                key, _, rest = problem.partition(": ")
                what, _, remedy = rest.partition("; ")
                searched = key in (dimension.name for dimension in dimensions)
                raise refusal(name, f"search.{key}" if searched else f"settings.{SECTION_OF[key]}.{key}", what, remedy)


def check_read(dimensions: Sequence[Dimension], changed: Sequence[str], experiment: str, name: str) -> None:
    """Refuse what the space searches or fixes (`changed`: leaves that are not as by default) and the experiment never
    reads.
    """
    unread = {*UNREAD.get(experiment, ())}
    asked = [
        f"search.{dimension.name}"
        for dimension in dimensions
        if {dimension.name, SECTION_OF.get(dimension.name, "steer")} & unread
    ]
    fixed = {leaf: section for leaf, section in SECTION_OF.items() if leaf in changed and section not in OF_MODELS}
    asked += [f"settings.{section}.{leaf}" for leaf, section in fixed.items() if {section, leaf} & unread]
    if asked:
        what = f"the experiment {experiment} does not read it, so it cannot matter"
        raise refusal(name, asked[0], what, "remove it, or choose another experiment")


def reachable(dimensions: Sequence[Dimension], names: Sequence[str], name: str) -> Iterator[dict[str, Any]]:
    """Every combination of the named dimensions' extremes, under every choice that decides what exists."""
    wanted, parents = set(names), set()
    for dimension in reversed(dimensions):
        if dimension.name in wanted:
            parents |= {parent for parent, _ in dimension.when}
            wanted |= parents
    closure = [dimension for dimension in dimensions if dimension.name in wanted]
    values = {d.name: d.steps() if d.name in parents | {"reg"} else d.extremes() for d in closure}
    for found, params in enumerate(islice(walk(closure, values), MAX_CHECKED + 1)):
        if found == MAX_CHECKED:
            raise refusal(name, "search", "too many conditions to check", "search fewer dimensions at once")
        yield params


def _check_barrier(dimensions: Sequence[Dimension], fixed: Mapping[str, Any], leaf: str, name: str) -> None:
    """lam, tau and the like need a kl regulariser wherever they are searched or set."""
    searched = next((dimension for dimension in dimensions if dimension.name == leaf), None)
    seen = list(reachable(dimensions, ["reg", leaf], name))
    regs = {params.get("reg", fixed["reg"]) for params in seen if searched is None or leaf in params}
    if searched is None:
        if regs == {"nll"} and fixed[leaf] != KL_ONLY[leaf]:
            what = f"{leaf} exists only for the kl regularisers and reg is nll"
            raise refusal(name, f"settings.heal.{leaf}", what, f"set reg to kl_rev or kl_fwd, or leave {leaf} out")
        return
    if "nll" not in regs:
        return
    kl = [reg for dimension in dimensions if dimension.name == "reg" for reg in dimension.steps() if reg != "nll"]
    if kl:
        remedy = f"add when: {{reg: [{', '.join(kl)}]}}"
    else:
        remedy = "search reg too, or set it to kl_rev or kl_fwd"
    raise refusal(name, f"search.{leaf}", f"{leaf} exists only for the kl regularisers and reg can be nll", remedy)
