"""What two runs of one configuration and one seed differ by: the floor under every standard error, measured.

`python -m analysis.rounding [SPACE.yaml]` runs a space's trial for its first seed alone and beside others, so that
only the batches around it differ, and compares the figures with the floor that the statistics take
(`steerheal.statistics.levels.ROUNDING`). It ends with exit code 1 if that floor is too low.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from steerheal import cli
from steerheal.config.space import Space, load_space
from steerheal.errors import UserError
from steerheal.live import params_text
from steerheal.statistics.levels import MARGIN, ROUNDING
from steerheal.statistics.means import rerun_floor

SPACE = Path(__file__).parents[1] / "search_spaces" / "quick.yaml"
PACKS = (1, 2, 4)
FIGURES = ("gain", "coherence")


def main() -> int:
    """Run, print, compare; 1 if the floor is too low."""
    arguments = parser().parse_args()
    space = load_space(arguments.space, arguments.overrides)
    params = first_point(space)
    print(f"{space.path}: {params_text(params)}; seed {space.seeds[0]}, model {space.model.name}", flush=True)
    runs = []
    for size in PACKS:
        runs.append(run(arguments.space, params, arguments.overrides, space.seeds[0], size))
        beside = f"beside {size - 1} other seed{'s' if size > 2 else ''}" if size > 1 else "alone"
        print(f"  {beside:<22}" + ", ".join(f"{name} {runs[-1][name]:.9f}" for name in FIGURES), flush=True)
    return report(runs)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m analysis.rounding",
        description="Measure what two runs of one configuration and seed differ by, alone and packed with others.",
    )
    made.add_argument("space", metavar="SPACE.yaml", type=Path, nargs="?", default=SPACE, help="default: quick.yaml")
    made.add_argument("--set", dest="overrides", metavar="KEY=VALUE", action="append", default=[])
    return made


def first_point(space: Space) -> dict:
    """The first value, or the low end, of every dimension that exists there."""
    params: dict = {}
    for dimension in space.dimensions:
        if dimension.active(params):
            params[dimension.name] = (dimension.steps() or [getattr(dimension, "low", None)])[0]
    return params


def run(path: Path, params: Mapping, overrides: Sequence[str], first: int, size: int) -> dict[str, float]:
    """The figures of the first seed beside size − 1 others; nothing is taken from a store."""
    # Torch takes seconds to import, which --help need not wait for.
    from steerheal.notebook import run_one

    seeds = f"seeds={list(range(first, first + size))}"
    with tempfile.TemporaryDirectory() as empty:
        records = run_one(path, params, [*overrides, seeds, "repeats=all"], empty)["records"]
    last = [record for record in records if record["seed"] == first][-1]
    if any(last[name] is None for name in FIGURES):
        raise UserError(f"{path}: the trial ended as {last['outcome']}, without figures; choose another point")
    return {name: last[name] for name in FIGURES}


def report(runs: Sequence[Mapping[str, float]]) -> int:
    """Print the floor against what the statistics take; 1 if that is less."""
    low = False
    for name in FIGURES:
        floor = rerun_floor([[figures[name] for figures in runs]])
        enough = floor <= ROUNDING[name]
        low |= not enough
        print(
            f"{name}: re-runs put the least standard error of a difference at {floor:.2g}; the statistics take "
            f"{ROUNDING[name]:g}{'' if enough else ', which is TOO LOW'} (and {MARGIN[name]:g} is the least that matters)"
        )
    return int(low)


if __name__ == "__main__":
    cli.run(lambda: sys.exit(main()))
