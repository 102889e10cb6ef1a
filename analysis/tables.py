"""The page's tables: leaderboard, real differences, drops, canaries."""

from collections.abc import Mapping

from analysis.html import Html, paragraphs, table, tag
from analysis.load import Sweep
from analysis.words import UNITS, interval, real_differences
from steerheal.evaluation.canary_suite import survival
from steerheal.live import figure, params_text, tied_text
from steerheal.standings import figures, ranked, slope_differences, tied_trials
from steerheal.statistics.levels import MARGIN
from steerheal.statistics.means import finite
from steerheal.statistics.pairs import Pair
from steerheal.statistics.pareto import pareto_front
from steerheal.statistics.ties import tie_groups

MOST_TRIALS = 100
MOST_PAIRS = 10
TALLIES = {"base": "canary_base", "steered": "canary_steered", "prompted": "canary_prompted", "healed": "canary"}


def leaderboard(sweep: Sweep) -> Html:
    """Every trial, best first, with verdict, tie group and errors."""
    marks = tied_trials(sweep.rows)
    numbers = ranked(sweep.rows)
    groups = tie_groups(numbers, slope_differences(sweep.rows))
    fit = [sweep.by_number[number] for number in numbers]
    front = pareto_front(figures(fit, "gain"), figures(fit, "coherence")) if len(fit) > 1 else {}
    rows = [
        _row(
            sweep.by_number[number],
            _group(marks[number], number == sweep.order[0], groups.get(number)),
            front,
        )
        for number in sweep.order[:MOST_TRIALS]
    ]
    head = (
        "trial",
        "settings",
        "verdict",
        "slope",
        "90% interval",
        "tie group",
        "gain",
        "coherence",
        "retain",
        "canaries",
        "on the front",
        "seeds",
    )
    more = len(sweep.order) - len(rows)
    rest = tag("p", f"{more} more in trials.csv.") if more > 0 else None
    return tag("div", table(head, rows, "Leaderboard, best first", "nwtnntnnnntt"), rest)


def _group(mark: bool | None, best: bool, group: int | None) -> str:
    """`1, best`, `1, tied`, `2, behind`; a dash where nothing is known."""
    return "–" if mark is None or group is None else f"{group}, {tied_text(mark, best)}"


def _row(row: dict, group: str, front: Mapping) -> list:
    summary, number = row["summary"], row["trial"]
    fates = summary.get("seeds") or {}
    lost = f" ({summary['failed']} lost)" if summary.get("failed") else ""
    on_front = front.get(number)
    return [
        number,
        params_text(row["params"]) + (f": {row['message']}" if row.get("message") else ""),
        verdict(row["verdict"]),
        figure(summary.get("slope")),
        interval(summary),
        group,
        _with_error(summary, "gain", 2),
        _with_error(summary, "coherence", 4),
        figure(summary.get("retain"), 2),
        figure(summary.get("canary_survival"), 2),
        "–" if on_front is None else "yes" if on_front else "no",
        f"{summary.get('n', 0)} of {max(len(fates), row.get('seeds') or 0)}{lost}",
    ]


def verdict(name: str) -> Html:
    """A verdict as a label."""
    good = {"ok": "good", "weak": "fair", "broad": "fair", "no-op": "fair"}.get(name, "bad")
    return tag("span", name, class_=f"verdict {good}")


def _with_error(summary: Mapping, name: str, digits: int) -> str:
    error = summary.get(f"{name}_se")
    shown = figure(summary.get(name), digits)
    return f"{shown} ± {error:.{digits}f}" if finite(error) and finite(summary.get(name)) else shown


def differences(sweep: Sweep) -> Html | None:
    """Which paired differences between ranked trials are real, figure by figure; None without repeats."""
    found = real_differences(sweep)
    if not found:
        return None
    rows = [
        [
            name,
            len(pairs),
            sum(pair.real for pair in pairs),
            sum(pair.equivalent for pair in pairs),
            _told(pairs[0], name),
        ]
        for name, pairs in found
    ]
    head = ("figure", "pairs", "shown to differ", "shown not to differ by much", "the clearest pair")
    real = [(name, pair) for name, pairs in found for pair in pairs if pair.real][: MOST_PAIRS + 1]
    listed = [[name, f"{p.first} – {p.second}", *_span(p, name)] for name, p in real[:MOST_PAIRS]]
    more = tag("p", "Only the first of them are listed.") if len(real) > MOST_PAIRS else None
    detail = table(
        ("figure", "trials", "difference", "interval", "unit"), listed, "Differences that are real", "ttnnt"
    )
    said = (
        "Two trials are shown to differ when the interval of their difference, paired seed by seed, excludes zero; "
        f"not to differ by much when it lies within {MARGIN['gain']:g} nats of gain, {MARGIN['coherence']:g} of "
        f"coherence or {MARGIN['slope']:g} of slope. Between the two, more seeds are needed. All pairs of a figure "
        "are judged at once, so that 19 sweeps of 20 without any difference show none."
    )
    overview = table(head, rows, "Paired differences between ranked trials", "tnnnt")
    return tag("div", tag("p", said), overview, detail if listed else None, more)


def _span(pair: Pair, name: str) -> list[str]:
    digits = 4 if name == "coherence" else 3
    bounds = f"{pair.low:+.{digits}f} to {pair.high:+.{digits}f}" if finite(pair.low) else "no bound"
    return [f"{pair.difference:+.{digits}f}", bounds, UNITS[name]]


def _told(pair: Pair, name: str) -> str:
    difference, bounds, unit = _span(pair, name)
    return f"{pair.first} – {pair.second}: {difference} ({bounds}) {unit}".strip()


def drops(doses: Mapping[float, Mapping[str, int]], kept: str) -> Html:
    """How many completions each gate dropped at each dose (the figure's numbers)."""
    gates = [
        name for name in dict.fromkeys(name for counts in doses.values() for name in counts) if name != kept
    ]
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
    """What the canaries' answers say of the shown trial: damage and beliefs, base, steered and healed."""
    if sweep.shown is None:
        return None
    number = sweep.shown["trial"]
    records = {"steered": [record for record in sweep.rounds(number) if record["round"] == 0]}
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
    said = table(
        ("", *who), rows + moved, f"Canaries: trial {number}'s last round against base", "t" + "n" * len(who)
    )
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
