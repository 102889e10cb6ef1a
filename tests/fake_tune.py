"""`python -m steerheal.tune` with the fake worker, for tests of the command line."""

from pathlib import Path

from fakes import FakeWorker

from steerheal import cli, conduct, tune
from steerheal.errors import UserError


def load_worker(space, data, store_root, device):
    """In place of the model: arithmetic, or the refusal that a model named `broken` gets."""
    if space.model.dtype == "float16":
        raise UserError(f"{space.model.path_or_hub}: cannot be loaded; check the folder")
    return FakeWorker(Path(store_root).parent)


if __name__ == "__main__":
    import fake_tune

    conduct.load_worker = fake_tune.load_worker
    cli.run(tune.main)
