"""What searchers are known to get wrong: ends that they are not told of, or told of wrongly.

Elsewhere: an early stop taken for a finish, repeats averaged over failed seeds (test_objective, test_loop); a
resumed and an extended study, batches that wait (test_search); orphaned MLflow runs (test_tracking); what YAML
makes of `1e-4` and `no` (test_yaml_io); trial processes without torch (test_actors).
"""

import math

import optuna
import pytest
from optuna.trial import TrialState

from steerheal.config.dimensions import Range
from steerheal.config.objectives import SLOPE, Objective
from steerheal.goals import DIRECTIONS, WORST, Standing, standing
from steerheal.search import Study
from steerheal.standings import ranking, tied_trials

AT = Objective(kind="trait_at_coherence", coherence=0.99)
PARETO = Objective(kind="pareto")
OBJECTIVES = (SLOPE, AT, PARETO)
LAM = Range("lam", 0.0, 1.0)


def study_at(path, objective=SLOPE, trials=6, batch=2):
    return Study(path, (LAM,), None, 7, trials, batch, DIRECTIONS[objective.kind])


def run(study, told, done=()):
    """Ask and tell to the end; `told(lam)` is a standing. What was handed out: number → (params, standing)."""
    study.recover(dict(done))
    handed = {}
    while (asked := study.ask()) or study.open:
        if asked:
            handed[asked.number] = (asked.params, told(asked.params["lam"]))
        else:
            number = min(study.open)
            study.tell(number, handed[number][1])
    return handed


def stored(path):
    trials = optuna.load_study(study_name="sweep", storage=f"sqlite:///{path}").trials
    return [trial for trial in trials if "number" in trial.user_attrs]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
@pytest.mark.parametrize("figure", [math.nan, math.inf, None])
def test_a_figure_that_is_no_number_ends_the_trial_all_the_same(tmp_path, objective, figure):
    """A NaN objective leaves a trial running for ever: here it is complete, infeasible or worst."""
    found = standing("broken", {"slope": figure, "gain": figure, "coherence": figure}, objective)
    run(study_at(tmp_path / "a.db", objective), lambda lam: found)
    trials = stored(tmp_path / "a.db")
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    assert all(trial.constraints["verdict"] > 0 for trial in trials)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_a_sweep_without_a_feasible_trial_goes_on_and_has_a_leaderboard(tmp_path, objective):
    """There is no best trial then, and asking for one raises."""
    found = standing("starved", {}, objective)
    handed = run(study_at(tmp_path / "a.db", objective, trials=14), lambda lam: found)
    assert len(handed) == 14
    rows = [{"trial": number, "verdict": "starved", "summary": {}} for number in handed]
    assert ranking(rows, objective) == list(range(14))
    assert set(tied_trials(rows, objective).values()) == {None}


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_a_failed_trial_is_finished_and_a_resumed_sweep_does_not_repeat_it(tmp_path, objective):
    """What failed is complete at the worst value, so that the sampler learns of it, once."""
    failed = standing("failed", {}, objective)
    done = run(study_at(tmp_path / "a.db", objective, trials=3), lambda lam: failed)
    more = run(study_at(tmp_path / "a.db", objective, trials=5), lambda lam: failed, done)
    assert sorted(more) == [3, 4]
    assert all(abs(trial.values[0]) == WORST for trial in stored(tmp_path / "a.db"))


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_an_interrupted_trial_is_told_as_failed_and_tried_again(tmp_path, objective):
    """It is neither running for ever nor complete at what it had reached."""
    found = standing("ok", {"slope": 0.1, "gain": 1.0, "coherence": 0.995}, objective)
    study = study_at(tmp_path / "a.db", objective)
    study.recover({})
    before = study.ask()
    again = run(study_at(tmp_path / "a.db", objective), lambda lam: found)
    assert again[before.number][0] == before.params
    first = [trial for trial in stored(tmp_path / "a.db") if trial.user_attrs["number"] == before.number]
    assert [trial.state for trial in first] == [TrialState.FAIL, TrialState.COMPLETE]


def test_the_constraint_steers_the_search(tmp_path):
    """The lowest value lies where nothing is feasible; without the constraint the search goes there."""

    def above(path, slope):
        study = study_at(path, trials=40, batch=4)
        handed = run(study, lambda lam: Standing((lam,), max(0.0, slope * (0.5 - lam))))
        return sum(handed[number][0]["lam"] > 0.5 for number in range(20, 40))

    assert above(tmp_path / "with.db", 1.0) >= 10 and above(tmp_path / "without.db", 0.0) <= 3


def test_two_objectives_are_searched_at_once_under_a_constraint(tmp_path):
    """Gain grows with lam and coherence falls: the front is all of lam where it is feasible."""

    def told(lam):
        figures = {"gain": 2 * lam, "coherence": 1 - 0.1 * lam**2}
        return standing("ok" if lam > 0.3 else "no-op", figures, PARETO)

    handed = run(study_at(tmp_path / "a.db", PARETO, trials=30, batch=3), told)
    front = optuna.load_study(study_name="sweep", storage=f"sqlite:///{tmp_path / 'a.db'}").best_trials
    assert front and all(trial.params["lam"] > 0.3 for trial in front)
    assert all(trial.values == list(handed[trial.user_attrs["number"]][1].values) for trial in front)
    assert run(study_at(tmp_path / "a.db", PARETO, trials=32), told, handed).keys() == {30, 31}


def test_a_batch_is_not_one_proposal_many_times(tmp_path):
    """Trials of a batch do not know one another's results; each is told to keep away from those that run."""
    handed = run(study_at(tmp_path / "a.db", trials=32, batch=8), lambda lam: Standing(((lam - 0.5) ** 2,), 0.0))
    for first in (16, 24):
        batch = sorted(handed[number][0]["lam"] for number in range(first, first + 8))
        assert min(b - a for a, b in zip(batch, batch[1:], strict=False)) > 1e-3
