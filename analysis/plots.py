"""Which figures a sweep has, and the few that it leaves behind at its end."""

from pathlib import Path

from analysis.figures import beliefs, voice
from analysis.figures.bands import bands
from analysis.figures.gates import drops
from analysis.figures.healing import healing
from analysis.figures.ladder import ladder
from analysis.figures.rounds import trajectories
from analysis.figures.theme import Figure, save
from analysis.figures.trade import trait_coherence
from analysis.load import Sweep, read_sweep

PLOTS = "plots"
# Families that an experiment draws in its own way.
OWN = {"voice": voice.figures, "belief": beliefs.figures}


def all_figures(sweep: Sweep) -> dict[str, list[Figure]]:
    """Every figure for which there is something to show, by family."""
    families = {
        "trade": [trait_coherence(sweep)],
        "bands": bands(sweep),
        "ladder": ladder(sweep),
        "rounds": trajectories(sweep),
        "filter": [drops(sweep)],
        "healing": healing(sweep),
    }
    if sweep.experiment in OWN:
        families |= OWN[sweep.experiment](sweep)
    return {name: [figure for figure in found if figure] for name, found in families.items()}


def write_plots(folder: Path) -> list[Path]:
    """At a sweep's end, PNG files in `folder/plots`: gain against coherence, the bands, the barrier's ladder, an
    experiment's own.
    """
    sweep = read_sweep(folder)
    usual = {"trade": [trait_coherence(sweep)], "bands": bands(sweep), "ladder": ladder(sweep)}
    families = usual | (OWN[sweep.experiment](sweep) if sweep.experiment in OWN else {})
    kept = (*usual, sweep.experiment)
    figures = [figure for name in kept for figure in families.get(name, ()) if figure]
    return [path for figure in figures for path in save(figure, folder / PLOTS, ["png"])]
