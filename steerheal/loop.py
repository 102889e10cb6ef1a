"""One trial as plain Python: extract → dose → filter → heal → fold → evaluate, per round, its seeds in lockstep.

Knows nothing of Ray, MLflow or Optuna. Stages do the work (`jobs.Stages`); here is only what follows what. Each
seed is a lane: in every round the lanes' jobs are asked for together, so that one pack heals all of them. A lane
that starves, diverges, falls below the coherence floor or fails ends there, as a recorded outcome.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from steerheal import objective
from steerheal.config import TrialConfig
from steerheal.errors import StageError
from steerheal.evaluation.canary_suite import survival
from steerheal.jobs import Canary, Collect, Evaluate, Extract, Heal, Job, Result, Stages, Steering
from steerheal.mending import Mending
from steerheal.trial_data import TrialData


@dataclass
class Lane:
    """One seed of a trial: its history, what this round has produced, and how it ended."""

    seed: int
    student: tuple[str, ...] = ()
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


Report = Callable[[dict], None]
# The answers of the student, of base, and of base as this round's dose steers it.
CANARIES = ("canary", "canary_base", "canary_steered")


def run_trial(
    trial: TrialConfig, data: TrialData, model: str, stages: Stages, report: Report = lambda record: None
) -> dict:
    """Run all rounds of all seeds. `model` is the base's fingerprint; `report` hears a record per seed and round.

    Returns the trial's summary (see `objective.summarise`) with its records under "records".
    """
    run = _Trial(trial, data, model, Mending(stages))
    lanes = [Lane(seed) for seed in trial.seeds]
    records: list[dict] = []
    for round_ in range(trial.rounds):
        running = [lane for lane in lanes if lane.alive]
        if not running:
            break
        for record in run.round(round_, running):
            records.append(record)
            report(record)
    return {**objective.summarise(records, trial.evaluate.min_gain), "records": records}


class _Trial:
    """The jobs of one trial, and what becomes of their results."""

    def __init__(self, trial: TrialConfig, data: TrialData, model: str, stages: Stages):
        self.trial, self.data, self.model, self.stages = trial, data, model, stages

    def round(self, number: int, lanes: list[Lane]) -> list[dict]:
        """One round of the lanes that run; a record for each."""
        for lane in lanes:
            lane.found = {}
        self._stage("extract", lanes, self._extract)
        self._stage("collect", lanes, lambda lane: self._collect(lane, number))
        for lane in lanes:
            if lane.alive and lane.found["collect"].summary["starved"]:
                lane.end("starved")
        self._stage("heal", lanes, lambda lane: self._heal(lane, number))
        for lane in lanes:
            if lane.alive and lane.found["heal"].summary["diverged"] is not None:
                lane.end("diverged")
            elif lane.alive:
                lane.student += (lane.found["heal"].key,)
        self._measure(lanes, number)
        records = [self._record(lane, number) for lane in lanes]
        for lane, record in zip(lanes, records):
            if lane.alive and number + 1 < self.trial.rounds and self._below(record["coherence"]):
                lane.end(objective.STOPPED)
                record["outcome"] = objective.STOPPED
        return records

    def _below(self, coherence: float | None) -> bool:
        floor = self.trial.stop.coherence_below
        return floor is not None and (coherence is None or coherence < floor)

    def _stage(self, name: str, lanes: list[Lane], job: Callable[[Lane], Job]) -> None:
        """Run one job of every lane that runs; a lane whose job fails ends with the reason."""
        running = [lane for lane in lanes if lane.alive]
        for lane, result in zip(running, attempt(self.stages, [job(lane) for lane in running])):
            if isinstance(result, StageError):
                lane.end("failed", str(result))
            else:
                lane.found[name] = result

    def _measure(self, lanes: list[Lane], number: int) -> None:
        """Student, base, steered base and canaries, asked for in one go so that they share batches.

        A lane that starved or diverged has no student, but what its dose does to base is worth knowing.
        """
        steered = [lane for lane in lanes if "collect" in lane.found]
        wanted = [(lane, name, job) for lane in steered for name, job in self._measurements(lane, number).items()]
        for (lane, name, _), result in zip(wanted, attempt(self.stages, [job for _, _, job in wanted])):
            if not isinstance(result, StageError):
                lane.found[name] = result
            elif lane.alive:
                lane.end("failed", str(result))

    def _extract(self, lane: Lane) -> Job:
        persona, steer = self.trial.persona, self.trial.steer
        return Extract(
            self.model, lane.student, persona.positive, persona.negative, self.data.contexts, steer.layers, steer.method
        )

    def _steering(self, lane: Lane, dose: float) -> Steering:
        steer = self.trial.steer
        return Steering(lane.found["extract"].key, dose, steer.apply, steer.steer_prompt)

    def _collect(self, lane: Lane, number: int) -> Job:
        trial = self.trial
        return Collect(
            self.model, lane.student, self._steering(lane, trial.alpha), trial.persona.neutral, self.data.prompts,
            lane.seed, number, trial.sample, trial.dose, trial.filter,
        )

    def _heal(self, lane: Lane, number: int) -> Job:
        heal = self.trial.heal
        held = heal.model_copy(update={"lam": heal.lam * (1 + number) ** heal.lam_round_pow, "lam_round_pow": 0.0})
        reference = lane.student if heal.barrier_ref == "prev" else ()
        return Heal(self.model, lane.student, reference, lane.found["collect"].key, held, lane.seed)

    def _measurements(self, lane: Lane, number: int) -> dict[str, Job]:
        """Canaries under steering, for the reader's eyes, in the first round only: its dose is shared by many trials."""
        steered = self._steering(lane, lane.found["collect"].summary["dose"])
        jobs: dict[str, Job] = {"base": self._evaluate(()), "steered": self._evaluate((), steered)}
        if not lane.alive:
            return jobs
        jobs["healed"] = self._evaluate(lane.student)
        if self.trial.evaluate.canary_samples:
            jobs |= {"canary": self._canary(lane.student, lane.seed), "canary_base": self._canary((), lane.seed)}
            if number == 0:
                jobs["canary_steered"] = self._canary((), lane.seed, steered)
        return jobs

    def _evaluate(self, student: tuple[str, ...], steering: Steering | None = None) -> Job:
        think = self.trial.evaluate.think_tokens
        vignettes, instrument = self.data.vignettes, self.data.instrument
        return Evaluate(self.model, student, steering, None, vignettes, instrument, think)

    def _canary(self, student: tuple[str, ...], seed: int, steering: Steering | None = None) -> Job:
        trial = self.trial
        samples = trial.evaluate.canary_samples
        return Canary(
            self.model, student, steering, trial.persona.neutral, self.data.suite, samples, trial.sample, seed
        )

    def _record(self, lane: Lane, number: int) -> dict:
        """Everything that is known of this seed's round, as plain data."""
        found = lane.found
        record = {
            "seed": lane.seed, "round": number, "outcome": lane.outcome or "ok", "error": lane.error,
            "alpha": self.trial.alpha, "kappa": None, "dose": None,
            "keys": {name: result.key for name, result in found.items()}, "student": list(lane.student),
            "seconds": {name: result.seconds for name, result in found.items()},
            "hits": {name: result.hit for name, result in found.items()},
            "collect": found["collect"].summary if "collect" in found else None,
            "heal": found["heal"].summary if "heal" in found else None,
        }
        if "collect" in found:
            record |= {name: found["collect"].summary[name] for name in ("kappa", "dose")}
        measured = {name: found[name].summary if name in found else None for name in ("healed", "base", "steered")}
        answers = {name: found[name].summary if name in found else None for name in CANARIES}
        whole = answers["canary"] and answers["canary_base"]
        compared = survival(answers["canary"], answers["canary_base"]) if whole else None
        return record | measured | answers | {"canaries": compared} | objective.measure(
            measured["healed"], measured["base"], measured["steered"], compared, self.trial.persona
        )


def attempt(stages: Stages, jobs: Sequence[Job]) -> list[Result | StageError]:
    """Run jobs together; when one of them fails, each again by itself, so that only the bad one is lost."""
    try:
        return list(stages.run(jobs))
    except StageError as error:
        if len(jobs) == 1:
            return [error]
    return [result for job in jobs for result in attempt(stages, [job])]
