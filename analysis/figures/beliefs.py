"""Adoption of a belief against how much an adapter was trained, beside the other ways of instilling it."""

from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.beliefs import Arm, arms
from analysis.figures.theme import INK, LINES, MUTED, SERIES, Figure, key, panel
from analysis.load import Sweep

OTHERS = ("prompt", "icl", "steer")


def adoption(sweep: Sweep) -> list[Figure]:
    """One figure per belief that some adapter was trained on."""
    return [
        _figure(belief, of)
        for belief, of in (arms(sweep) if sweep.experiment == "belief" else {}).items()
        if any(arm.via == "lora" for arm in of)
    ]


def _figure(belief: str, of: list[Arm]) -> Figure:
    drawn, axes = panel()
    lora = [arm for arm in of if arm.via == "lora"]
    handles = []
    for place, group in enumerate(dict.fromkeys(_group(arm) for arm in lora)):
        ours = [arm for arm in lora if _group(arm) == group]
        colour = SERIES[place % len(SERIES)]
        style = {"color": colour, "marker": "os^Dv"[place % 5], "linestyle": LINES[place % len(LINES)]}
        shares = [arm.stated("paraphrase") for arm in ours]
        passes = [arm.passes for arm in ours]
        axes.plot(passes, [found.value for found in shares], markersize=6, linewidth=1.3, **style)
        for arm, found in zip(ours, shares):
            axes.plot([arm.passes] * 2, [found.low, found.high], color=colour, linewidth=1)
            if arm.row["verdict"] in ("damaged", "broken"):
                axes.plot(arm.passes, found.value, marker="x", markersize=13, color=INK, linestyle="")
        handles.append(Line2D([], [], label=group, **style))
    for place, via in enumerate(way for way in OTHERS if any(arm.via == way for arm in of)):
        best = max((arm for arm in of if arm.via == via), key=lambda arm: arm.stated("paraphrase").value)
        style = {"color": MUTED, "linestyle": LINES[1 + place], "linewidth": 1.6}
        axes.axhline(best.stated("paraphrase").value, **style)
        handles.append(Line2D([], [], label=best.name, **style))
    if any(arm.row["verdict"] in ("damaged", "broken") for arm in lora):
        handles.append(Line2D([], [], marker="x", markersize=9, color=INK, linestyle="", label="damaged"))
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


def _group(arm: Arm) -> str:
    """Adapters that differ in training alone: the line they share."""
    lr = f", lr {arm.setting('lr'):g}" if "lr" in arm.row["params"] else ""
    return f"lora, {arm.setting('examples')} examples, r {arm.setting('r')}{lr}"
