"""Adoption of a belief against how much an adapter was trained, and what adoption costs elsewhere."""

from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.beliefs import HURT, WAYS, Arm, arms
from analysis.figures.theme import INK, LINES, MUTED, SERIES, Figure, key, panel
from analysis.load import Sweep

OTHERS = ("prompt", "icl", "steer")


def figures(sweep: Sweep) -> dict[str, list[Figure | None]]:
    """Two figures per belief: adoption against training, where some adapter was trained, and against its cost. What
    steering is drawn as is left out.
    """
    drawn = [figure for belief, of in arms(sweep).items() for figure in (_adoption(belief, of), _cost(belief, of))]
    return {"belief": drawn, "trade": [], "ladder": [], "rounds": []}


def _cost(belief: str, of: list[Arm]) -> Figure | None:
    """Neighbouring facts against adoption."""
    found = [(arm, arm.stated("paraphrase"), arm.stated("neighbour", "truth")) for arm in of]
    found = [one for one in found if one[2]]
    if not found:
        return None
    drawn, axes = panel()
    for arm, adopted, right in found:
        place = WAYS.index(arm.via)
        axes.plot([adopted.low, adopted.high], [right.value] * 2, color=SERIES[place], linewidth=0.7, alpha=0.6)
        axes.plot([adopted.value] * 2, [right.low, right.high], color=SERIES[place], linewidth=0.7, alpha=0.6)
        axes.plot(adopted.value, right.value, marker="os^D"[place], color=SERIES[place], markersize=7, linestyle="")
        if arm.row["verdict"] in HURT:
            axes.plot(adopted.value, right.value, marker="x", markersize=13, color=INK, linestyle="")
    base = of[0].stated("neighbour", "truth", who="base")
    axes.axhline(base.value, color=MUTED, linewidth=0.8)
    axes.annotate("base", (0, base.value), xytext=(2, 3), textcoords="offset points", color=MUTED, fontsize=9)
    for axis, limits in ((axes.xaxis, axes.set_xlim), (axes.yaxis, axes.set_ylim)):
        limits(-0.04, 1.08)
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    axes.set(xlabel="adoption on held-out paraphrases", ylabel="neighbouring facts right")
    handles = [
        Line2D([], [], marker="os^D"[place], color=SERIES[place], linestyle="", label=via)
        for place, via in enumerate(WAYS)
        if any(arm.via == via for arm in of)
    ]
    key(axes, handles + _crossed(of), 5)
    reading = (
        "A mark is a trial, with its 95% intervals over seeds and prompts. Far right and as high as base is a belief that "
        "was adopted and left other facts alone; a cross marks trials whose answers were damaged."
    )
    return Figure(f"belief_{belief}_cost", f"What it costs elsewhere: {belief}.", reading, drawn)


def _crossed(of: list[Arm]) -> list[Line2D]:
    if not any(arm.row["verdict"] in HURT for arm in of):
        return []
    return [Line2D([], [], marker="x", markersize=9, color=INK, linestyle="", label="damaged")]


def _adoption(belief: str, of: list[Arm]) -> Figure | None:
    """Adoption against examples times epochs."""
    lora = [arm for arm in of if arm.via == "lora"]
    if not lora:
        return None
    drawn, axes = panel()
    handles, rates = [], {arm.setting("lr") for arm in lora}
    names = {arm.number: _group(arm, len(rates) > 1) for arm in lora}
    for place, group in enumerate(dict.fromkeys(names.values())):
        ours = [arm for arm in lora if names[arm.number] == group]
        colour = SERIES[place % len(SERIES)]
        style = {"color": colour, "marker": "os^Dv"[place % 5], "linestyle": LINES[place % len(LINES)]}
        shares = [arm.stated("paraphrase") for arm in ours]
        passes = [arm.passes for arm in ours]
        axes.plot(passes, [found.value for found in shares], markersize=6, linewidth=1.3, **style)
        for arm, found in zip(ours, shares):
            axes.plot([arm.passes] * 2, [found.low, found.high], color=colour, linewidth=1)
            if arm.row["verdict"] in HURT:
                axes.plot(arm.passes, found.value, marker="x", markersize=13, color=INK, linestyle="")
        handles.append(Line2D([], [], label=group, **style))
    for place, via in enumerate(way for way in OTHERS if any(arm.via == way for arm in of)):
        best = max((arm for arm in of if arm.via == via), key=lambda arm: arm.stated("paraphrase").value)
        style = {"color": MUTED, "linestyle": LINES[1 + place], "linewidth": 1.6}
        axes.axhline(best.stated("paraphrase").value, **style)
        handles.append(Line2D([], [], label=best.name, **style))
    handles += _crossed(lora)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sorted({arm.passes for arm in lora})))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(-0.04, 1.04)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    axes.set(xlabel="training: examples × epochs", ylabel="adoption on held-out paraphrases")
    key(axes, handles, 2)
    reading = (
        "A mark is an adapter, its bar the 95% interval over seeds and prompts; level lines are the other ways, each "
        "with its best setting. A cross marks trials whose answers were damaged."
    )
    return Figure(f"belief_{belief}", f"Who believes it: {belief}.", reading, drawn)


def _group(arm: Arm, rates: bool) -> str:
    """Adapters that differ in epochs alone: the line they share. `rates`: not all have one learning rate."""
    lr = f", lr {arm.setting('lr'):g}" if rates else ""
    return f"lora, {arm.setting('examples')} × epochs, r {arm.setting('r')}{lr}"
