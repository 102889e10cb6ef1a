"""The product's worker, which writes down what it begins and ends, and waits at a point when it is told to.

In `OUT/soak`: a file `hold` names a point. The worker that comes there next renames it to `held` and waits until
there is a file `go`.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from steerheal import conduct
from steerheal.jobs import Job
from steerheal.worker import Worker

POINTS = ("steered", "healing", "saving", "saved", "evaluating")
# Nobody came to say `go`.
LONGEST_SECONDS = 120.0

real_load, real_fsync = conduct.load_worker, os.fsync


class Watched(Worker):
    """Writes one line per begun and per ended batch to `place/events.jsonl`."""

    def __init__(self, made: Worker, slots: int, place: Path):
        super().__init__(made.base, made.store, slots)
        self.place = place
        self.put, self.store.put = self.store.put, self._put
        self.saving = False
        os.fsync = self._fsync

    def run_batch(self, jobs: Sequence[Job]) -> list:
        """One batch, with the points before and after a heal."""
        self._log("begin", jobs)
        if jobs[0].stage == "heal":
            self._point("steered")
        results = super().run_batch(jobs)
        self._log("end", jobs)
        if jobs[0].stage == "heal":
            self._point("saved")
        return results

    def _heal_step(self, done: int, total: int) -> None:
        super()._heal_step(done, total)
        if 2 * done >= total:
            self._point("healing")

    def _advance(self, tokens: int) -> None:
        super()._advance(tokens)
        if self.progress["stage"] == "evaluate":
            self._point("evaluating")

    def _put(self, key: str, stage: str, *rest: object) -> object:
        self.saving = stage == "heal"
        try:
            return self.put(key, stage, *rest)
        finally:
            self.saving = False

    def _fsync(self, handle: int) -> None:
        """What is written safely is synced before it is renamed: here, it is half there."""
        if self.saving:
            self._point("saving")
        real_fsync(handle)

    def _point(self, name: str) -> None:
        hold = self.place / "hold"
        try:
            if hold.read_text() != name:
                return
        except FileNotFoundError:
            return
        hold.rename(self.place / "held")
        deadline = time.monotonic() + LONGEST_SECONDS
        while not (self.place / "go").exists() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _log(self, what: str, jobs: Sequence[Job]) -> None:
        line = {"what": what, "stage": jobs[0].stage, "keys": [job.key for job in jobs], "pid": os.getpid()}
        with open(self.place / "events.jsonl", "a") as stream:
            stream.write(json.dumps(line) + "\n")


def load_worker(space, data, store_root: str, device: str) -> Watched:
    """In place of `conduct.load_worker`."""
    return Watched(real_load(space, data, store_root, device), space.resources.slots, Path(store_root).parent / "soak")
