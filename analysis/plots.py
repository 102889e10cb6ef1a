"""Which figures a sweep has, and the few that it leaves behind at its end."""

from pathlib import Path

from analysis.figures.beliefs import believed
from analysis.figures.gates import drops
from analysis.figures.healing import healing
from analysis.figures.ladder import ladder
from analysis.figures.rounds import trajectories
from analysis.figures.theme import Figure, close, save
from analysis.figures.trade import trait_coherence
from analysis.load import Sweep, read_sweep

PLOTS = "plots"


def all_figures(sweep: Sweep) -> dict[str, list[Figure]]:
    """Every figure for which there is something to show, by family."""
    families = {"healing": healing(sweep)}
    if sweep.experiment == "belief":
        families |= {"beliefs": believed(sweep)}
    else:
        families |= {
            "trade": [trait_coherence(sweep)],
            "ladder": ladder(sweep),
            "rounds": trajectories(sweep),
            "filter": [drops(sweep)],
        }
    return {name: [figure for figure in found if figure] for name, found in families.items()}


def write_plots(folder: Path) -> list[Path]:
    """At a sweep's end, PNG files in `folder/plots`: gain against coherence and the barrier's ladder, or who believes it."""
    sweep = read_sweep(folder)
    made = all_figures(sweep)
    figures = [figure for name in ("trade", "ladder", "beliefs") for figure in made.get(name, ())]
    written = [path for figure in figures for path in save(figure, folder / PLOTS, ["png"])]
    close([figure for family in made.values() for figure in family])
    return written
