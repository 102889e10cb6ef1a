"""A sweep as one page to read, from its recorded files alone: `python -m analysis.report tune_runs/NAME`."""

import argparse
from pathlib import Path

from analysis.load import read_sweep
from steerheal import cli
from steerheal.errors import UserError
from steerheal.files import write_text

REPORT = "report.html"
EPILOG = f"""\
The page needs no network and no JavaScript: it can be mailed, printed, or put anywhere. It says what was asked
and what the finished trials answer, with its uncertainty; leaderboard, figures, texts, cost, what to run next.
It is written to NAME/{REPORT}, its figures to NAME/plots as PNG and SVG; a report that is there is replaced.

A sweep that is still running, or was interrupted, is reported as far as it is. Nothing but the run's folder is
read: no store, no model.

examples:
  python -m analysis.report tune_runs/barrier
  python -m analysis.report tune_runs/barrier --out barrier.html
  python -m analysis.compare tune_runs/barrier tune_runs/barrier-2
"""


def main() -> None:
    """Read the folder, write the page, say where it is."""
    arguments = parser().parse_args()
    print(write_report(arguments.run, arguments.out))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m analysis.report",
        description="Write a sweep's report: one self-contained HTML page.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("run", metavar="tune_runs/NAME", type=Path, help="the run's folder")
    made.add_argument(
        "--out", metavar="FILE.html", type=Path, help=f"default: {REPORT} in the run's folder, and plots beside it"
    )
    return made


def write_report(folder: Path, out: Path | None = None) -> Path:
    """The page's path."""
    sweep = read_sweep(folder)
    # matplotlib takes a second to import, which a refusal need not wait for.
    from analysis.figures.theme import save
    from analysis.page import page
    from analysis.plots import PLOTS, all_figures

    families = all_figures(sweep)
    try:
        if out is None:
            for figure in (figure for family in families.values() for figure in family):
                save(figure, folder / PLOTS)
        write_text(out or folder / REPORT, page(sweep, families))
    except OSError as error:
        where = out or folder
        raise UserError(f"{where}: cannot be written to ({error.strerror}); name another file with --out") from None
    return out or folder / REPORT


if __name__ == "__main__":
    cli.run(main)
