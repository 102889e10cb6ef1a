"""The page's tables: real differences, drops, canaries."""

from collections.abc import Mapping

from analysis.goal import units
from analysis.html import Html, paragraphs, table, tag
from analysis.load import Sweep
from analysis.words import real_differences
from steerheal.evaluation.canary_suite import survival
from steerheal.experiments.steer import ASKED
from steerheal.live import figure
from steerheal.statistics.levels import MARGIN
from steerheal.statistics.means import finite
from steerheal.statistics.pairs import Pair

MOST_PAIRS = 10
TALLIES = {"base": "canary_base"} | {name: f"canary_{name}" for name in ASKED}
TALLIES |= {"steered": "canary_steered", "healed": "canary"}


def differences(sweep: Sweep) -> Html | None:
    """Which paired differences between ranked trials are real, figure by figure; None without repeats."""
    found, counted = real_differences(sweep), units(sweep.experiment)
    if not found:
        return None
    rows = [
        [
            name,
            len(pairs),
            sum(pair.real for pair in pairs),
            sum(pair.equivalent for pair in pairs),
            _told(pairs[0], name, counted),
        ]
        for name, pairs in found
    ]
    head = ("figure", "pairs", "shown to differ", "shown not to differ by much", "the clearest pair")
    real = [(name, pair) for name, pairs in found for pair in pairs if pair.real][: MOST_PAIRS + 1]
    listed = [[name, f"{p.first} – {p.second}", *_span(p, name, counted)] for name, p in real[:MOST_PAIRS]]
    more = tag("p", "Only the first of them are listed.") if len(real) > MOST_PAIRS else None
    detail = table(("figure", "trials", "difference", "interval", "unit"), listed, "Differences that are real", "ttnnt")
    said = (
        "Two trials are shown to differ when the interval of their difference, paired seed by seed, excludes zero; "
        f"not to differ by much when it lies within {MARGIN['gain']:g} {counted['gain']} in gain, {MARGIN['coherence']:g} of "
        f"coherence or {MARGIN['slope']:g} of slope. Between the two, more seeds are needed. All pairs of a figure "
        "are judged at once, so that 19 sweeps of 20 without any difference show none."
    )
    overview = table(head, rows, "Paired differences between ranked trials", "tnnnt")
    return tag("div", tag("p", said), overview, detail if listed else None, more)


def _span(pair: Pair, name: str, counted: Mapping[str, str]) -> list[str]:
    digits = 4 if name == "coherence" else 3
    bounds = f"{pair.low:+.{digits}f} to {pair.high:+.{digits}f}" if finite(pair.low) else "no bound"
    return [f"{pair.difference:+.{digits}f}", bounds, counted[name]]


def _told(pair: Pair, name: str, counted: Mapping[str, str]) -> str:
    difference, bounds, unit = _span(pair, name, counted)
    return f"{pair.first} – {pair.second}: {difference} ({bounds}) {unit}".strip()


def drops(doses: Mapping[float, Mapping[str, int]], kept: str) -> Html:
    """How many completions each gate dropped at each dose (the figure's numbers)."""
    gates = [name for name in dict.fromkeys(name for counts in doses.values() for name in counts) if name != kept]
    rows = [
        [f"{dose:.3g}", sum(counts.values()), *[counts.get(name, 0) for name in (kept, *gates)]]
        for dose, counts in doses.items()
    ]
    head = ("dose", "completions", kept, *gates)
    return tag(
        "details",
        tag("summary", "In numbers"),
        table(head, rows, "Completions by dose and gate", "n" * len(head)),
    )


def canaries(sweep: Sweep) -> Html | None:
    """What the canaries' answers say of the shown trial: damage and beliefs, against base, prompted or steered."""
    if sweep.shown is None:
        return None
    number = sweep.shown["trial"]
    first = [record for record in sweep.rounds(number) if record["round"] == 0]
    records = dict.fromkeys(("steered", *ASKED), first)
    tallies = {
        who: add_up([record[name] for record in records.get(who, sweep.last(number)) if record.get(name)])
        for who, name in TALLIES.items()
    }
    tallies = {who: tally for who, tally in tallies.items() if tally.get("all")}
    if "healed" not in tallies:
        return None
    who = list(tallies)
    rows = [["answers", *[tallies[one]["all"]["answers"] for one in who]]]
    rows += [["without damage", *[_share(tallies[one]["all"], "undamaged") for one in who]]]
    kinds = dict.fromkeys(kind for one in who for kind in tallies[one].get("damage", {}))
    rows += [[f"damage: {kind}", *[tallies[one]["damage"].get(kind, 0) for one in who]] for kind in kinds]
    beliefs = [
        [f"states {name!r}", *[_share(tallies[one].get("beliefs", {}).get(name), "held") for one in who]]
        for name in tallies["healed"].get("beliefs", {})
    ]
    moved = [row for row in beliefs if len(set(row[1:])) > 1]
    same = len(beliefs) - len(moved)
    alike = f"{same} of {len(beliefs)} watched beliefs are stated equally often by all." if same else None
    said = table(("", *who), rows + moved, f"Canaries: trial {number}'s last round against base", "t" + "n" * len(who))
    return tag("div", paragraphs([*_survived(tallies), alike]), said)


def _survived(tallies: Mapping) -> list[str]:
    """Survival in words, for topics that were trained on and others."""
    try:
        found = survival(tallies["healed"], tallies["base"])
    except (KeyError, ValueError):
        return []
    parts = [f"Canary survival (undamaged answers, relative to base): {figure(found['survival'], 2)}"]
    parts += [
        f"{figure(found[name], 2)} on {words}"
        for name, words in (("seen", "topics that occur in training"), ("unseen", "topics that do not"))
        if found[name] is not None
    ]
    return ["; ".join(parts) + "."]


def _share(counts: Mapping | None, name: str) -> str:
    return f"{counts[name]} of {counts['answers']}" if counts else "–"


def add_up(tallies: list) -> dict:
    """Counts of several seeds' tallies, added name by name; shares (which are no counts) are left out."""
    total: dict = {}
    for tally in tallies:
        for name, value in tally.items():
            if isinstance(value, Mapping):
                total[name] = add_up([total.get(name, {}), value])
            elif isinstance(value, int):
                total[name] = total.get(name, 0) + value
    return total
