"""The searcher between Ray Tune and a sweep, driven as Tune drives it."""

import json

import pytest

from steerheal.actors.trial import PAYLOAD
from steerheal.actors.tuner import MAX_DEATHS, CourseSearcher

from ray.tune.search import Searcher  # isort: skip (after steerheal.actors, which sets what Ray reads on import)


class Course:
    """Three trials, of which it writes down what becomes of them."""

    def __init__(self):
        self.stopping, self.settings, self.said, self.over = False, [(n, f"settings {n}") for n in range(3)], [], []

    def unfinished(self):
        return [0, 1, 2]

    def ready(self):
        told, self.settings = self.settings, []
        return told

    def heard(self, number, message):
        self.said.append((number, message))

    def in_line(self, number):
        return f"settings {number}"

    def ended(self, number, error):
        self.over.append((number, error))

    def stop(self, reason):
        self.stopping = reason


class Roster:
    """Without processes: what was posted, and who has taken what."""

    def __init__(self):
        self.posted, self.taken = [], {}

    def post(self, number, settings):
        self.posted.append((number, settings))

    def leave(self, taker):
        return self.taken.pop(taker, None)


@pytest.fixture
def course():
    return Course()


@pytest.fixture
def roster():
    return Roster()


@pytest.fixture
def searcher(course, roster):
    made = CourseSearcher(course, roster, most=2)
    assert roster.posted == [(0, "settings 0"), (1, "settings 1"), (2, "settings 2")]
    roster.posted.clear()
    return made


def says(searcher, trial_id, **message):
    searcher.on_trial_result(trial_id, {PAYLOAD: json.dumps(message)})


def test_turns_are_given_as_long_as_there_are_trials_for_them(searcher, course):
    assert [searcher.suggest(name) for name in "abc"] == [{"turn": "a"}, {"turn": "b"}, None]
    says(searcher, "b", began=0)
    says(searcher, "b", record=1)
    searcher.on_trial_complete("b")
    assert course.said == [(0, {"began": 0}), (0, {"record": 1})] and course.over == [(0, False)]
    assert searcher.suggest("d") == {"turn": "d"} and searcher.suggest("e") is None
    for name, number in (("a", 2), ("d", 1)):
        says(searcher, name, began=number)
        searcher.on_trial_complete(name)
    assert course.over == [(0, False), (2, False), (1, False)] and searcher.suggest("f") == Searcher.FINISHED


def test_a_trial_whose_process_dies_is_begun_again_and_given_up_in_the_end(searcher, course, roster):
    for death in range(MAX_DEATHS + 1):
        assert course.over == []
        searcher.suggest(f"{death}")
        says(searcher, f"{death}", began=1)
        searcher.on_trial_complete(f"{death}", error=True)
    assert course.over == [(1, True)] and roster.posted == [(1, "settings 1")] * MAX_DEATHS
    assert searcher.suggest("next") == {"turn": "next"}


def test_what_a_process_had_taken_when_it_died_without_a_word_is_begun_again(searcher, course, roster):
    searcher.suggest("a")
    roster.taken["a"] = 2
    searcher.on_trial_complete("a", error=True)
    assert roster.posted == [(2, "settings 2")] and course.over == []


@pytest.mark.parametrize("method", ["ended", "ready", "heard"])
def test_what_goes_wrong_in_the_sweep_stops_it(searcher, course, capsys, method):
    """Tune would log it where nobody looks, and wait for ever for the trials that come after."""

    def fails(*_):
        raise OSError("database is locked")

    setattr(course, method, fails)
    searcher.suggest("a")
    says(searcher, "a", began=0)
    searcher.on_trial_complete("a")
    assert course.stopping == "OSError: database is locked"
    assert searcher.suggest("b") == Searcher.FINISHED


def test_a_process_that_dies_in_line_costs_no_trial_anything(searcher, course, roster):
    searcher.suggest("a")
    searcher.on_trial_complete("a", error=True)
    assert roster.posted == [] and course.over == [] and searcher.suggest("b") == {"turn": "b"}


def test_processes_that_all_die_in_line_stop_the_sweep(searcher, course):
    def die(times):
        for death in range(times):
            assert not course.stopping
            searcher.suggest(f"{death}")
            searcher.on_trial_complete(f"{death}", error=True)

    die(2 * MAX_DEATHS)
    searcher.suggest("a")
    says(searcher, "a", began=0)
    die(2 * MAX_DEATHS + 1)
    assert "die before they begin" in course.stopping


def test_of_two_processes_with_the_same_trial_one_counts(searcher, course):
    for name in "ab":
        searcher.suggest(name)
        says(searcher, name, began=0)
    says(searcher, "b", record=1)
    searcher.on_trial_complete("b")
    says(searcher, "a", record=2)
    searcher.on_trial_complete("a")
    assert course.said == [(0, {"began": 0}), (0, {"record": 2})] and course.over == [(0, False)]


def test_what_nobody_was_heard_of_is_begun_again(searcher, course, roster):
    """Of two processes with one trial the one that was listened to has died, the other's end says nothing."""
    for name in "ab":
        searcher.suggest(name)
        says(searcher, name, began=0)
    roster.taken["b"] = 0
    searcher.on_trial_complete("a", error=True)
    searcher.on_trial_complete("b")
    assert course.over == [] and roster.posted == [(0, "settings 0")] * 2


def test_a_store_that_is_gone_for_good_stops_the_sweep(searcher, course):
    searcher.suggest("a")
    says(searcher, "a", away="the store's process is gone")
    assert course.stopping == "the store's process is gone"


def test_a_sweep_that_stops_begins_nothing_again(searcher, course, roster):
    searcher.suggest("a")
    says(searcher, "a", began=0)
    course.stopping = True
    searcher.on_trial_complete("a", error=True)
    assert course.over == [(0, True)] and roster.posted == [] and searcher.suggest("b") == Searcher.FINISHED
