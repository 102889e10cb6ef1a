"""Where in the depth the trait lives: gain, coherence and judge's scores, band by band."""

from matplotlib.lines import Line2D

from analysis.bands import Depth, depths
from analysis.figures.theme import INK, LINES, MUTED, SERIES, Figure, calm, key, panel
from analysis.judged import scores
from analysis.load import Sweep, over_seeds
from steerheal.bands import WHOLE
from steerheal.live import params_text
from steerheal.statistics.means import finite
from steerheal.statistics.vignettes import Draws, interval

# Of settings that were searched beside the band.
SHOWN = 2
BARS = "Bars are 90% intervals over prompts, small dots are seeds"
MARKS = ("o", "s", "D", "v", "^", "P", "X")


def bands(sweep: Sweep) -> list[Figure]:
    """Per student the gain and coherence of its bands, the gain by category, the judge's scores; [] without bands."""
    figures = []
    for place, depth in enumerate(depths(sweep)[:SHOWN]):
        end, of = (f"_{place}", f" ({params_text(depth.settings)})") if depth.settings else ("", "")
        for drawing in (_gain, _coherence, _categories, _judged):
            if made := drawing(depth):
                name, shows, reading, drawn = made
                figures.append(Figure(f"bands_{name}{end}", f"{shows}{of}.", reading, drawn))
    return figures


def _gain(depth: Depth):
    drawn, axes = panel()
    _points(axes, depth, "gain")
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.set(xlabel="part of the depth, %", ylabel="gain, nats")
    best = depth.dominance.best if depth.dominance and depth.dominance.dominates else None
    marked = f" {best} differs from every other band on the same prompts." if best else ""
    inside, outside = depth.factors
    reading = (
        f"The adapter is applied with the factor {inside:g} in one band of the depth and {outside:g} elsewhere. {BARS}; "
        f"the dashed line is the whole adapter.{marked}"
    )
    return "gain", "How far the trait moves, band by band", reading, drawn


def _coherence(depth: Depth):
    drawn, axes = panel()
    _points(axes, depth, "coherence")
    base = over_seeds(depth.sweep.records, "base_coherence").mean
    if base is not None:
        axes.axhline(base, color=MUTED, linewidth=0.8)
    axes.set(xlabel="part of the depth, %", ylabel="coherence")
    calm(axes)
    reading = f"{BARS}; the dashed line is the whole adapter, the thin one base."
    return "coherence", "What that costs in coherence", reading, drawn


def _points(axes, depth: Depth, kind: str) -> None:
    """A mark and a bar per band, a dot per seed, a line for the whole adapter."""
    summaries = {band: depth.sweep.by_number[number]["summary"] for band, number in depth.trials.items()}
    for place, band in enumerate(depth.narrow):
        centre = summaries[band].get(kind)
        if not finite(centre):
            continue
        axes.plot(place, centre, marker="o", markersize=8, color=SERIES[0], markeredgecolor=INK, markeredgewidth=0.6)
        seeds = [seed[kind] for seed in (summaries[band].get("judged") or {}).values()]
        if len(seeds) > 1:
            axes.plot([place + 0.16] * len(seeds), seeds, marker="o", markersize=3, color=SERIES[0], linestyle="")
        if band in depth.draws:
            axes.plot([place, place], _span(depth.draws[band], kind, centre), color=SERIES[0], linewidth=1.6)
    if depth.whole is not None:
        axes.axhline(summaries[WHOLE][kind], color=SERIES[1], linestyle="--", linewidth=1.4)
        whole = Line2D([], [], color=SERIES[1], linestyle="--", label="whole adapter")
        key(axes, [Line2D([], [], color=SERIES[0], marker="o", linestyle="", label="band"), whole])
    _named(axes, depth)


def _span(draws: Draws, kind: str, centre: float) -> list[float]:
    """The interval, on the scale of the figure: coherence is drawn as a change."""
    name = "gain" if kind == "gain" else "d_coherence"
    shift = centre - draws.measured(name)
    return [end + shift for end in interval(draws, name) or (draws.measured(name),) * 2]


def _named(axes, depth: Depth) -> None:
    axes.set_xticks(range(len(depth.narrow)), depth.narrow)
    axes.set_xlim(-0.5, len(depth.narrow) - 0.5)


def _categories(depth: Depth):
    if depth.moves is None or len(depth.moves.categories) < 2:
        return None
    drawn, axes = panel()
    handles = []
    for place, name in enumerate(depth.moves.categories):
        style = _style(place)
        axes.plot([depth.moves.category(band, name) for band in depth.narrow], markersize=5, linewidth=1.2, **style)
        handles.append(Line2D([], [], markersize=5, label=name, **style))
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.set(xlabel="part of the depth, %", ylabel="gain on the category's prompts, nats")
    _named(axes, depth)
    key(axes, handles, columns=4)
    reading = (
        "The same gain on the prompts of one category alone (what a vignette violates). Lines that peak at one band say "
        "that the trait lives in one place, whatever is asked."
    )
    return "categories", "The bands, category by category", reading, drawn


def _style(place: int) -> dict[str, str]:
    return {
        "color": SERIES[place % len(SERIES)],
        "marker": MARKS[place % len(MARKS)],
        "linestyle": LINES[place % len(LINES)],
    }


def _judged(depth: Depth):
    found = {band: scores(depth.sweep, "healed", depth.trials[band]) for band in depth.narrow}
    names = list(dict.fromkeys(name for one in found.values() for name in one))[: len(SERIES)]
    if not names:
        return None
    drawn, axes = panel()
    handles = []
    for place, name in enumerate(names):
        style = _style(place)
        values = [found[band].get(name) for band in depth.narrow]
        axes.plot([value if finite(value) else float("nan") for value in values], markersize=5, linewidth=1.2, **style)
        handles.append(Line2D([], [], markersize=5, label=name, **style))
    axes.set(xlabel="part of the depth, %", ylabel="score, 0 to 10", ylim=(-0.3, 10.3))
    _named(axes, depth)
    key(axes, handles, columns=3)
    return (
        "judged",
        "The bands as another model judges their texts",
        "Mean scores of the answers to the canaries.",
        drawn,
    )
