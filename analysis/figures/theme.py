"""How figures look, and how they are saved: PNG, SVG, and SVG for a page that may be light or dark.

A figure is one panel, small enough for a phone; a page puts several side by side. It is drawn in the colours of
the light theme; on a page each colour becomes a CSS variable of its name, which a dark page sets anew. Series
differ in mark, line or hatch too, so that grey paper and colour-blind eyes lose nothing.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import seaborn
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.html import Html, raw, tag
from analysis.load import REGS
from steerheal.files import write_bytes

INK, MUTED, GRID, PAPER = "#1b1f24", "#59636e", "#dfe3e8", "#fefefe"
SERIES = ("#17457e", "#c8611c", "#4f9d88", "#8a2f5d", "#8d7a1f", "#6b6f9c", "#9aa3ad")
VARIABLES = {INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper"} | {
    colour: f"series-{place}" for place, colour in enumerate(SERIES)
}
LINES = ("-", "--", ":", "-.")
MARKS = {
    "ok": "o",
    "weak": "v",
    "broad": "D",
    "no-op": "s",
    "wrong way": "<",
    "damaged": "P",
    "broken": "X",
}
# Which part of a mark is filled, so that regularisers differ in grey where the shape is the verdict.
FILLS = ("full", "left", "none", "top")
SIZE = (4.6, 3.5)
# Smaller spans of coherence are noise, and should look it.
LEAST_SPAN = 0.005
STYLE = {
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.edgecolor": MUTED,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": GRID,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "hatch.linewidth": 0.8,
    "hatch.color": PAPER,
}


@dataclass(frozen=True)
class Figure:
    """A drawn figure: its file's name, what it shows in one sentence, and how to read it."""

    name: str
    shows: str
    reading: str
    drawn: plt.Figure


def panel() -> tuple[plt.Figure, plt.Axes]:
    """An empty figure of the usual size. pyplot would keep it for ever."""
    seaborn.set_theme(style="ticks", rc=STYLE)
    drawn = plt.Figure(figsize=SIZE, layout="constrained")
    return drawn, drawn.subplots()


def colour(reg: str) -> str:
    """A regulariser's colour, the same in every figure."""
    return SERIES[REGS.index(reg) if reg in REGS else len(REGS)]


def fill(reg: str) -> dict[str, str]:
    """How a regulariser's mark is filled."""
    style = FILLS[REGS.index(reg) if reg in REGS else len(REGS)]
    return {"fillstyle": style, "markerfacecoloralt": PAPER}


def line(reg: str) -> str:
    """A regulariser's line."""
    return LINES[REGS.index(reg) if reg in REGS else len(REGS)]


def key(axes: plt.Axes, handles: Sequence[Any], columns: int = 3) -> None:
    """The legend above the panel, where it covers nothing."""
    if handles:
        axes.legend(
            handles=handles,
            ncols=columns,
            loc="lower left",
            bbox_to_anchor=(-0.02, 1.0),
            borderaxespad=0.2,
            handlelength=1.6,
            columnspacing=1.0,
        )


def logarithmic(axis) -> None:
    """Plain numbers on a log axis, at 1 and 3 of each decade, and no others."""
    axis.set_major_locator(LogLocator(subs=(1, 3)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def calm(axes: plt.Axes) -> None:
    """A coherence axis spans LEAST_SPAN at least, and is written in plain numbers."""
    low, high = axes.get_ylim()
    if high - low < LEAST_SPAN:
        top = min((low + high + LEAST_SPAN) / 2, 1 + LEAST_SPAN / 20)
        axes.set_ylim(top - LEAST_SPAN, top)
    axes.ticklabel_format(axis="y", useOffset=False)


def save(figure: Figure, folder: Path, kinds: Sequence[str] = ("png", "svg")) -> list[Path]:
    """The figure as files in the light theme."""
    written = []
    for kind in kinds:
        path = folder / f"{figure.name}.{kind}"
        write_bytes(path, rendered(figure, kind))
        written.append(path)
    return written


def rendered(figure: Figure, kind: str) -> bytes:
    """The figure's bytes as `png` or `svg`; the same each time."""
    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": figure.name, "svg.fonttype": "none"}):
        figure.drawn.savefig(stream, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    return stream.getvalue()


def inline(figure: Figure) -> Html:
    """The figure as an element of a page that names its colours."""
    text = rendered(figure, "svg").decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\b(id="|url\(#|href="#)', rf"\g<1>{figure.name}-", text)
    text = re.sub(r'(<svg [^>]*?)width="[^"]*" ', r"\1", text, count=1)
    text = re.sub(r'(<svg [^>]*?)height="[^"]*" ', r"\1", text, count=1)
    text = re.sub(r"(font(-family)?:[^;\"]*?)'[^;\"]*", r"\1 system-ui, sans-serif", text)
    for value, name in VARIABLES.items():
        text = text.replace(value, f"var(--{name})")
    text = re.sub(r'(fill|stroke)="(var\(--[a-z0-9-]+\))"', r'style="\1: \2"', text)
    label = f"{figure.shows} {figure.reading}"
    drawing = tag("div", raw(text), role="img", aria_label=label, class_="drawing")
    return tag("figure", drawing, tag("figcaption", tag("b", figure.shows), " ", figure.reading))
