"""Trajectories: from base, through every round's steering and healing."""

from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis.figures.theme import INK, MUTED, Figure, calm, colour, key, line, panel
from analysis.load import Sweep, over_seeds
from steerheal.statistics.means import finite

SHOWN = 6
WHAT = (
    ("rounds_gain", "gain", "steered_gain", "gain, nats", "Trait, round by round."),
    ("rounds_coherence", "coherence", "steered_coherence", "coherence", "Coherence, round by round."),
)


def trajectories(sweep: Sweep) -> list[Figure]:
    """Gain and coherence over rounds of the leading trials, with base and base steered; [] without a record."""
    leading = [n for n in sweep.order if any(finite(r.get("gain")) for r in sweep.rounds(n))][:SHOWN]
    return [_figure(sweep, leading, *one) for one in WHAT] if leading else []


def _figure(sweep: Sweep, leading: list[int], name: str, healed: str, steered: str, label: str, shows: str) -> Figure:
    drawn, axes = panel()
    records = [record for record in sweep.records if finite(record.get("base_coherence"))]
    start = 0.0 if healed == "gain" else over_seeds(records, "base_coherence").mean
    for place, number in enumerate(reversed(leading)):
        best = place == len(leading) - 1
        _trial(axes, sweep, number, healed, start, best)
    _steered(axes, sweep, leading[0], steered)
    if start is not None:
        axes.axhline(start, color=MUTED, linewidth=0.8)
        axes.annotate(
            "base",
            (1, start),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 3),
            ha="right",
            textcoords="offset points",
            color=MUTED,
            fontsize=9,
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda place, _: "base" if place == -1 else f"{place:g}"))
    axes.set(xlabel="round", ylabel=label)
    if healed == "coherence":
        calm(axes)
    key(axes, _key(sweep, leading))
    seeds = " Bars are standard errors over seeds." if len(sweep.seeds) > 1 else ""
    reading = (
        f"A line is one of the {len(leading)} leading trials after healing (the best is thick); each round steers "
        "again, heals again, and builds on the one before. Diamonds: the original model merely steered, with the "
        f"best trial's dose of that round, not healed.{seeds}"
        if len(leading) > 1
        else "The line is the trial after healing; diamonds are the original model merely steered with its dose of "
        f"that round, not healed.{seeds}"
    )
    return Figure(name, shows, reading, drawn)


def _means(sweep: Sweep, number: int, name: str) -> list[tuple[int, float, float | None]]:
    """(round, mean, standard error) where the figure exists."""
    rounds = sorted({record["round"] for record in sweep.rounds(number)})
    found = [(round_, over_seeds([r for r in sweep.rounds(number) if r["round"] == round_], name)) for round_ in rounds]
    return [(round_, value.mean, value.se) for round_, value in found if value.mean is not None]


def _trial(axes, sweep: Sweep, number: int, name: str, start: float | None, best: bool) -> None:
    points = _means(sweep, number, name)
    if not points:
        return
    reg = sweep.reg(sweep.by_number[number])
    head = [(-1, start, None)] if start is not None else []
    rounds, values, errors = zip(*head, *points)
    axes.errorbar(
        rounds,
        values,
        yerr=[error or 0.0 for error in errors],
        color=colour(reg),
        linestyle=line(reg),
        linewidth=2.4 if best else 1.1,
        marker="o",
        markersize=5 if best else 3.5,
        elinewidth=0.9,
        alpha=1.0 if best else 0.7,
    )
    if best:
        axes.annotate(
            f"{number}",
            (rounds[-1], values[-1]),
            xytext=(6, -3),
            textcoords="offset points",
            weight="bold",
            fontsize=9,
        )


def _steered(axes, sweep: Sweep, number: int, name: str) -> None:
    points = _means(sweep, number, name)
    if points:
        rounds, values, _ = zip(*points)
        axes.plot(rounds, values, marker="D", markersize=6, markerfacecolor="none", color=INK, linestyle="")


def _key(sweep: Sweep, leading: list[int]) -> list[Line2D]:
    regs = dict.fromkeys(sweep.reg(sweep.by_number[number]) for number in leading)
    steered = Line2D([], [], marker="D", markerfacecolor="none", color=INK, linestyle="", label="steered, not healed")
    return [Line2D([], [], color=colour(reg), linestyle=line(reg), label=reg) for reg in regs] + [steered]
