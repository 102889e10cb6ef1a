"""Plots of one run, from its recorded files alone: trait against coherence, and the barrier's ladder."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas
import seaborn

VERDICT_ORDER = ["ok", "weak", "broad", "no-op", "wrong way", "damaged", "broken"]
MARKERS = {
    "ok": "o",
    "weak": "v",
    "broad": "D",
    "no-op": "s",
    "wrong way": "<",
    "damaged": "P",
    "broken": "X",
}

LEAST_SPAN = 0.01


def read_trials(folder: Path) -> pandas.DataFrame:
    """One row per finished trial: parameters, verdict and figures side by side."""
    lines = (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return pandas.DataFrame([row["params"] | row["summary"] | {"verdict": row["verdict"]} for row in rows])


def write_plots(folder: Path) -> list[Path]:
    """PNG files in `folder/plots`; those for which there is something to show."""
    trials = read_trials(folder)
    trials = trials[trials["gain"].notna()] if "gain" in trials else trials.iloc[:0]
    if trials.empty:
        return []
    seaborn.set_theme(style="whitegrid", context="notebook")
    (folder / "plots").mkdir(exist_ok=True)
    figures = {"trait_coherence": trait_against_coherence(trials)}
    if "lam" in trials and trials["lam"].notna().any():
        figures["lam_ladder"] = lam_ladder(trials)
    written = []
    for name, figure in figures.items():
        path = folder / "plots" / f"{name}.png"
        figure.savefig(path, dpi=150, bbox_inches="tight")
        plt.close(figure)
        written.append(path)
    return written


def trait_against_coherence(trials: pandas.DataFrame) -> plt.Figure:
    """Gain against coherence, one mark per trial: shape by verdict, colour by regulariser."""
    figure, axes = plt.subplots(figsize=(7, 5))
    seaborn.scatterplot(
        trials,
        x="gain",
        y="coherence",
        hue="reg" if "reg" in trials else None,
        style="verdict",
        style_order=[verdict for verdict in VERDICT_ORDER if verdict in set(trials["verdict"])],
        markers=MARKERS,
        s=70,
        ax=axes,
    )
    axes.set(xlabel="gain (nats moved as intended, against base)", ylabel="coherence")
    axes.axvline(0, color="grey", linewidth=0.8)
    no_drama(axes)
    axes.set_title("What each trial gained, and what it cost")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def no_drama(axes: plt.Axes) -> None:
    """A coherence axis spans a hundredth at least: smaller differences are noise, and should look it."""
    low, high = axes.get_ylim()
    if high - low < LEAST_SPAN:
        top = min((low + high + LEAST_SPAN) / 2, 1 + LEAST_SPAN / 20)
        axes.set_ylim(top - LEAST_SPAN, top)
    axes.ticklabel_format(axis="y", useOffset=False)


def lam_ladder(trials: pandas.DataFrame) -> plt.Figure:
    """Gain and coherence against the strength of the barrier; trials without a barrier as a dashed line."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 4), sharex=True)
    barred, free = trials[trials["lam"].notna()], trials[trials["lam"].isna()]
    for axes, name in zip(panels, ("gain", "coherence"), strict=True):
        seaborn.scatterplot(barred, x="lam", y=name, hue="reg", style="reg", s=60, ax=axes)
        if not free.empty:
            axes.axhline(free[name].mean(), color="grey", linestyle="--", label="no barrier (mean)")
        axes.set(xscale="log", xlabel="lam", ylabel=name)
        axes.get_legend().remove()
        if name == "coherence":
            no_drama(axes)
    panels[1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    figure.suptitle("The barrier's ladder")
    figure.tight_layout()
    return figure
