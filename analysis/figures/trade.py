"""Trait against coherence: what each trial gained, and what it cost."""

from matplotlib.lines import Line2D

from analysis.figures.theme import INK, LINES, MARKS, MUTED, PAPER, Figure, calm, colour, fill, key, panel
from analysis.load import REGS, Sweep
from analysis.race import winner
from analysis.vignettes import ONE, span, sweep_draws
from steerheal.experiments.steer import ASKED
from steerheal.standings import front, references
from steerheal.statistics.means import finite


def trait_coherence(sweep: Sweep) -> Figure | None:
    """Gain against coherence, a large mark per trial and a small one per seed; None without a figure to show."""
    rows = [row for row in sweep.rows if finite(row["summary"].get("gain")) and finite(row["summary"].get("coherence"))]
    if not rows:
        return None
    drawn, axes = panel()
    spans = _spans(axes, sweep, rows) if not sweep.repeated else False
    for row in rows:
        _trial(axes, row, sweep.reg(row))
    again = _again(axes, sweep)
    base = next((record["base_coherence"] for record in sweep.records if finite(record.get("base_coherence"))), None)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    if base is not None:
        axes.axhline(base, color=MUTED, linewidth=0.8)
        axes.plot(0, base, marker="+", markersize=12, markeredgewidth=2, color=INK, linestyle="")
        axes.annotate("base", (0, base), xytext=(6, 5), textcoords="offset points", color=MUTED, fontsize=9)
    asked = _asked(axes, sweep)
    named = _named(axes, sweep, rows)
    axes.set(xlabel="gain: nats moved as intended, against base", ylabel="coherence")
    axes.margins(0.09)
    calm(axes)
    key(axes, _key(sweep, rows))
    seeds = " Small dots are its seeds." if sweep.repeated else ""
    seeds += f" Bars are 90% intervals {ONE}; with one seed there are none over seeds." if spans else ""
    seeds += " The cross in a ring is the race's winner, measured again on fresh seeds." if again else ""
    reading = (
        "Further right is more of the intended trait, further up is more coherent text; the cross is the model "
        "before anything was done to it. A large mark is a trial, its shape is the verdict, its colour and filling "
        f"the regulariser.{seeds}{asked} {named}"
    )
    return Figure("trait_coherence", "What each trial gained, and what it cost.", reading, drawn)


def _named(axes, sweep: Sweep, rows: list[dict]) -> str:
    """The objective in the picture: the leader's number, the coherence that is asked for, or the front."""
    known = {row["trial"]: row["summary"] for row in rows}
    first = next(number for number in sweep.order if number in known)
    if sweep.objective.kind == "pareto" and (on := front(sweep.rows, sweep.objective)):
        steps = sorted((known[number]["gain"], known[number]["coherence"]) for number in on)
        axes.step(*zip(*steps), where="pre", color=INK, linewidth=0.9, linestyle=LINES[2], zorder=1)
        for number in on:
            _number(axes, number, known[number])
        return "Numbers and the dotted line are the front of the means: no other trial has more of both."
    _number(axes, first, known[first])
    least = sweep.objective.coherence
    if least is None:
        return "The number is the trial that leads the leaderboard."
    axes.axhline(least, color=INK, linewidth=0.9, linestyle=LINES[2])
    axes.annotate(
        f"{least:g} asked for",
        (0, least),
        xycoords=("axes fraction", "data"),
        xytext=(3, 3),
        textcoords="offset points",
        color=MUTED,
        fontsize=9,
    )
    return "The number is the trial that leads the leaderboard: the most gain on or above the dotted line."


def _asked(axes, sweep: Sweep) -> str:
    """Base under the persona's prompts, as stars; what to say of them."""
    told = references(sweep.records)
    points = {name: told[name] for name in ASKED if name in told and None not in told[name]}
    for name, point in points.items():
        axes.plot(*point, marker="*", markersize=12, markerfacecolor=PAPER, color=INK, linestyle="", zorder=1)
        axes.annotate(name, point, xytext=(0, -15), textcoords="offset points", ha="center", color=MUTED, fontsize=9)
    return " A star is base that was merely asked, by a system prompt." if points else ""


def _number(axes, number: int, summary: dict) -> None:
    axes.annotate(
        f"{number}",
        (summary["gain"], summary["coherence"]),
        xytext=(7, 5),
        textcoords="offset points",
        fontsize=9,
        weight="bold",
    )


def _spans(axes, sweep: Sweep, rows: list[dict]) -> bool:
    """Intervals over vignettes as thin bars, the change of coherence set off from base's."""
    draws, shown = sweep_draws(sweep), False
    for row in rows:
        gain, change = (span(draws.get(row["trial"]), kind) for kind in ("gain", "d_coherence"))
        if gain is None or change is None:
            continue
        summary, shown = row["summary"], True
        base = summary["coherence"] - summary["d_coherence"]
        shade = {"color": colour(sweep.reg(row)), "linewidth": 0.9, "alpha": 0.6, "zorder": 1}
        axes.plot(gain, [summary["coherence"]] * 2, **shade)
        axes.plot([summary["gain"]] * 2, [base + end for end in change], **shade)
    return shown


def _again(axes, sweep: Sweep) -> bool:
    """A race's winner on fresh seeds, joined to what it won with."""
    row = winner(sweep)
    ends = [row["summary"], row["remeasured"]] if row else []
    points = [(summary.get("gain"), summary.get("coherence")) for summary in ends]
    if not points or not all(finite(value) for point in points for value in point):
        return False
    axes.plot(*zip(*points), color=INK, linewidth=0.7, linestyle=LINES[1])
    axes.plot(*points[1], marker="o", markersize=11, markerfacecolor="none", color=INK, linestyle="")
    axes.plot(*points[1], marker="x", markersize=6, color=INK, linestyle="")
    return True


def _trial(axes, row: dict, reg: str) -> None:
    shade, summary = colour(reg), row["summary"]
    centre = summary["gain"], summary["coherence"]
    judged = list((summary.get("judged") or {}).values())
    for seed in judged if len(judged) > 1 else ():
        axes.plot(*zip(centre, (seed["gain"], seed["coherence"])), color=shade, linewidth=0.6, alpha=0.5)
        axes.plot(seed["gain"], seed["coherence"], marker="o", markersize=3, color=shade, alpha=0.7, linestyle="")
    axes.plot(
        *centre,
        marker=MARKS.get(row["verdict"], "X"),
        markersize=8,
        color=shade,
        linestyle="",
        **fill(reg),
        **({} if fill(reg)["fillstyle"] == "none" else {"markeredgecolor": INK, "markeredgewidth": 0.6}),
    )


def _key(sweep: Sweep, rows: list[dict]) -> list[Line2D]:
    regs = {sweep.reg(row) for row in rows}
    verdicts = {row["verdict"] for row in rows}
    shades = [
        Line2D([], [], marker="o", color=colour(reg), linestyle="", markersize=7, label=reg, **fill(reg))
        for reg in sorted(regs, key=lambda reg: (REGS.index(reg) if reg in REGS else len(REGS), reg))
    ]
    shapes = [
        Line2D([], [], marker=mark, color=MUTED, linestyle="", markersize=7, label=verdict)
        for verdict, mark in MARKS.items()
        if verdict in verdicts and len(verdicts) > 1
    ]
    return shades + shapes
