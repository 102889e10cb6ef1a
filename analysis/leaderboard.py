"""The page's leaderboard: every trial, best first as the objective says, with verdict, ties and errors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.goal import goal
from analysis.html import Html, table, tag
from analysis.load import Sweep
from analysis.vignettes import ONE, SEVERAL, against_best, span, sweep_draws
from analysis.words import interval
from steerheal.live import figure, front_text, params_text, tied_text
from steerheal.standings import differences, feasible, figures, front, tied_trials
from steerheal.statistics.means import finite
from steerheal.statistics.pareto import pareto_front
from steerheal.statistics.ties import tie_groups

MOST_TRIALS = 100


@dataclass(frozen=True)
class Column:
    """Its head, how its cells are set (`html.table`), and the cell of a trial's row."""

    head: str
    kind: str
    cell: Callable[[Mapping], Any]


def leaderboard(sweep: Sweep) -> Html:
    """Every trial, best first."""
    columns = [*START, *_columns(sweep), *END]
    rows = [[column.cell(sweep.by_number[number]) for column in columns] for number in sweep.order[:MOST_TRIALS]]
    more = len(sweep.order) - len(rows)
    rest = tag("p", f"{more} more in trials.csv.") if more > 0 else None
    caption = f"Leaderboard, {goal(sweep.objective).order}"
    kinds = "".join(column.kind for column in columns)
    return tag("div", table([column.head for column in columns], rows, caption, kinds), _unseen(sweep), rest)


def _columns(sweep: Sweep) -> list[Column]:
    """What lies between the verdict and the smaller figures: the objective's own figure first."""
    drawn = _drawn(sweep)
    slope = [Column("slope", "n", lambda row: figure(row["summary"].get("slope"))), *drawn["slope"]]
    slope[1:1] = [Column("90% interval", "n", lambda row: interval(row["summary"]))] if sweep.repeated else []
    gain = [Column("gain", "n", lambda row: _with_error(row["summary"], "gain", 2)), *drawn["gain"]]
    coherence = [Column("coherence", "n", lambda row: _with_error(row["summary"], "coherence", 4))]
    if sweep.objective.kind == "pareto":
        return [*gain, *coherence, *_front_columns(sweep), *slope]
    if sweep.objective.kind == "slope":
        return [*slope, *_ties(sweep), *drawn["best"], *gain, *coherence, *_beyond_slope(sweep)]
    least = sweep.objective.coherence
    enough = Column(f"coherence ≥ {least:g}", "t", lambda row: _enough(sweep, row))
    return [*gain, *_ties(sweep), *drawn["best"], *coherence, enough, *slope]


def _drawn(sweep: Sweep) -> dict[str, list[Column]]:
    """Intervals over vignettes (and seeds), and against the best where there is one seed; none without reads."""
    draws = sweep_draws(sweep)
    if not draws:
        return {"slope": [], "gain": [], "best": []}
    own, over = goal(sweep.objective).figure, SEVERAL if sweep.repeated else ONE

    def ends(kind: str) -> Column:
        def cell(row: Mapping) -> str:
            # In a race: its interval would not be over seeds.
            if sweep.repeated and len(row["summary"].get("judged") or ()) == 1:
                return "one seed"
            return _ends(span(draws.get(row["trial"]), kind), row)

        return Column(f"{kind}: 90%, {over}", "n", cell)

    wanted = ("slope", "gain") if not sweep.repeated else (own,)
    found = {kind: [ends(kind)] if kind in wanted else [] for kind in ("slope", "gain")}
    if sweep.repeated or sweep.objective.kind == "pareto":
        return found | {"best": []}
    apart = against_best(sweep, draws, own)
    return found | {"best": [Column(f"{own} − best's, {over}", "n", lambda row: _apart(apart.get(row["trial"])))]}


def _ends(ends: tuple[float, float] | None, row: Mapping) -> str:
    if ends is not None:
        return f"{ends[0]:.3f} to {ends[1]:.3f}"
    return "no bound" if finite(row["summary"].get("gain")) else "–"


def _apart(pair: Any) -> str:
    return "–" if pair is None else f"{pair.difference:+.3f} ({pair.low:+.3f} to {pair.high:+.3f})"


def _ties(sweep: Sweep) -> list[Column]:
    """`1, best`, `1, tied`, `2, behind`; nothing without repeats."""
    if not sweep.repeated:
        return []
    marks = tied_trials(sweep.rows, sweep.objective)
    groups = tie_groups(sweep.ranked, differences(sweep.rows, sweep.objective))

    def cell(row: Mapping) -> str:
        number = row["trial"]
        mark, group = marks[number], groups.get(number)
        return "–" if mark is None or group is None else f"{group}, {tied_text(mark, number == sweep.order[0])}"

    return [Column("tie group", "t", cell)]


def _front_columns(sweep: Sweep) -> list[Column]:
    """On the front by the means, and whether that is more than noise."""
    first = front(sweep.rows, sweep.objective)

    def cell(row: Mapping) -> str:
        return _yes(row["trial"] in first) if feasible(row, sweep.objective) else "–"

    means = Column("on the front by its means", "t", cell)
    if not sweep.repeated:
        return [means]
    marks = tied_trials(sweep.rows, sweep.objective)
    return [means, Column("beyond noise", "t", lambda row: _mark(marks[row["trial"]]))]


def _mark(mark: bool | None) -> str:
    return "may be on it" if mark else front_text(mark)


def _beyond_slope(sweep: Sweep) -> list[Column]:
    """Whether a ranked trial may be on the front of gain against coherence."""
    fit = [sweep.by_number[number] for number in sweep.ranked]
    if not sweep.repeated or len(fit) < 2:
        return []
    marks = pareto_front(figures(fit, "gain"), figures(fit, "coherence"))
    return [Column("on the front", "t", lambda row: _yes(marks.get(row["trial"])))]


def _yes(mark: bool | None) -> str:
    return {None: "–", True: "yes", False: "no"}[mark]


def _enough(sweep: Sweep, row: Mapping) -> str:
    coherence = row["summary"].get("coherence")
    return _yes(coherence >= sweep.objective.coherence) if finite(coherence) else "–"


def _unseen(sweep: Sweep) -> Html | None:
    """What intervals at a single seed leave out."""
    if sweep.repeated or not sweep_draws(sweep):
        return None
    return tag(
        "p",
        "There is one seed: the intervals over vignettes say how well these scenarios pin a trial's own figures down, "
        "and do not see what training again with another seed would change. No difference here is shown to be real.",
    )


def _settings(row: Mapping) -> str:
    return params_text(row["params"]) + (f": {row['message']}" if row.get("message") else "")


def verdict(name: str) -> Html:
    """A verdict as a label."""
    good = {"ok": "good", "weak": "fair", "broad": "fair", "no-op": "fair"}.get(name, "bad")
    return tag("span", name, class_=f"verdict {good}")


def _with_error(summary: Mapping, name: str, digits: int) -> str:
    error = summary.get(f"{name}_se")
    shown = figure(summary.get(name), digits)
    return f"{shown} ± {error:.{digits}f}" if finite(error) and finite(summary.get(name)) else shown


def _seeds(row: Mapping) -> str:
    """How many seeds have figures, of how many that were run."""
    summary = row["summary"]
    lost = f" ({summary['failed']} lost)" if summary.get("failed") else ""
    run = len(row.get("ran") or ()) or max(len(summary.get("seeds") or {}), row.get("seeds") or 0)
    return f"{summary.get('n', 0)} of {run}{lost}"


START = (
    Column("trial", "n", lambda row: row["trial"]),
    Column("settings", "w", _settings),
    Column("verdict", "t", lambda row: verdict(row["verdict"])),
)
END = (
    Column("retain", "n", lambda row: figure(row["summary"].get("retain"), 2)),
    Column("canaries", "n", lambda row: figure(row["summary"].get("canary_survival"), 2)),
    Column("seeds", "t", _seeds),
)
