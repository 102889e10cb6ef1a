"""What a voice sweep shows: learning curves from before training, gain by number of pairs, memory against style."""

from collections.abc import Mapping

from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from analysis.figures.healing import pressure
from analysis.figures.theme import INK, LINES, MUTED, SERIES, Figure, key, logarithmic, panel
from analysis.load import Sweep
from analysis.voice_data import asked, curve, measure, sizes
from steerheal.statistics.means import finite

SHOWN = 5


def figures(sweep: Sweep) -> dict[str, list[Figure]]:
    """The families that a voice sweep has of its own, or has none of."""
    found = sizes(sweep)
    own = [learning(sweep, found), gains(sweep, found), memory(sweep, found)] if found else []
    return {"voice": own, "rounds": [], "filter": [], "healing": [pressure(sweep)]}


def learning(sweep: Sweep, found: Mapping[int, dict]) -> Figure | None:
    """Held-out and training loss per epoch, of the best trial of each number of pairs."""
    drawn, axes = panel()
    handles = []
    for place, (size, row) in enumerate(list(found.items())[:SHOWN]):
        held_out, trained = (curve(sweep, row["trial"], name) for name in ("validation", "steps"))
        shade = SERIES[place]
        if held_out:
            axes.plot(*zip(*held_out), color=shade, marker="os^Dv"[place], markersize=4, linewidth=1.6)
        if trained:
            axes.plot(*zip(*trained), color=shade, linestyle=LINES[2], linewidth=1.3)
        handles.append(Line2D([], [], color=shade, marker="os^Dv"[place], label=f"{size} pairs"))
    handles.append(Line2D([], [], color=MUTED, linestyle=LINES[2], label="on its own pairs"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch (0: before training)", ylabel="nats per response token")
    key(axes, handles, 2)
    reading = (
        "Solid: loss on responses that are kept aside for all trials; dotted: on the pairs that are trained on, the mean "
        "of each epoch. Where the solid line turns up while the dotted one falls, the pairs are being learned by heart. "
        "The trial that gains most with each number of pairs; means over seeds."
    )
    return Figure("voice_learning", "Learning, from before training on.", reading, drawn)


def gains(sweep: Sweep, found: Mapping[int, dict]) -> Figure:
    """Gain by number of pairs: all trials, their best, and base that is merely asked."""
    drawn, axes = panel()
    for row in sweep.rows:
        size, gain = sweep.setting(row, "n_train"), row["summary"].get("gain")
        if finite(gain):
            axes.plot(size, gain, marker="o", markersize=4, color=SERIES[6], linestyle="")
    best = [(size, row["summary"]["gain"], row["summary"].get("gain_se") or 0.0) for size, row in found.items()]
    where, values, errors = zip(*best)
    axes.errorbar(where, values, yerr=errors, color=SERIES[0], marker="s", markersize=6, capsize=3, linewidth=1.4)
    handles = [
        Line2D([], [], color=SERIES[0], marker="s", label="the best trial"),
        Line2D([], [], color=SERIES[6], marker="o", linestyle="", label="the others"),
    ]
    if prompted := asked(sweep):
        axes.axhline(prompted[0], color=SERIES[1], linestyle=LINES[1], linewidth=1.3)
        handles.append(Line2D([], [], color=SERIES[1], linestyle=LINES[1], label="base, asked for it"))
    axes.axhline(0, color=MUTED, linewidth=0.8)
    _by_size(axes, found)
    axes.set(ylabel="gain: nats per held-out token")
    key(axes, handles, 2)
    reading = (
        "How much likelier the voice's other responses became than base finds them. Bars are standard errors over seeds; "
        "the dashed line is base under a system prompt that asks for the voice, without any training."
    )
    return Figure("voice_pairs", "What more pairs are worth.", reading, drawn)


def memory(sweep: Sweep, found: Mapping[int, dict]) -> Figure | None:
    """Share of an answer's 5-word runs that its training texts hold: known prompts, novel ones, the voice itself."""
    lines = (
        ("memorised_seen", "prompts of the file", SERIES[3], "o", LINES[0]),
        ("memorised_novel", "novel prompts", SERIES[0], "s", LINES[1]),
        ("voice_repeats", "the voice itself", INK, "D", LINES[2]),
    )
    drawn, axes = panel()
    handles = []
    for name, label, shade, mark, style in lines:
        points = [(size, told) for size, row in found.items() if (told := measure(sweep, row, name))]
        if points:
            axes.plot(
                [size for size, _ in points],
                [100 * told.mean for _, told in points],
                color=shade,
                marker=mark,
                linestyle=style,
                markersize=5,
            )
            handles.append(Line2D([], [], color=shade, marker=mark, linestyle=style, label=label))
    if not handles:
        return None
    _by_size(axes, found)
    axes.set(ylabel="% of 5-word runs in training texts", ylim=(0, 100))
    key(axes, handles, 2)
    reading = (
        "A voice repeats itself: the dotted line is how much of its own held-out texts stands in the training texts. An "
        "answer above it recites; one on or below it speaks in the voice."
    )
    return Figure("voice_memory", "By heart, or in the same voice?", reading, drawn)


def _by_size(axes, found: Mapping[int, dict]) -> None:
    axes.set_xscale("log")
    logarithmic(axes.xaxis)
    axes.xaxis.set_major_locator(FixedLocator(list(found)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="pairs trained on")
