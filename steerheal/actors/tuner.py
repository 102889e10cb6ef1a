"""Ray Tune around a sweep: its trials are Tune trials, its stopping and searching are the sweep's own.

Tune keeps no state that a later run needs (the records, the study and the stage store do), so it works in a
temporary folder beside them, which goes with it. Tune is given trials by number, ahead of time, so that a process that
has finished one takes the next; what a trial's settings are it learns through the store actor, once the search has
proposed them. Where CPUs do not count out how many trials run, in a cluster that is joined, none are given ahead.
"""

import json
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import ray
from ray import tune
from ray.exceptions import RayActorError
from ray.tune.execution import class_cache
from ray.tune.search import Searcher

from steerheal.actors.cluster import joined, trial_cpus
from steerheal.actors.trial import PAYLOAD, trial_function
from steerheal.leftovers import PART

# Tune would copy these variables, credentials among them, into a description that Ray writes to its logs.
# Trials inherit the environment anyway.
class_cache.ENV_VARS_TO_PROPAGATE = set()

# How often a trial's process may die before the trial counts as failed. It computes nothing, so what ends it is
# its surroundings. Tune's own retries give up at once when a node takes a reused process with it.
MAX_DEATHS = 10


class Course(Protocol):
    """What drives the trials (`sweep.Sweep`)."""

    stopping: bool

    def unfinished(self) -> list[int]:
        """The numbers of the trials to run, in the order in which they become ready."""

    def ready(self) -> list[tuple[int, str]]:
        """Trials whose settings (JSON) have become known since the last call."""

    def heard(self, number: int, message: dict) -> None:
        """A trial reports."""

    def ended(self, number: int, error: bool) -> None:
        """A trial's Tune trial has ended."""


class Outside:
    """Tune copies and pickles what it is given; what drives the course stays itself, and in this process."""

    def __deepcopy__(self, memo: dict) -> "Outside":
        return self

    def __reduce__(self) -> tuple:
        return object, ()


class CourseSearcher(Outside, Searcher):
    """Tune's side of a `Course`. `post(number, settings)` tells the trials their settings; Tune is given at most `most`
    trials at once.
    """

    def __init__(self, course: Course, post: Callable[[int, str], Any], most: int):
        super().__init__()
        self.course, self.post, self.most = course, post, most
        self.left = course.unfinished()
        self.numbers: dict[str, int] = {}
        self.deaths: Counter[int] = Counter()
        self._post_ready()

    def _post_ready(self) -> None:
        for number, settings in self.course.ready():
            self.post(number, settings)

    def suggest(self, trial_id: str) -> dict | str | None:
        """The next trial: its number."""
        if self.course.stopping or not (self.left or self.numbers):
            return Searcher.FINISHED
        if not self.left or len(self.numbers) >= self.most:
            return None
        self.numbers[trial_id] = self.left.pop(0)
        return {"trial": self.numbers[trial_id]}

    def on_trial_result(self, trial_id: str, result: dict) -> None:
        """A message from a trial's process."""
        if PAYLOAD in result:
            self.course.heard(self.numbers[trial_id], json.loads(result[PAYLOAD]))

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        """The end of a trial, good or bad; one whose process has died is begun again."""
        number = self.numbers.pop(trial_id, None)
        if number is None:
            return
        self.deaths[number] += error
        if error and self.deaths[number] <= MAX_DEATHS and not self.course.stopping:
            self.left.insert(0, number)
            return
        self.course.ended(number, error)
        self._post_ready()

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is in its own storage."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see `save`."""


class CourseStopper(Outside, tune.Stopper):
    """Ends everything when the course says so; trials end by themselves."""

    def __init__(self, course: Course):
        self.course = course

    def __call__(self, trial_id: str, result: dict) -> bool:
        return False

    def stop_all(self) -> bool:
        """Whether the sweep is being stopped."""
        return self.course.stopping


def _post(store: Any, number: int, settings: str) -> None:
    """Wait until the settings have arrived: a trial that runs again must not find those of its first run. A
    store actor that is away has forgotten them, and is reminded when it is back.
    """
    with suppress(RayActorError):
        ray.get(store.post.remote(number, settings))


def run(course: Course, store: Any, shared: Any, concurrent: int, folder: Path) -> None:
    """Run the course's trials, `concurrent` at a time, until they have ended or the course stops. `folder`: where
    there is room for what Tune writes.
    """
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(concurrent)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    logging.getLogger("ray.train").setLevel(logging.CRITICAL)
    searcher = CourseSearcher(course, partial(_post, store), concurrent if joined() else 2 * concurrent)
    trainable = tune.with_resources(
        tune.with_parameters(trial_function, store=store, shared=shared), {"cpu": trial_cpus()}
    )
    with tempfile.TemporaryDirectory(dir=folder.resolve(), prefix=PART) as scratch:
        tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(search_alg=searcher, num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=scratch,
                verbose=0,
                stop=CourseStopper(course),
            ),
        ).fit()
