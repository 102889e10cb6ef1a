"""What healing did: the held-out loss from before training on, and how hard the barrier pulled."""

from collections.abc import Sequence

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.figures.theme import INK, LINES, MUTED, SERIES, Figure, key, panel
from analysis.load import Sweep
from steerheal.statistics.means import finite, mean

SHOWN = 5


def healing(sweep: Sweep) -> list[Figure]:
    """The held-out loss over epochs, and the pressure over steps; those of which something was recorded."""
    return [figure for figure in (held_out(sweep), pressure(sweep)) if figure]


def held_out(sweep: Sweep) -> Figure | None:
    """Held-out nll per epoch of the leading trials' first round."""
    chosen = _spread(sweep, [n for n in sweep.order if _curve(sweep, n, "validation", "epoch", "nll")])
    if not chosen:
        return None
    drawn, axes = panel()
    handles = _lines(axes, sweep, chosen, "validation", "epoch", "nll")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch (0: before training)", ylabel="held-out nll, nats per token")
    key(axes, handles, 2)
    reading = (
        "Loss on kept completions that were set aside from training, in the first round; it should fall from its "
        "value before training. Lines are means over seeds."
    )
    return Figure("heal_loss", "Healing learns the kept completions.", reading, drawn)


def pressure(sweep: Sweep) -> Figure | None:
    """The barrier's gradient over the loss's, in the first round; None where there was no barrier."""
    chosen = _spread(sweep, [n for n in sweep.order if _curve(sweep, n, "pressure", "step", "ratio")])
    if not chosen:
        return None
    drawn, axes = panel()
    handles = _lines(axes, sweep, chosen, "pressure", "step", "ratio")
    axes.axhline(1, color=INK, linewidth=0.9)
    axes.annotate(
        "as hard as the loss",
        (0, 1),
        xycoords=("axes fraction", "data"),
        xytext=(3, 3),
        textcoords="offset points",
        fontsize=8.5,
        color=MUTED,
    )
    axes.set_yscale("symlog", linthresh=0.01)
    axes.set_ylim(0, max(3.0, axes.get_ylim()[1]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="training step", ylabel="barrier's gradient / loss's gradient")
    key(axes, handles, 2)
    reading = (
        "At 0 the barrier does nothing; at 1 it pulls as hard as the training itself; far above, it decides alone. "
        "First round, means over seeds."
    )
    return Figure("pressure", "Is the barrier doing anything, or everything?", reading, drawn)


def _curve(sweep: Sweep, number: int, name: str, x: str, y: str) -> list[tuple[int, float]]:
    """(x, mean over seeds) of a heal curve of the first round."""
    found: dict[int, list[float]] = {}
    for record in sweep.rounds(number):
        for point in (record.get("heal") or {}).get(name) or () if record["round"] == 0 else ():
            if finite(point.get(y)):
                found.setdefault(point[x], []).append(point[y])
    return [(place, mean(values).mean) for place, values in sorted(found.items())]


def _spread(sweep: Sweep, numbers: Sequence[int]) -> list[int]:
    """At most SHOWN trials: all strengths of the barrier from the weakest to the strongest, evenly."""
    by_lam = sorted(numbers, key=lambda n: (_lam(sweep, n), n))
    if len(by_lam) <= SHOWN:
        return by_lam
    return [by_lam[round(place * (len(by_lam) - 1) / (SHOWN - 1))] for place in range(SHOWN)]


def _lam(sweep: Sweep, number: int) -> float:
    row = sweep.by_number[number]
    lam = sweep.setting(row, "lam")
    return lam if sweep.reg(row) != "nll" and finite(lam) else 0.0


def _lines(axes, sweep: Sweep, chosen: Sequence[int], name: str, x: str, y: str) -> list[Line2D]:
    handles = []
    for place, number in enumerate(chosen):
        style = {"color": SERIES[place], "linestyle": LINES[place % len(LINES)], "marker": "os^Dv"[place]}
        places, values = zip(*_curve(sweep, number, name, x, y))
        axes.plot(places, values, markersize=4, linewidth=1.4, markevery=max(1, len(places) // 8), **style)
        row = sweep.by_number[number]
        lam = f", lam {_lam(sweep, number):.2g}" if sweep.reg(row) != "nll" else ""
        handles.append(Line2D([], [], label=f"{number}: {sweep.reg(row)}{lam}", **style))
    return handles
