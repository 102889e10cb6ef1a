"""What every experiment shares: a trial's seeds in lockstep, each a lane that ends alone.

Stages do the work (`jobs.Stages`). In every round the lanes' jobs are asked for together, so that one pack heals
all of them. A lane that starves, diverges, falls below the coherence floor or fails ends there, as a recorded
outcome.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from steerheal import objective
from steerheal.config import TrialConfig
from steerheal.config.sections import Bands
from steerheal.errors import StageError
from steerheal.evaluation.canary_suite import survival
from steerheal.jobs import Canary, Evaluate, Heal, Job, Result, Stages, Steering
from steerheal.trial_data import TrialData


@dataclass
class Lane:
    """One seed of a trial: its history, what this round has produced, and how it ended.

    data: the artefact that this round trains on; its completions.jsonl says what is used.
    """

    seed: int
    student: tuple[str, ...] = ()
    data: str = ""
    outcome: str | None = None
    error: str | None = None
    found: dict[str, Result] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether the lane still runs."""
        return self.outcome is None

    def end(self, outcome: str, error: str | None = None) -> None:
        """Stop here, for a reason that is recorded."""
        self.outcome, self.error = outcome, error

    def summary(self, name: str) -> dict | None:
        """What a stage of this round said, if it ran."""
        return self.found[name].summary if name in self.found else None


class Experiment(ABC):
    """One trial's jobs, and what becomes of their results. A subclass says where training data come from
    (`gather` sets `data` of each lane that goes on), what is measured, and what it means.
    """

    def __init__(self, trial: TrialConfig, data: TrialData, model: str, stages: Stages):
        self.trial, self.data, self.model, self.stages = trial, data, model, stages

    @abstractmethod
    def gather(self, lanes: list[Lane], number: int) -> None:
        """Find what each lane trains on in this round."""

    @abstractmethod
    def measurements(self, lane: Lane, number: int) -> dict[str, Job]:
        """What is measured of a lane, alive or not, by name."""

    @abstractmethod
    def figures(self, lane: Lane, number: int) -> dict:
        """The record's figures: at least the keys of `objective.measure`."""

    def round(self, number: int, lanes: list[Lane]) -> list[dict]:
        """One round of the lanes that run; a record for each."""
        for lane in lanes:
            lane.found = {}
        self.gather(lanes, number)
        self.heal(lanes, number)
        self.measure(lanes, number)
        records = [self._record(lane, number) for lane in lanes]
        for lane, record in zip(lanes, records):
            if lane.alive and number + 1 < self.trial.rounds and self._below(record["coherence"]):
                lane.end(objective.STOPPED)
                record["outcome"] = objective.STOPPED
        return records

    def heal(self, lanes: list[Lane], number: int) -> None:
        """Train an adapter on each lane's data and put it on top of its history."""
        self.stage("heal", lanes, lambda lane: self._heal(lane, number))
        for lane in lanes:
            if lane.alive and lane.found["heal"].summary["diverged"] is not None:
                lane.end("diverged")
            elif lane.alive:
                lane.student += (lane.found["heal"].key,)

    def measure(self, lanes: list[Lane], number: int) -> None:
        """All lanes' measurements, asked for in one go so that they share batches."""
        wanted = [(lane, name, job) for lane in lanes for name, job in self.measurements(lane, number).items()]
        for (lane, name, _), result in zip(wanted, attempt(self.stages, [job for _, _, job in wanted])):
            if not isinstance(result, StageError):
                lane.found[name] = result
            elif lane.alive:
                lane.end("failed", str(result))

    def stage(self, name: str, lanes: list[Lane], job: Callable[[Lane], Job]) -> None:
        """Run one job of every lane that runs; a lane whose job fails ends with the reason."""
        running = [lane for lane in lanes if lane.alive]
        for lane, result in zip(running, attempt(self.stages, [job(lane) for lane in running])):
            if isinstance(result, StageError):
                lane.end("failed", str(result))
            else:
                lane.found[name] = result

    def evaluate(self, student: tuple[str, ...], steering: Steering | None = None, system: str | None = None) -> Job:
        """A student's profile."""
        think = self.trial.evaluate.think_tokens
        return Evaluate(
            self.model,
            student,
            steering,
            system,
            self.data.vignettes,
            self.data.instrument,
            think,
            self._bands(student),
        )

    def canary(
        self, student: tuple[str, ...], seed: int, steering: Steering | None = None, system: str | None = None
    ) -> Job:
        """A student's answers to the canary suite, under the neutral system prompt unless another is given."""
        trial = self.trial
        return Canary(
            self.model,
            student,
            steering,
            system or trial.persona.neutral,
            self.data.suite,
            trial.evaluate.canary_samples,
            trial.sample,
            seed,
            trial.filter,
            self._bands(student),
        )

    def canaries(self, lane: Lane) -> dict | None:
        """What the canaries say of the student against base, when both answered."""
        student, base = lane.summary("canary"), lane.summary("canary_base")
        return survival(student, base) if student and base else None

    def _bands(self, student: tuple[str, ...]) -> Bands | None:
        """Nothing where there is no adapter or all of it counts, so that equal measurements are equal jobs."""
        return None if not student or self.trial.bands.whole else self.trial.bands

    def _heal(self, lane: Lane, number: int) -> Job:
        heal = self.trial.heal
        held = heal.model_copy(update={"lam": heal.lam * (1 + number) ** heal.lam_round_pow, "lam_round_pow": 0.0})
        reference = lane.student if heal.barrier_ref == "prev" else ()
        return Heal(self.model, lane.student, reference, lane.data, held, lane.seed)

    def _below(self, coherence: float | None) -> bool:
        floor = self.trial.stop.coherence_below
        return floor is not None and (coherence is None or coherence < floor)

    def _record(self, lane: Lane, number: int) -> dict:
        """Everything that is known of this seed's round, as plain data."""
        found = lane.found
        return {
            "seed": lane.seed,
            "round": number,
            "outcome": lane.outcome or "ok",
            "error": lane.error,
            "keys": {name: result.key for name, result in found.items()},
            "student": list(lane.student),
            "seconds": {name: result.seconds for name, result in found.items()},
            "hits": {name: result.hit for name, result in found.items()},
            "heal": lane.summary("heal"),
        } | self.figures(lane, number)


def attempt(stages: Stages, jobs: Sequence[Job]) -> list[Result | StageError]:
    """Run jobs together; when one of them fails, each again by itself, so that only the bad one is lost."""
    try:
        return list(stages.run(jobs))
    except StageError as error:
        if len(jobs) == 1:
            return [error]
    return [result for job in jobs for result in attempt(stages, [job])]
