"""A race (`repeats: race`): seeds for the trials that may be the best, none for clear losers.

Every trial runs on the first seed. Then come heats, in each of which the contenders get up to twice as many
seeds, until they have run all of them or only one is left. Contenders are

    while nothing is repeated   the better half of the feasible trials, and at least two: one seed cannot say
                                what noise is;
    from then on                the feasible trials that are not really worse than the leader, by differences
                                paired over the seeds they share, against the noise pooled over all repeats.

So a trial that the first rule left behind comes back if its one seed was within noise after all. The winner was
picked for its luck as well as its worth (the winner's curse), so it runs again on fresh seeds, which are
reported apart and decide nothing. Pure functions on the rows of trials.jsonl.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from steerheal.config.objectives import Objective
from steerheal.standings import differences, ranked
from steerheal.statistics.ties import tied

Row = Mapping[str, Any]
# The level at which a loser is told from the leader, for all pairs at once. It is not that of a claim
# (`levels.ALPHA`): with few seeds that would drop nobody, and every heal that a loser gets is lost.
ALPHA = 0.2
LEAST_CONTENDERS = 2
LEAST_FRESH = 2


def contenders(rows: Sequence[Row], objective: Objective) -> list[int]:
    """The trials that may be the best, best first."""
    order = ranked(rows, objective)
    marks = tied(order, differences(rows, objective, ALPHA))
    if all(mark is None for mark in marks.values()):
        return order[: max(LEAST_CONTENDERS, math.ceil(len(order) / 2))]
    return [number for number in order if marks[number] is not False]


def next_heat(rows: Sequence[Row], seeds: Sequence[int], objective: Objective) -> dict[int, list[int]]:
    """trial → the seeds that it runs next; empty when the race is decided."""
    ran = {row["trial"]: row["ran"] for row in rows}
    going = contenders(rows, objective)
    if len(going) < 2:
        return {}
    level = min(2 * min(len(ran[number]) for number in going), len(seeds))
    lacking = {number: [seed for seed in seeds[:level] if seed not in ran[number]] for number in going}
    return {number: seeds for number, seeds in lacking.items() if seeds}


def last_lap(rows: Sequence[Row], seeds: Sequence[int], objective: Objective) -> dict[int, list[int]]:
    """The winner and its fresh seeds, half as many as the race's; empty if it has run them, or nobody won."""
    winner = next(iter(ranked(rows, objective)), None)
    if winner is None or next(row for row in rows if row["trial"] == winner)["fresh"]:
        return {}
    first = max(seeds) + 1
    return {winner: list(range(first, first + max(LEAST_FRESH, math.ceil(len(seeds) / 2))))}


def heat_in_words(heat: Mapping[int, Sequence[int]]) -> str:
    """`trials 0, 4 on seeds 2, 3; trial 7 on seed 1`."""
    together: dict[tuple[int, ...], list[int]] = {}
    for number, seeds in heat.items():
        together.setdefault(tuple(seeds), []).append(number)
    return "; ".join(
        f"{_counted('trial', numbers)} on {_counted('seed', seeds)}" for seeds, numbers in together.items()
    )


def _counted(name: str, numbers: Sequence[int]) -> str:
    return f"{name}{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def cost(rows: Sequence[Row], records: Sequence[Row], seeds: Sequence[int]) -> tuple[int, int]:
    """(heals of the race, fresh seeds included; heals if every trial ran on every seed as it did on those it had)."""
    healed = [(record["trial"], record["seed"]) for record in records if record["heal"] is not None]
    full = 0.0
    for row in rows:
        own = sum(trial == row["trial"] and seed in row["ran"] for trial, seed in healed)
        full += own * len(seeds) / len(row["ran"])
    return len(healed), round(full)


def in_words(rows: Sequence[Row], records: Sequence[Row], seeds: Sequence[int], objective: Objective) -> list[str]:
    """What the race cost, and what its winner is worth on fresh seeds: a line each."""
    done, full = cost(rows, records, seeds)
    lines = [f"race: {done} heals instead of {full} ({len(rows)} trials on {len(seeds)} seeds)"]
    order = ranked(rows, objective)
    winner = next((row for row in rows if row["trial"] in order[:1] and row["fresh"]), None)
    if winner:
        again = winner["remeasured"]
        fresh = ", ".join(map(str, winner["fresh"]))
        lines.append(
            f"winner: trial {winner['trial']}; on fresh seeds ({fresh}) {again['verdict']}, {_figures(again)}; "
            f"on the {len(winner['ran'])} that it won on {_figures(winner['summary'])}"
        )
    return lines


def _figures(summary: Mapping[str, Any]) -> str:
    parts = []
    for name, digits in (("slope", 3), ("gain", 3), ("coherence", 4)):
        value, error = summary.get(name), summary.get(f"{name}_se")
        if value is not None:
            parts.append(f"{name} {value:.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None else ""))
    return ", ".join(parts) or "no figures"
