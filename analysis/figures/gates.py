"""The filter: what share of the steered completions each gate dropped, dose by dose."""

from collections import Counter

from matplotlib.patches import Patch

from analysis.figures.theme import GRID, INK, SERIES, Figure, key, panel
from analysis.load import Sweep

# Kept last, so that it lies at the bottom; hatches tell the gates apart in grey.
HATCHES = ("///", "...", "xxx", "\\\\\\", "+++", "ooo", "---")
MOST_BARS = 14
KEPT = "kept"


def counted(sweep: Sweep) -> dict[float, Counter]:
    """dose → how many completions each gate dropped, and how many were kept."""
    found: dict[float, Counter] = {}
    for line in sweep.collected():
        if isinstance(line.get("dose"), int | float):
            found.setdefault(round(float(line["dose"]), 4), Counter())[line.get("gate") or KEPT] += 1
    return dict(sorted(found.items()))


def drops(sweep: Sweep) -> Figure | None:
    """Stacked shares per dose; None where no completion with a dose is recorded."""
    doses = counted(sweep)
    if not doses:
        return None
    bars = _binned(doses)
    gates = [gate for gate, _ in sum(doses.values(), Counter()).most_common() if gate != KEPT]
    drawn, axes = panel()
    bottom = [0.0] * len(bars)
    for place, name in enumerate([KEPT, *gates]):
        shares = [100 * counts[name] / counts.total() for _, counts in bars]
        shade = GRID if name == KEPT else SERIES[(place - 1) % len(SERIES)]
        hatch = "" if name == KEPT else HATCHES[(place - 1) % len(HATCHES)]
        axes.bar(range(len(bars)), shares, 0.82, bottom, color=shade, hatch=hatch, edgecolor=INK, linewidth=0.5)
        bottom = [below + share for below, share in zip(bottom, shares)]
    axes.set_xticks(range(len(bars)), [label for label, _ in bars], rotation=55 if len(bars) > 6 else 0)
    axes.set(xlabel="dose: how much of the vector", ylabel="% of completions", ylim=(0, 100))
    axes.grid(axis="x", visible=False)
    handles = [Patch(facecolor=GRID, edgecolor=INK, label=KEPT)]
    handles += [
        Patch(
            facecolor=SERIES[place % len(SERIES)],
            edgecolor=INK,
            hatch=HATCHES[place % len(HATCHES)],
            label=gate,
        )
        for place, gate in enumerate(gates)
    ]
    key(axes, handles, 4)
    reading = (
        "Each bar is what the model wrote under one strength of steering. The pale part was coherent enough to train "
        "on; each pattern is a gate of the filter, and what it was the first to drop."
    )
    return Figure("filter", "What steering broke, and which gate noticed.", reading, drawn)


def _binned(doses: dict[float, Counter]) -> list[tuple[str, Counter]]:
    """At most MOST_BARS bars: neighbouring doses share one where there are more."""
    values = list(doses)
    if len(values) <= MOST_BARS:
        return [(f"{dose:.3g}", counts) for dose, counts in doses.items()]
    size = -(-len(values) // MOST_BARS)
    groups = [values[begun : begun + size] for begun in range(0, len(values), size)]
    return [
        (
            f"{group[0]:.2g}–{group[-1]:.2g}" if len(group) > 1 else f"{group[0]:.2g}",
            sum((doses[d] for d in group), Counter()),
        )
        for group in groups
    ]
