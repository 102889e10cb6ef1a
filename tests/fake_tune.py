"""`python -m steerheal.tune` with the fake worker, for tests of the command line."""

from pathlib import Path

from fakes import FakeWorker

from steerheal import cli, conduct, tune
from steerheal.errors import UserError
from steerheal.store import open_store


def load_worker(space, data, store_root, device):
    """In place of the model: arithmetic, or the refusal that a model named `broken` gets."""
    if space.model.dtype == "float16":
        raise UserError(f"{space.model.path_or_hub}: cannot be loaded; check the folder")
    place = store_root.partition("://")[2] or store_root
    return FakeWorker(Path(place).parent, open_store(store_root))


if __name__ == "__main__":
    import fake_tune

    conduct.load_worker = fake_tune.load_worker
    cli.run(tune.main)
