"""Trait against coherence: what each trial gained, and what it cost."""

from matplotlib.lines import Line2D

from analysis.figures.theme import INK, MARKS, MUTED, Figure, calm, colour, fill, key, panel
from analysis.load import REGS, Sweep
from steerheal.statistics.means import finite


def trait_coherence(sweep: Sweep) -> Figure | None:
    """Gain against coherence, a large mark per trial and a small one per seed; None without a figure to show."""
    rows = [
        row
        for row in sweep.rows
        if finite(row["summary"].get("gain")) and finite(row["summary"].get("coherence"))
    ]
    if not rows:
        return None
    drawn, axes = panel()
    for row in rows:
        _trial(axes, row, sweep.reg(row))
    base = next(
        (record["base_coherence"] for record in sweep.records if finite(record.get("base_coherence"))), None
    )
    axes.axvline(0, color=MUTED, linewidth=0.8)
    if base is not None:
        axes.axhline(base, color=MUTED, linewidth=0.8)
        axes.plot(0, base, marker="+", markersize=12, markeredgewidth=2, color=INK, linestyle="")
        axes.annotate("base", (0, base), xytext=(6, 5), textcoords="offset points", color=MUTED, fontsize=9)
    known = {row["trial"]: row["summary"] for row in rows}
    first = next(number for number in sweep.order if number in known)
    leader = known[first]
    axes.annotate(
        f"{first}",
        (leader["gain"], leader["coherence"]),
        xytext=(7, 5),
        textcoords="offset points",
        fontsize=9,
        weight="bold",
    )
    axes.set(xlabel="gain: nats moved as intended, against base", ylabel="coherence")
    axes.margins(0.09)
    calm(axes)
    key(axes, _key(sweep, rows))
    seeds = " Small dots are its seeds." if len(sweep.seeds) > 1 else ""
    reading = (
        "Further right is more of the intended trait, further up is more coherent text; the cross is the model "
        "before anything was done to it. A large mark is a trial, its shape is the verdict, its colour and filling "
        f"the regulariser.{seeds} The number is the trial that leads the leaderboard."
    )
    return Figure("trait_coherence", "What each trial gained, and what it cost.", reading, drawn)


def _trial(axes, row: dict, reg: str) -> None:
    shade, summary = colour(reg), row["summary"]
    centre = summary["gain"], summary["coherence"]
    judged = list((summary.get("judged") or {}).values())
    for seed in judged if len(judged) > 1 else ():
        axes.plot(*zip(centre, (seed["gain"], seed["coherence"])), color=shade, linewidth=0.6, alpha=0.5)
        axes.plot(
            seed["gain"], seed["coherence"], marker="o", markersize=3, color=shade, alpha=0.7, linestyle=""
        )
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
