"""`python -m steerheal.tune` with the soak's worker in its actors."""

from steerheal import cli, conduct, tune
from tests.soak.worker import load_worker

if __name__ == "__main__":
    conduct.load_worker = load_worker
    cli.run(tune.main)
