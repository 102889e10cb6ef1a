"""Two sweeps or two trials side by side: `python -m analysis.compare A B`."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.goal import goal, units
from analysis.load import Sweep, read_sweep
from analysis.match import differing, incomparable, matched, settings
from analysis.vignettes import ONE, SEVERAL, read_trial, two
from analysis.words import ONE_SEED
from steerheal import cli
from steerheal.errors import UserError
from steerheal.live import figure, make_console, params_text
from steerheal.standings import SOUND, figures
from steerheal.statistics.means import Noise, finite, pooled_noise
from steerheal.statistics.pairs import Pair, compare, compare_slopes

EPILOG = """\
A and B are runs' folders (tune_runs/barrier), or trials of them (tune_runs/barrier:3).

Two trials: every setting that differs, and the paired differences of gain, coherence and slope: over seeds, with
intervals where both have the same two seeds or more, and over vignettes, even at one seed (which then says how well
the vignettes pin the difference down, and does not see the noise between seeds). Two sweeps: their leaders, each by
its own objective, and the trials of equal settings in both.
What was measured with another base, other vignettes or another persona cannot be compared: that is said, and
the exit code is 2.

examples:
  python -m analysis.compare tune_runs/barrier tune_runs/barrier-2
  python -m analysis.compare tune_runs/barrier:3 tune_runs/barrier:7
"""
KINDS = ("gain", "coherence", "slope")
MOST = 20
AT_ONE_SEED = {True: "these vignettes tell them apart", False: "these vignettes do not tell them apart"}
PICKED = (
    "Two trials picked because they looked different will: the leaderboard's ties allow for that, this table cannot."
)


@dataclass(frozen=True)
class Side:
    """A or B: what was typed, its sweep, and the trial that was named (of a sweep: its leader, if it has one)."""

    typed: str
    sweep: Sweep
    row: dict | None
    named: bool


def main() -> None:
    """Read both, refuse what cannot be compared, print the comparison."""
    arguments = parser().parse_args()
    first, second = read_side(arguments.first), read_side(arguments.second)
    if first.named != second.named:
        raise UserError(
            f"{first.typed} and {second.typed}: one is a trial, one a sweep; name two of a kind (tune_runs/NAME:3)"
        )
    if problem := incomparable(first.sweep, second.sweep):
        raise UserError(f"{first.typed} and {second.typed}: {problem}")
    console = make_console()
    if first.named:
        show_trials(console, first, second)
    else:
        show_sweeps(console, first, second)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m analysis.compare",
        description="Two sweeps, or two trials: what differs in settings, and which differences in results are real.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("first", metavar="A", help="tune_runs/NAME, or tune_runs/NAME:TRIAL")
    made.add_argument("second", metavar="B", help="the other one")
    return made


def read_side(typed: str) -> Side:
    """A run's name cannot hold a colon, so what follows the last one is a trial's number."""
    path, colon, number = typed.rpartition(":")
    if not colon or not number.isdecimal():
        sweep = read_sweep(Path(typed))
        return Side(typed, sweep, sweep.best, False)
    sweep = read_sweep(Path(path))
    row = sweep.by_number.get(int(number))
    if row is None:
        known = ", ".join(map(str, sorted(sweep.by_number))) or "none"
        raise UserError(f"{typed}: trial {number} is not among the finished ones; there are {known}")
    return Side(typed, sweep, row, True)


def show_trials(console: Console, first: Side, second: Side) -> None:
    """Settings that differ, then the differences."""
    names = ("A", "B")
    for name, side in zip(names, (first, second)):
        say(console, f"{name}: {side.typed}  {side.row['verdict']}  {params_text(side.row['params'])}")
    show_settings(console, settings(first), settings(second))
    rows = [side.row | {"trial": name} for name, side in zip(names, (first, second))]
    pairs = {kind: [pair] for kind in KINDS if (pair := paired(rows, kind, noise(first, second, kind)))}
    show_pairs(console, "A − B, paired by seed", rows, pairs, units(first.sweep.experiment))
    show_over_vignettes(console, first, second)
    if first.sweep.folder.path == second.sweep.folder.path and any(
        pair.real for found in pairs.values() for pair in found
    ):
        say(console, PICKED)


def show_sweeps(console: Console, first: Side, second: Side) -> None:
    """Spaces, leaders, and the trials that both have."""
    for name, side in zip(("A", "B"), (first, second)):
        seeds = ", ".join(map(str, side.sweep.seeds))
        led = leads(side) if side.row else "no trial is ranked"
        say(console, f"{name}: {side.typed}  {len(side.sweep.rows)} trials, seeds {seeds}; {led}")
    if first.sweep.objective != second.sweep.objective:
        say(console, "They are after different things, so that each has its leader by its own objective.")
    show_settings(console, settings(first, whole=True), settings(second, whole=True))
    if first.row and second.row:
        rows = [first.row | {"trial": "A"}, second.row | {"trial": "B"}]
        pairs = {kind: [pair] for kind in KINDS if (pair := paired(rows, kind, noise(first, second, kind)))}
        show_pairs(console, "The leaders, A − B", rows, pairs, units(first.sweep.experiment))
        show_over_vignettes(console, first, second)
    both = matched(first.sweep, second.sweep)
    if not both:
        say(console, "No trial of the one agrees with a trial of the other in all that was searched.")
        return
    say(console, f"Trials that agree in all that either sweep searched ({len(both)} pairs):")
    rows = [row | {"trial": (place, name)} for place, two in enumerate(both) for name, row in zip("AB", two)]
    for kind in KINDS:
        found = [pair for pair in among(rows, kind) if pair.first[0] == pair.second[0]]
        show_matched(console, kind, both, found, units(first.sweep.experiment))


def leads(side: Side) -> str:
    """Which trial leads, by what."""
    number, told = side.row["trial"], params_text(side.row["params"])
    if side.sweep.objective.kind == "pareto":
        return f"trial {number} has the most gain on the front: {told}"
    return f"trial {number} leads ({goal(side.sweep.objective).order}): {told}"


def paired(rows: list[dict], kind: str, known: Noise | None) -> Pair | None:
    """One difference; None where a side has no such figure, as a failed trial."""
    found = among(rows, kind, known)
    return found[0] if found and found[0].difference is not None else None


def among(rows: list[dict], kind: str, known: Noise | None = None) -> list[Pair]:
    """All pairs by one figure; trials without figures are left out."""
    fit = [row for row in rows if row["summary"].get("judged")]
    if kind == "slope":
        ok = [row for row in fit if finite(row["summary"].get("slope"))]
        return compare_slopes(figures(ok, "d_coherence"), figures(ok, "gain"))
    return compare(figures(fit, kind), kind, known) if len(fit) > 1 else []


def noise(first: Side, second: Side, kind: str) -> Noise | None:
    """What the sweeps' other trials tell of the noise between seeds; of a slope nothing, its noise is its own."""
    if kind == "slope":
        return None
    sweeps = {side.sweep.folder.path: side.sweep for side in (first, second)}
    named = {(side.sweep.folder.path, side.row["trial"]) for side in (first, second)}
    groups = []
    for path, sweep in sweeps.items():
        others = [row for row in sweep.rows if row["verdict"] in SOUND and (path, row["trial"]) not in named]
        groups += [list(seeds.values()) for seeds in figures(others, kind).values()]
    return pooled_noise(groups)


def show_settings(console: Console, first: Mapping, second: Mapping) -> None:
    """What differs, side by side."""
    found = differing(first, second)
    if not found:
        say(console, "Their settings are equal.")
        return
    table = Table("setting", "A", "B", title="Settings that differ", title_justify="left")
    for name, (ours, theirs) in found.items():
        table.add_row(name, Text(str(ours)), Text(str(theirs)))
    console.print(table)


def show_pairs(
    console: Console, title: str, rows: list[dict], pairs: Mapping[str, list[Pair]], counted: Mapping[str, str]
) -> None:
    """One line per figure."""
    table = Table("figure", "A", "B", "difference", "interval", "what it says", title=title, title_justify="left")
    for kind in KINDS:
        values = [figure(row["summary"].get(kind), 4 if kind == "coherence" else 3) for row in rows]
        found = pairs.get(kind)
        table.add_row(
            kind, *values, *(cells(found[0], kind, counted) if found else ("–", "–", "one side has no such figure"))
        )
    console.print(table)
    if all(pair.real is None for found in pairs.values() for pair in found):
        say(console, ONE_SEED + " Repeat both with --set seeds=[0,1,2].")


def show_over_vignettes(console: Console, first: Side, second: Side) -> None:
    """The same differences by a bootstrap over the vignettes (and seeds) that both have; a line if there are none."""
    reads = [read_trial(side.sweep, side.row["trial"]) for side in (first, second)]
    found, seeds, vignettes = two(*reads)
    if not found:
        why = "no seed in common" if None not in reads and not seeds else "too few vignettes are recorded"
        say(console, f"Nothing is known over vignettes: {why}.")
        return
    over = ONE if len(seeds) == 1 else SEVERAL
    table = Table("figure", "difference", f"interval {over}", "what it says", title_justify="left")
    listed = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    table.title = f"A − B, {over}: {vignettes} vignettes, {listed}"
    for kind in KINDS:
        pair = found.get("d_coherence" if kind == "coherence" else kind)
        difference, bounds, said = (
            cells(pair, kind, units(first.sweep.experiment)) if pair else ("–", "no bound", "the gain may be zero")
        )
        table.add_row(kind, difference, bounds, said if len(seeds) > 1 or not pair else AT_ONE_SEED[pair.real])
    console.print(table)
    if len(seeds) == 1:
        say(console, "Over vignettes alone: training again with another seed may still turn it round.")


def show_matched(
    console: Console, kind: str, both: list[tuple[dict, dict]], found: list[Pair], counted: Mapping[str, str]
) -> None:
    """One line per setting that both sweeps tried, the clearest first."""
    if not found:
        return
    found = sorted(found, key=lambda pair: (not pair.real, -abs(pair.difference or 0)))
    table = Table(
        "A",
        "B",
        "settings",
        "difference",
        "interval",
        "what it says",
        title=f"{kind}, A − B",
        title_justify="left",
    )
    for pair in found[:MOST]:
        ours, theirs = both[pair.first[0]]
        table.add_row(
            str(ours["trial"]), str(theirs["trial"]), params_text(ours["params"]), *cells(pair, kind, counted)
        )
    console.print(table)
    if len(found) > MOST:
        say(console, f"{len(found) - MOST} more, none clearer.")


def cells(pair: Pair, kind: str, counted: Mapping[str, str]) -> tuple[str, str, str]:
    """Difference, interval, and what they say."""
    digits = 4 if kind == "coherence" else 3
    if pair.difference is None:
        return "–", "–", "no common seed"
    bounds = (
        "–"
        if pair.low is None
        else f"{pair.low:+.{digits}f} to {pair.high:+.{digits}f}"
        if finite(pair.low)
        else "no bound"
    )
    said = {None: "unknown: not repeated", True: "real", False: "may be noise"}[pair.real]
    if pair.equivalent:
        said += ", too small to matter"
    return f"{pair.difference:+.{digits}f} {counted[kind]}".strip(), bounds, said


def say(console: Console, text: str) -> None:
    """A line as it is, whatever brackets are in it."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    cli.run(main)
