"""The search proposes the same trials whatever happened in between, and is told of every end properly."""

import optuna
import pytest
from optuna.trial import TrialState

from steerheal.config.dimensions import Choice, Range
from steerheal.goals import Standing
from steerheal.search import Study

DIMENSIONS = (
    Choice("reg", ("nll", "kl_rev")),
    Range("lam", 0.03, 3.0, log=True, when=(("reg", ("kl_rev",)),)),
    Choice("layers", ((1, 2), (3, 4))),
    Range("wd", 0.0, 1.0, step=0.25),
    Range("epochs", 1, 10, integer=True),
)


def study_at(path, trials=8, grid=None, batch=3):
    return Study(path, DIMENSIONS, grid, seed=7, trials=trials, batch=batch)


def worth(number):
    return Standing((float(number * 7 % 5),), -1.0 if number % 3 else 2.0)


def run(study, done, stop_after=None, last_first=False):
    """Ask and tell until the end, or until `stop_after` trials were handed out; `done` is what the records
    hold.
    """
    study.recover(done)
    handed = {}
    while study.asked < study.trials or study.waiting or study.open:
        if asked := study.ask():
            handed[asked.number] = asked.params
            if len(handed) == stop_after:
                break
            continue
        number = max(study.open) if last_first else min(study.open)
        done[number] = (handed[number], worth(number))
        study.tell(number, worth(number))
    return handed


def stored(path):
    return optuna.load_study(study_name="sweep", storage=f"sqlite:///{path}").trials


def test_same_seed_same_trials_whatever_ends_first(tmp_path):
    first = run(study_at(tmp_path / "a.db"), {})
    second = run(study_at(tmp_path / "b.db"), {}, last_first=True)
    assert first == second
    assert len(first) == 8


def test_conditional_dimensions_and_types(tmp_path):
    for params in run(study_at(tmp_path / "a.db"), {}).values():
        assert ("lam" in params) == (params["reg"] == "kl_rev")
        assert params["layers"] in ((1, 2), (3, 4))
        assert isinstance(params["epochs"], int)


def test_no_proposal_repeats_while_there_is_choice(tmp_path):
    handed = run(Study(tmp_path / "a.db", DIMENSIONS[:1] + DIMENSIONS[3:4], None, 3, 7, 4), {})
    assert len({str(params) for params in handed.values()}) == 7


@pytest.mark.parametrize("stop", (1, 5, 7))
def test_interrupted_trials_are_tried_again_under_their_number(tmp_path, stop):
    whole = run(study_at(tmp_path / "whole.db"), {})
    done = {}
    before = run(study_at(tmp_path / "cut.db"), done, stop_after=stop)
    finished = set(done)
    after = run(study_at(tmp_path / "cut.db"), done)
    assert finished.isdisjoint(after)
    assert {number: params for number, (params, _) in done.items()} == whole
    assert before | after == whole
    states = [trial.state for trial in stored(tmp_path / "cut.db") if "number" in trial.user_attrs]
    assert TrialState.RUNNING not in states
    assert states.count(TrialState.COMPLETE) == 8


class Killed(BaseException):
    """The process ends here."""


def dies_at(study, write):
    """Let the process die at the study's storage's n-th write."""
    storage, left = study.kept._storage, [write]
    for name in [name for name in dir(storage) if name.startswith(("create_new_trial", "set_trial"))]:

        def counted(*args, do=getattr(storage, name), **options):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return do(*args, **options)

        setattr(storage, name, counted)


GRID = [{"reg": "nll", "layers": (1, 2), "wd": 0.5, "epochs": epochs} for epochs in range(1, 4)]


@pytest.mark.parametrize("write", range(4))
def test_a_kill_before_any_write_mixes_up_no_parameters(tmp_path, write):
    study, done = study_at(tmp_path / "a.db", grid=GRID), {}
    dies_at(study, write)
    with pytest.raises(Killed):
        run(study, done)
    run(study_at(tmp_path / "a.db", grid=GRID), done)
    assert [done[number][0] for number in range(3)] == GRID
    states = [trial.state for trial in stored(tmp_path / "a.db")]
    assert set(states) <= {TrialState.COMPLETE, TrialState.FAIL} and states.count(TrialState.COMPLETE) == 3


def test_a_batch_that_was_cut_short_is_made_whole_before_any_of_it_is_told(tmp_path):
    """So late in the search, what is known decides what is proposed."""

    def study(name):
        return Study(tmp_path / name, (Range("x", 0.0, 1.0),), None, 7, 12, 2)

    done = {}
    whole = run(study("whole.db"), done)
    known = {number: entry for number, entry in done.items() if number < 10}
    cut = study("cut.db")
    cut.recover(known)
    opens, left = cut._open, [1]

    def open_some(number, params):
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        opens(number, params)

    cut._open = open_some
    with pytest.raises(Killed):
        cut.ask()
    assert run(study("cut.db"), known) == {number: whole[number] for number in (10, 11)}


def test_killed_between_record_and_tell(tmp_path):
    """The records say finished, the study does not know yet: it is told the recorded standing, and not run
    again.
    """
    study = study_at(tmp_path / "a.db")
    study.recover({})
    asked = study.ask()
    again = study_at(tmp_path / "a.db")
    again.recover({asked.number: (asked.params, worth(0))})
    assert asked.number not in again.open
    trial = next(t for t in stored(tmp_path / "a.db") if t.user_attrs.get("number") == asked.number)
    assert trial.state == TrialState.COMPLETE and tuple(trial.values) == worth(0).values


def test_a_trial_that_somebody_else_has_put_into_the_study_is_let_be(tmp_path):
    study = study_at(tmp_path / "a.db")
    study.recover({})
    study.kept.ask()
    assert len(run(study_at(tmp_path / "a.db"), {})) == 8


def test_study_rebuilt_from_records_when_its_file_is_gone(tmp_path):
    whole = run(study_at(tmp_path / "whole.db"), {})
    done = {}
    run(study_at(tmp_path / "a.db"), done, stop_after=6)
    rest = run(study_at(tmp_path / "new.db"), dict(done))
    assert rest == {number: params for number, params in whole.items() if number not in done}


def test_extension_continues_the_numbers(tmp_path):
    done = {}
    run(study_at(tmp_path / "a.db", trials=4), done)
    more = run(study_at(tmp_path / "a.db", trials=6), done)
    assert sorted(more) == [4, 5]
    assert not run(study_at(tmp_path / "a.db", trials=6), done)


def test_constraints_reach_the_study(tmp_path):
    run(study_at(tmp_path / "a.db"), {})
    trials = [trial for trial in stored(tmp_path / "a.db") if "number" in trial.user_attrs]
    assert all(trial.constraints["verdict"] == worth(trial.user_attrs["number"]).constraint for trial in trials)


def test_grid_is_handed_out_in_order_as_places_become_free(tmp_path):
    grid = [{"reg": "nll", "layers": (1, 2), "wd": 0.5, "epochs": epochs} for epochs in range(1, 7)]
    study = study_at(tmp_path / "a.db", trials=100, grid=grid, batch=2)
    study.recover({})
    handed = [study.ask(), study.ask()]
    while len(handed) < 6:
        assert study.ask() is None
        study.tell(handed[-1].number, worth(0))
        handed.append(study.ask())
    assert [asked.params for asked in handed] == grid and study.trials == 6 and study.ask() is None


def test_batch_waits_for_the_one_before(tmp_path):
    study = study_at(tmp_path / "a.db")
    study.recover({})
    batch = [study.ask() for _ in range(3)]
    assert study.ask() is None and study.asked < study.trials
    for asked in batch[:2]:
        study.tell(asked.number, worth(asked.number))
    assert study.ask() is None
    study.tell(batch[2].number, worth(2))
    assert study.ask().number == 3
