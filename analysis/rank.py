"""Rank a table of results from anywhere: slope with its interval, verdict, and who is tied with whom.

`python -m analysis.rank TABLE.csv --base-trait X --base-coherence Y [--json]`.
"""

import argparse
import json
import math
import sys
from pathlib import Path

from rich.table import Table
from rich.text import Text

from analysis.results_table import Base, read_table
from steerheal import cli
from steerheal.live import STYLES, figure, make_console, tied_text
from steerheal.standings import differences, noise_in_words, ranked, ranking
from steerheal.statistics.levels import ROUNDING
from steerheal.statistics.means import rerun_floor
from steerheal.statistics.pairs import Pair
from steerheal.statistics.ties import tie_groups, tied

EPILOG = """\
columns of TABLE.csv:
  auth_nats, coherence        as measured: say what base has with --base-trait and --base-coherence
  d_auth_base, d_coh_base     against base: the options are not needed (base's coherence is then taken as 1
                              where a verdict asks whether coherence is below 0.85)
  seed                        optional; the same seeds in every configuration pair them. Without seeds there
                              are no intervals, and nothing can be called tied
  any other                   part of the configuration's name: reg, lam, wd, ...

A configuration that lacks figures in half of its seeds, or more, is unknown. Two lines with the same seed are
taken for a re-run, and averaged; no difference's error is taken for less than what re-runs differ by. slope: centinats
of coherence lost per nat gained, lowest is best.

example:
  python -m analysis.rank table.csv --base-trait -2.35 --base-coherence 0.996 --json
"""


def main() -> None:
    """Read the table, judge it, print it."""
    arguments = parser().parse_args()
    rows = read_table(arguments.table, Base(arguments.base_trait, arguments.base_coherence))
    report = rank(rows)
    if arguments.json:
        json.dump(report, sys.stdout, indent=2, allow_nan=False, ensure_ascii=False)
        print()
    else:
        show(rows, report)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m analysis.rank",
        description="Rank a table of results: slope, interval, verdict, ties.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("table", metavar="TABLE.csv", type=Path)
    made.add_argument("--base-trait", metavar="NATS", type=number, help="base's auth_nats")
    made.add_argument("--base-coherence", metavar="SHARE", type=number, help="base's coherence, 0 to 1")
    made.add_argument("--json", action="store_true", help="print rows and pairs as JSON")
    return made


def number(text: str) -> float:
    """A finite number, for argparse."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not finite; write a number such as -2.35")
    return value


def rank(rows: list[dict]) -> dict:
    """`rows`, best first, and `pairs` of those that are ranked, as plain data; None for what does not exist."""
    pairs = differences(rows, rounding=rounding(rows))
    marks = tied(ranked(rows), pairs)
    groups = tie_groups(ranked(rows), pairs)
    by_number = {row["trial"]: row for row in rows}
    return {
        "rows": [_row(by_number[trial], marks.get(trial), groups.get(trial)) for trial in ranking(rows)],
        "pairs": [_pair(pair, by_number) for pair in pairs],
    }


def rounding(rows: list[dict]) -> dict[str, float]:
    """The least standard errors: what re-runs of a seed in the table differ by, if that is more than is usual."""
    found = {}
    for kind, usual in ROUNDING.items():
        again = [values for row in rows for values in row["reruns"][kind]]
        found[kind] = max(usual, rerun_floor(again) or 0.0)
    return found


def _row(row: dict, mark: bool | None, group: int | None) -> dict:
    summary = row["summary"]
    return {
        "configuration": row["params"],
        "name": name(row),
        "verdict": row["verdict"],
        "slope": summary["slope"],
        "slope_se": summary["slope_se"],
        "interval": [summary["slope_low"], summary["slope_high"]] if summary["slope_bounded"] else None,
        "unbounded": None if summary["slope_bounded"] is None else not summary["slope_bounded"],
        "tied": mark,
        "tie_group": group,
        "gain": summary["gain"],
        "gain_se": summary["gain_se"],
        "coherence": summary["coherence"],
        "d_coherence": summary["d_coherence"],
        "d_coherence_se": summary["d_coherence_se"],
        "n": summary["n"],
        "failed": summary["failed"],
    }


def _pair(pair: Pair, rows: dict[int, dict]) -> dict:
    bounded = pair.low is not None and math.isfinite(pair.low)
    return {
        "a": name(rows[pair.first]),
        "b": name(rows[pair.second]),
        "difference": pair.difference,
        "interval": [pair.low, pair.high] if bounded else None,
        "real": pair.real,
        "equivalent": pair.equivalent,
    }


def name(row: dict) -> str:
    """`kl_rev, lam 0.1, wd 0`: the columns that say something, reg by its value alone."""
    parts = [value if key == "reg" else f"{key} {value}" for key, value in row["params"].items() if value]
    return ", ".join(parts) or f"row {row['trial'] + 1}"


def show(rows: list[dict], report: dict) -> None:
    """The table on the terminal, and what it says about noise."""
    known = any(row["tied"] is not None for row in report["rows"])
    table = Table(title="Lowest slope first among the verdicts ok", title_justify="left")
    words = ("configuration", "verdict", "tied")
    for column in (*words[:2], "slope", "90% interval", words[2], "gain", "Δcoherence", "seeds"):
        table.add_column(column, justify="left" if column in words else "right")
    for place, row in enumerate(report["rows"]):
        table.add_row(
            Text(row["name"]),
            Text(row["verdict"], style=STYLES.get(row["verdict"], "red")),
            figure(row["slope"]),
            _interval(row),
            tied_text(row["tied"], place == 0),
            figure(row["gain"]),
            figure(row["d_coherence"], 4),
            f"{row['n']}" + (f" ({row['failed']} failed)" if row["failed"] else ""),
        )
    console = make_console()
    console.print(table)
    noise = noise_in_words(rows)
    if noise:
        console.print(noise, markup=False, soft_wrap=True)
    if not known:
        console.print("nothing is known of ties: that takes two configurations with verdict ok and two seeds each")


def _interval(row: dict) -> str:
    if row["interval"]:
        return f"{row['interval'][0]:.3f} to {row['interval'][1]:.3f}"
    return "no bound" if row["unbounded"] else "–"


if __name__ == "__main__":
    cli.run(main)
