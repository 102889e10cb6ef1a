"""A race: which seeds each trial ran, heat by heat, what its winner is worth on fresh seeds, and what it saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.goal import goal, units
from analysis.html import Html, join, paragraphs, table, tag
from analysis.load import Sweep
from steerheal.live import figure, params_text
from steerheal.racing import cost, heat_in_words
from steerheal.statistics.levels import ALPHA
from steerheal.statistics.means import finite

FIGURES = (("gain", 3), ("coherence", 4), ("slope", 3))


@dataclass(frozen=True)
class Curse:
    """The winner's figure on the seeds that it won on minus that on fresh ones, and its interval (None, None:
    too few seeds).
    """

    figure: str
    difference: float
    low: float | None
    high: float | None

    @property
    def real(self) -> bool | None:
        """Whether the two differ by more than noise between seeds."""
        return None if self.low is None else not self.low <= 0 <= self.high


def winner(sweep: Sweep) -> dict | None:
    """The trial that ran again on fresh seeds; None while there is none."""
    return next((row for row in sweep.rows if row.get("fresh")), None)


def curse(sweep: Sweep) -> list[Curse]:
    """What the winner lost on fresh seeds, figure by figure: Welch's interval, since no seed is in both."""
    row = winner(sweep)
    if row is None:
        return []
    found = []
    for name in ("gain", "coherence"):
        sides = [
            [seed[name] for seed in (summary.get("judged") or {}).values()]
            for summary in (row["summary"], row["remeasured"])
        ]
        if all(sides):
            found.append(_curse(name, *sides))
    return found


def _curse(name: str, won: Sequence[float], fresh: Sequence[float]) -> Curse:
    difference = sum(won) / len(won) - sum(fresh) / len(fresh)
    if min(len(won), len(fresh)) < 2:
        return Curse(name, difference, None, None)
    from scipy.stats import ttest_ind

    found = ttest_ind(won, fresh, equal_var=False).confidence_interval(1 - ALPHA)
    ends = float(found.low), float(found.high)
    return Curse(name, difference, *(ends if all(map(finite, ends)) else (None, None)))


def race_in_words(sweep: Sweep) -> list[str]:
    """What the race saved, and its winner on fresh seeds; [] where there was none."""
    if not sweep.racing or not sweep.rows:
        return []
    done, full = cost(sweep.rows, sweep.records, sweep.seeds)
    said = [
        f"This is a race: trials earned their seeds. It took {done} heals, fresh seeds included, where all "
        f"{len(sweep.rows)} trials on all {len(sweep.seeds)} seeds would have taken {full}: "
        + (f"{full - done} ({100 * (full - done) / full:.0f}%) saved." if full > done else "nothing was saved.")
    ]
    row = winner(sweep)
    if row is None:
        return [*said, "The winner has not run on fresh seeds yet."]
    again = row["remeasured"]
    found = {one.figure: one for one in curse(sweep)}
    own = found.get("gain")
    said.append(
        f"A winner is picked for its luck as well, so trial {row['trial']} ran again on seeds that decided nothing "
        f"({', '.join(map(str, row['fresh']))}): {again['verdict']}, {_figures(again)}, against "
        f"{_figures(row['summary'])} on the {len(row['ran'])} that it won on."
        + (_told(own, sweep.experiment) if own else "")
    )
    return said


def _told(one: Curse, experiment: str) -> str:
    amount = f"{abs(one.difference):.2g} {units(experiment)[one.figure]}".strip()
    way = "less" if one.difference > 0 else "more"
    sure = {
        None: "; too few seeds say whether that is noise",
        True: ", which is more than noise",
        False: ", within noise",
    }
    ends = "" if one.low is None else f" ({-one.high:+.2f} to {-one.low:+.2f})"
    return f" On fresh seeds it has {amount} {way} {one.figure}{ends}{sure[one.real]}."


def _figures(summary: Mapping) -> str:
    parts = []
    for name, digits in FIGURES:
        value, error = summary.get(name), summary.get(f"{name}_se")
        if finite(value):
            parts.append(f"{name} {value:.{digits}f}" + (f" ± {error:.{digits}f}" if finite(error) else ""))
    return ", ".join(parts) or "no figures"


def race(sweep: Sweep) -> Html | None:
    """The race's section; None in a sweep that is none."""
    if not sweep.racing or not sweep.rows:
        return None
    said = (
        "Every trial begins with the first seed. Those that may be the best get more seeds, heat by heat, those that "
        f"are really worse than the leader by {goal(sweep.objective).figure} get none. Figures over more seeds come "
        "first on the leaderboard, since figures over different seeds do not compare."
    )
    return join([paragraphs([said, race_in_words(sweep)[0]]), _heats(sweep), _seeds(sweep), _again(sweep)])


def _heats(sweep: Sweep) -> Html:
    """What each heat gave to whom."""
    row = winner(sweep)
    fresh = set(row["fresh"]) if row else set()
    first = {number: sweep.seeds[:1] for number in sorted(sweep.by_number)}
    lines = []
    for place, heat in enumerate([first, *sweep.folder.heats], start=1):
        again = any(set(seeds) <= fresh for seeds in heat.values()) if fresh else False
        what = "winner, fresh seeds" if again else "all trials" if place == 1 else "contenders"
        told = f"all {len(heat)} on seed {sweep.seeds[0]}" if place == 1 else heat_in_words(heat)
        lines.append([place, what, told, sum(map(len, heat.values()))])
    return table(("heat", "who", "which seeds", "seeds given"), lines, "Heats", "ntwn")


def _seeds(sweep: Sweep) -> Html:
    """A column per seed: which of them each trial ran."""
    row = winner(sweep)
    columns = [*sweep.seeds, *(row["fresh"] if row else ())]
    lines = []
    for number in sweep.order:
        one = sweep.by_number[number]
        ran, fresh = one.get("ran", ()), one.get("fresh", ())
        fates = (one["summary"].get("seeds") or {}) | ((one.get("remeasured") or {}).get("seeds") or {})
        marks = [_mark(seed, ran, fresh, fates.get(str(seed), one["verdict"])) for seed in columns]
        lines.append([number, params_text(one["params"]), one["verdict"], f"{len(ran)} of {len(sweep.seeds)}", *marks])
    head = ("trial", "settings", "verdict", "ran", *(f"seed {seed}" for seed in columns))
    caption = "Which seeds each trial ran, and how each ended; those after the race's own are fresh"
    return table(head, lines, caption, "nwtt" + "t" * len(columns))


def _mark(seed: int, ran: Sequence[int], fresh: Sequence[int], fate: str) -> str:
    if seed not in ran and seed not in fresh:
        return "–"
    return f"{fate}{' (fresh)' if seed in fresh else ''}"


def _again(sweep: Sweep) -> Html | None:
    """The winner's figures, on the seeds that it won on and on fresh ones."""
    row = winner(sweep)
    if row is None:
        return None
    again, by = row["remeasured"], {one.figure: one for one in curse(sweep)}
    lines = []
    for name, digits in FIGURES:
        one = by.get(name)
        ends = f"{-one.high:+.{digits}f} to {-one.low:+.{digits}f}" if one and one.low is not None else "–"
        lines.append(
            [
                name,
                _one(row["summary"], name, digits),
                _one(again, name, digits),
                f"{-one.difference:+.{digits}f}" if one else "–",
                ends,
                {None: "–", True: "more than noise", False: "within noise"}[one.real if one else None],
            ]
        )
    head = ("figure", f"on {len(row['ran'])} seeds, won", f"on {len(row['fresh'])} fresh", "change", "interval", "so")
    return tag("div", table(head, lines, f"Trial {row['trial']}, the winner, measured again", "tnnnnt"))


def _one(summary: Mapping, name: str, digits: int) -> str:
    error = summary.get(f"{name}_se")
    return figure(summary.get(name), digits) + (f" ± {error:.{digits}f}" if finite(error) else "")
