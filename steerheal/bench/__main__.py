"""`python -m steerheal.bench NAME`: a measurement, printed with what it is compared to."""

import sys
from importlib import import_module

from steerheal import cli

BENCHES = ("generate", "heal", "evaluate", "ablation", "sweep", "gpus")


def main() -> None:
    """Pick the measurement."""
    names = ", ".join(BENCHES)
    if len(sys.argv) < 2 or sys.argv[1] not in BENCHES:
        print(f"usage: python -m steerheal.bench NAME [--help]; NAME is one of: {names}", file=sys.stderr)
        sys.exit(2)
    import_module(f"steerheal.bench.{sys.argv[1]}").main(sys.argv[2:])


if __name__ == "__main__":
    cli.run(main)
