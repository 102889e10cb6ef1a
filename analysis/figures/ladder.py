"""The barrier's ladder: gain, coherence and heal loss against the barrier's strength lam, per regulariser."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.lines import Line2D

from analysis.figures.theme import LINES, Figure, calm, colour, key, line, logarithmic, panel
from analysis.load import REGS, Sweep, heal_loss
from steerheal.statistics.means import Mean, finite, mean

SHAPES = {"nll": "s", "kl_rev": "o", "kl_fwd": "^"}
Value = Callable[[dict], float | None]


@dataclass(frozen=True)
class _Point:
    reg: str
    lam: float
    others: str
    seeds: list[float]
    value: Mean


def ladder(sweep: Sweep) -> list[Figure]:
    """Three figures; [] in a sweep that did not vary lam."""
    strengths = {sweep.setting(row, "lam") for row in sweep.rows if sweep.reg(row) != "nll"}
    if len(strengths - {None}) < 2:
        return []
    wanted = (
        (
            "lam_gain",
            "gain, nats",
            lambda record: record.get("gain"),
            "Trait that stays as the barrier grows.",
            "A barrier that holds harder should leave less of the trait.",
        ),
        (
            "lam_coherence",
            "coherence",
            lambda record: record.get("coherence"),
            "Coherence as the barrier grows.",
            "This is what the barrier is for: does coherence rise with its strength?",
        ),
        (
            "lam_heal_loss",
            "held-out nll, nats per token",
            heal_loss,
            "How well the healed model learned the texts.",
            "Loss on completions kept aside; a barrier that holds too hard cannot learn them.",
        ),
    )
    figures = [_figure(sweep, *one) for one in wanted]
    return [figure for figure in figures if figure]


def _figure(sweep: Sweep, name: str, label: str, value: Value, shows: str, why: str) -> Figure | None:
    points = [point for row in sweep.rows if (point := _point(sweep, row, value))]
    barred = [point for point in points if point.reg != "nll" and point.lam > 0]
    free = mean([point.value.mean for point in points if point.reg == "nll"])
    if not barred:
        return None
    drawn, axes = panel()
    for reg in sorted({point.reg for point in barred}):
        _series(axes, [point for point in barred if point.reg == reg], reg)
    handles = [
        Line2D([], [], marker=SHAPES.get(reg, "D"), color=colour(reg), linestyle=line(reg), label=reg)
        for reg in REGS
        if any(point.reg == reg for point in barred)
    ]
    if free.mean is not None:
        axes.axhline(free.mean, color=colour("nll"), linestyle=LINES[1], linewidth=1.3)
        handles.append(
            Line2D([], [], color=colour("nll"), linestyle=LINES[1], label=f"nll, no barrier (mean of {free.n})")
        )
    axes.set(xscale="log", xlabel="lam, the strength of the barrier", ylabel=label)
    logarithmic(axes.xaxis)
    if label == "coherence":
        calm(axes)
    key(axes, handles)
    joined = "; trials that differ in nothing else are joined" if _steps(barred) else ""
    reading = f"{why} A mark is a trial, with its standard error over seeds where it has several{joined}."
    return Figure(name, shows, reading, drawn)


def _point(sweep: Sweep, row: dict, value: Value) -> _Point | None:
    seeds = [found for record in sweep.last(row["trial"]) if finite(found := value(record))]
    lam = sweep.setting(row, "lam")
    if not seeds or not finite(lam):
        return _Point("nll", 0.0, "", seeds, mean(seeds)) if seeds and sweep.reg(row) == "nll" else None
    others = str(sorted((name, str(item)) for name, item in row["params"].items() if name != "lam"))
    return _Point(sweep.reg(row), lam, others, seeds, mean(seeds))


def _series(axes, points: list[_Point], reg: str) -> None:
    for point in points:
        shade = colour(reg)
        axes.errorbar(
            point.lam,
            point.value.mean,
            yerr=point.value.se,
            marker=SHAPES.get(reg, "D"),
            markersize=6,
            color=shade,
            elinewidth=1,
            capsize=2,
            linestyle="",
        )
    for group in _steps(points):
        axes.plot(
            [p.lam for p in group],
            [p.value.mean for p in group],
            color=colour(reg),
            linestyle=line(reg),
            linewidth=1,
        )


def _steps(points: list[_Point]) -> list[list[_Point]]:
    """Points that differ in lam alone, by lam; groups of two at least."""
    groups: dict[str, list[_Point]] = {}
    for point in sorted(points, key=lambda point: point.lam):
        groups.setdefault(point.others, []).append(point)
    return [group for group in groups.values() if len(group) > 1 and group[0].lam < group[-1].lam]
