"""`python -m tests.soak`: kill and pause the parts of real sweeps, and see whether they end as if undisturbed."""

import argparse
import fnmatch
import signal
import sys

from .cells import every, run, undisturbed

EPILOG = """\
A cell is POINT/VICTIM/SEED. The worker of a sweep waits at POINT: `steered` (before the first step of a heal),
`healing` (in the middle), `saving` (while an artefact is half written), `saved` (it lies in the store, nobody has been
told), `evaluating`. There VICTIM gets SIGKILL: `actor` (the process with the model), `trial`, `driver` (then the sweep
is resumed), `store`. SEED chooses which heal, which trial, how long the others are left waiting. `pause/VICTIM/SEED`
stops VICTIM for 25 s instead, `mixed/SEED` kills an actor, a trial and the driver of one sweep, `drivers/SEED` the
driver ten times.

examples:
  python -m tests.soak                                everything
  python -m tests.soak 'healing/*' '*/driver/0'       some cells
  python -m tests.soak --seeds 7 8 9 --list           the names of the cells of other seeds
Exit code: 0 when every invariant holds in every cell, else 1.
"""


def main() -> int:
    """Run the cells, a line for each as it ends."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cells", nargs="*", metavar="CELL", default=["*"], help="patterns of names; default: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--list", action="store_true", help="only print the names")
    parser.add_argument("--keep", action="store_true", help="leave the sweeps' folders where they are")
    asked = parser.parse_args()
    chosen = [cell for cell in every(asked.seeds) if any(fnmatch.fnmatch(cell, one) for one in asked.cells)]
    if not chosen:
        parser.error(f"no cell is called {' or '.join(asked.cells)}; --list prints the names")
    if asked.list:
        print(*chosen, sep="\n")
        return 0
    # So that the sweep under way is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    control, outcomes = undisturbed(), []
    try:
        for cell in chosen:
            outcomes.append(run(cell, control, asked.keep))
            print(outcomes[-1].line, flush=True)
    finally:
        control.close(asked.keep)
    failed = [outcome.cell for outcome in outcomes if outcome.wrong]
    print(
        f"{len(outcomes) - len(failed)} of {len(outcomes)} cells hold"
        + (f", not {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
