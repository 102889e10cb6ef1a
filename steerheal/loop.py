"""One trial as plain Python, round by round; what a round does is the experiment's (`experiments`).

Knows nothing of Ray, MLflow or Optuna.
"""

from collections.abc import Callable

from steerheal import objective
from steerheal.config import TrialConfig
from steerheal.experiments import EXPERIMENTS
from steerheal.experiments.rounds import Lane
from steerheal.jobs import Stages
from steerheal.mending import Mending
from steerheal.trial_data import TrialData

Report = Callable[[dict], None]


def run_trial(
    trial: TrialConfig, data: TrialData, model: str, stages: Stages, report: Report = lambda record: None
) -> dict:
    """Run all rounds of all seeds. `model` is the base's fingerprint; `report` hears a record per seed and round.

    Returns the trial's summary (see `objective.summarise`) with its records under "records".
    """
    run = EXPERIMENTS[trial.experiment](trial, data, model, Mending(stages))
    lanes = [Lane(seed) for seed in trial.seeds]
    records: list[dict] = []
    for number in range(trial.rounds):
        running = [lane for lane in lanes if lane.alive]
        if not running:
            break
        for record in run.round(number, running):
            records.append(record)
            report(record)
    return {**objective.summarise(records, trial.evaluate.min_gain), "records": records}
