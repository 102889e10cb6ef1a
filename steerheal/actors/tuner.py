"""Ray Tune around a sweep: its trials are Tune trials, its stopping and searching are the sweep's own.

Tune keeps no state that a later run needs (the records, the study and the stage store do), so it works in a
temporary folder beside them, which goes with it. A trial of Tune's is a turn of a process, in which it takes the next of
the sweep's trials that were proposed (`roster`); Tune is given turns ahead of time, so that it keeps its processes.
Where CPUs do not count out how many trials run, in a cluster that is joined, none are given ahead.
"""

import json
import logging
import os
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, Protocol

import ray
from ray import tune
from ray.exceptions import ActorDiedError, RayActorError
from ray.tune.execution import class_cache
from ray.tune.search import Searcher

from steerheal.actors.cluster import joined, trial_cpus
from steerheal.actors.trial import PAYLOAD, trial_function
from steerheal.errors import in_a_line
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

    def in_line(self, number: int) -> str:
        """A trial's process has died: its settings, to begin it again."""

    def ended(self, number: int, error: bool) -> None:
        """A trial has ended; `error`: its process died, and it is not begun again."""

    def stop(self, reason: str) -> None:
        """It cannot go on."""


class Outside:
    """Tune copies and pickles what it is given; what drives the course stays itself, and in this process."""

    def __deepcopy__(self, memo: dict) -> "Outside":
        return self

    def __reduce__(self) -> tuple:
        return object, ()


def stopping(method: Callable) -> Callable:
    """A method whose failure stops the course: Tune would log it, where nobody reads, and wait for ever."""

    @wraps(method)
    def guarded(self: "CourseSearcher", *arguments: Any, **options: Any) -> Any:
        try:
            return method(self, *arguments, **options)
        except Exception as error:
            traceback.print_exc()
            self.course.stop(in_a_line(error))
            return None

    return guarded


class CourseSearcher(Outside, Searcher):
    """Tune's side of a `Course`. `roster.post` puts a trial in line, `roster.leave` says which one a turn had taken;
    Tune is given at most `most` turns at once. Deaths that cost no trial anything count for nobody (None) until one
    begins.
    """

    def __init__(self, course: Course, roster: Any, most: int):
        super().__init__()
        self.course, self.roster, self.most = course, roster, most
        self.left = set(course.unfinished())
        self.turns: dict[str, int | None] = {}
        self.deaths: Counter[int | None] = Counter()
        self._post_ready()

    def _post_ready(self) -> None:
        for number, settings in self.course.ready():
            self.roster.post(number, settings)

    @stopping
    def suggest(self, trial_id: str) -> dict | str | None:
        """Another turn, as long as there are trials for it."""
        if self.course.stopping or not self.left:
            return Searcher.FINISHED
        if len(self.turns) >= min(self.most, len(self.left)):
            return None
        self.turns[trial_id] = None
        return {"turn": trial_id}

    @stopping
    def on_trial_result(self, trial_id: str, result: dict) -> None:
        """A message from a trial's process. The first says which trial it has taken; of two that run the same one, since
        the store actor died when it was taken, the second is not listened to.
        """
        if PAYLOAD not in result:
            return
        message = json.loads(result[PAYLOAD])
        if "away" in message:
            self.course.stop(message["away"])
        if "began" in message:
            number = message["began"]
            self.turns[trial_id] = number if number in self.left - {*self.turns.values()} else None
            self.deaths[None] = 0
        if (number := self.turns[trial_id]) is not None:
            self.course.heard(number, message)

    @stopping
    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        """The end of a turn, good or bad; a trial whose process has died is begun again."""
        if trial_id not in self.turns:
            return
        taken = self.roster.leave(trial_id)
        number = self.turns.pop(trial_id)
        unheard = number is None
        if unheard and taken in self.left - {*self.turns.values()}:
            number = taken
        self.deaths[number] += error or unheard
        again = (error or unheard) and self.deaths[number] <= MAX_DEATHS and not self.course.stopping
        if number is None:
            if self.deaths[None] > MAX_DEATHS * self.most:
                self.course.stop("the trials' processes die before they begin; see what Ray logged")
        elif again:
            self.roster.post(number, self.course.in_line(number))
        else:
            self.left.discard(number)
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


class RosterOf:
    """The roster in the store actor. What one that is away has forgotten, it is told again when it is back."""

    def __init__(self, store: Any, course: Course):
        self.store, self.course = store, course

    def post(self, number: int, settings: str) -> None:
        """Put a trial in line."""
        with suppress(RayActorError):
            ray.get(self.store.post.remote(number, settings))

    def leave(self, taker: str) -> int | None:
        """The trial that a turn which is over had taken, if that is known. Asked until there is an answer: a turn that
        the roster does not know to be over keeps its trial.
        """
        while not self.course.stopping:
            try:
                return ray.get(self.store.leave.remote(taker))
            except ActorDiedError:
                break
            except RayActorError:
                time.sleep(1.0)
        return None


def run(course: Course, store: Any, shared: Any, concurrent: int, folder: Path) -> None:
    """Run the course's trials, `concurrent` at a time, until they have ended or the course stops. `folder`: where
    there is room for what Tune writes.
    """
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(concurrent)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    logging.getLogger("ray.train").setLevel(logging.CRITICAL)
    searcher = CourseSearcher(course, RosterOf(store, course), concurrent if joined() else 2 * concurrent)
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
