"""What a worker does with jobs that fail, on the built-in model."""

import weakref

import pytest

from steerheal.errors import StageError
from steerheal.jobs import Extract
from steerheal.store import FolderStore
from steerheal.students.base import load_base
from steerheal.worker import Worker


class Tensors:
    """What a pass holds."""


@pytest.fixture
def worker(tmp_path):
    return Worker(load_base("builtin", device="cpu"), FolderStore(tmp_path / "store"))


def test_what_a_failed_pass_held_is_gone_before_the_next_one(worker):
    held, alive = [], []

    def fails(jobs):
        alive.append(sum(one() is not None for one in held))
        tensors = Tensors()
        held.append(weakref.ref(tensors))
        raise RuntimeError(f"no room for {len(jobs)} jobs and {tensors}")

    worker._stages[Extract] = fails
    jobs = [Extract(worker.fingerprint, (), f"{n}", "other", ("Why?",), None, "mean_diff") for n in range(4)]
    found = worker.run_batch(jobs)
    assert len(alive) == 7 and set(alive) == {0}
    assert all(isinstance(one, StageError) and "no room for 1 jobs" in str(one) for one in found)
