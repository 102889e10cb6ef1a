"""What may be compared: equal bases and vignettes; which settings differ; which trials have the same ones."""

import json
import math
from collections.abc import Mapping
from typing import Any

from analysis.load import Sweep
from steerheal.statistics.levels import ROUNDING
from steerheal.statistics.means import finite

# What a figure is measured with: another one makes another figure.
MEASURED_WITH = {
    "experiment": "the experiment",
    "model": "the base model",
    "data.vignettes": "the vignettes",
    "data.instrument": "the instrument",
    "settings.evaluate.vignettes": "the number of vignettes",
    "settings.evaluate.think_tokens": "the length of the thought",
    "persona.target": "the persona's target",
    "persona.sign": "the persona's sign",
}
# What a voice is measured with besides.
PAIRS = {
    "data.pairs": "the pairs",
    "settings.voice.n_valid": "the number of pairs kept aside",
    "settings.voice.max_pair_tokens": "the longest pair",
}
# Places and plans, which change no figure.
NO_MATTER = ("name", "hypothesis", "trials", "resources", "data", "sampler", "among")
# One base read twice, on another machine perhaps: some tens of the rounding of one machine.
SAME_BASE = 50


def incomparable(first: Sweep, second: Sweep) -> str | None:
    """Why the two cannot be compared, with the remedy; None if they can."""
    ours, theirs = ({"experiment": "steer"} | flat(sweep.space) for sweep in (first, second))
    for name, what in (MEASURED_WITH | (PAIRS if first.experiment == "voice" else {})).items():
        parts = [
            {key: value for key, value in one.items() if key == name or key.startswith(f"{name}.")}
            for one in (ours, theirs)
        ]
        if parts[0] != parts[1] and not name.startswith("data."):
            key = next(key for key in {**parts[0], **parts[1]} if parts[0].get(key) != parts[1].get(key))
            return _differ(what, parts[0].get(key), parts[1].get(key))
    digests = [{one["kind"]: one["digest"] for one in sweep.about.get("data", ())} for sweep in (first, second)]
    for name in ("vignettes", "instrument", "pairs"):
        known = [found.get(name) for found in digests]
        if None not in known and known[0] != known[1]:
            return _differ((MEASURED_WITH | PAIRS)[f"data.{name}"], *known)
    return _base(first, second)


def _differ(what: str, ours: Any, theirs: Any) -> str:
    why = f"they differ in {what} ({ours} and {theirs}), so they cannot be compared"
    if what == MEASURED_WITH["model"]:
        return f"{why}: results are compared within a model; compare trials or sweeps of one model"
    return f"{why}; run one of them anew with the other's"


def _base(first: Sweep, second: Sweep) -> str | None:
    """Base is measured in every sweep: two that measure it differently did not measure the same."""
    for name, kind in (("base_trait", "gain"), ("base_coherence", "coherence")):
        found = [next((r[name] for r in sweep.records if finite(r.get(name))), None) for sweep in (first, second)]
        if None not in found and not math.isclose(*found, rel_tol=0, abs_tol=SAME_BASE * ROUNDING[kind]):
            return _differ(f"what base itself measures ({name})", *(f"{value:.5f}" for value in found))
    return None


def flat(data: Mapping, before: str = "") -> dict[str, Any]:
    """Nested settings by their dotted paths."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = value
    return found


def settings(side: Any, whole: bool = False) -> dict[str, Any]:
    """A trial's settings by name, searched ones at its values; `whole`: a sweep's, with what it searches."""
    space = {name: value for name, value in side.sweep.space.items() if name not in (*NO_MATTER, "search")}
    found = {name.removeprefix("settings."): value for name, value in flat(space).items()}
    if whole:
        searched = {f"search.{name}": json.dumps(entry) for name, entry in side.sweep.dimensions.items()}
        return found | searched
    names = {name.rpartition(".")[2]: name for name in found}
    return found | {names.get(name, name): value for name, value in side.row["params"].items()}


def differing(first: Mapping, second: Mapping) -> dict[str, tuple[Any, Any]]:
    """name → (first's, second's value), where they differ."""
    names = [*first, *(name for name in second if name not in first)]
    return {
        name: (first.get(name, "–"), second.get(name, "–")) for name in names if first.get(name) != second.get(name)
    }


def matched(first: Sweep, second: Sweep) -> list[tuple[dict, dict]]:
    """The trials that agree in everything that either sweep searched."""
    names = sorted({*first.dimensions, *second.dimensions})
    theirs = {_place(second, row, names): row for row in second.rows if names}
    places = [(row, _place(first, row, names)) for row in first.rows]
    return [(row, theirs[place]) for row, place in places if place in theirs]


def _place(sweep: Sweep, row: Mapping, names: list[str]) -> str:
    return json.dumps([sweep.setting(row, name) for name in names])
