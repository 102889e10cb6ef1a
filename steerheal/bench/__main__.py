"""`python -m steerheal.bench NAME`: a measurement, printed with what it is compared to."""

import sys

from steerheal import cli
from steerheal.bench import sweep

BENCHES = {"sweep": sweep.main}


def main() -> None:
    """Pick the measurement."""
    names = ", ".join(BENCHES)
    if len(sys.argv) < 2 or sys.argv[1] not in BENCHES:
        print(f"usage: python -m steerheal.bench NAME [--help]; NAME is one of: {names}", file=sys.stderr)
        sys.exit(2)
    BENCHES[sys.argv[1]](sys.argv[2:])


if __name__ == "__main__":
    cli.run(main)
