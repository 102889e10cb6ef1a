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

    def ended(self, number, error):
        self.over.append((number, error))


@pytest.fixture
def course():
    return Course()


@pytest.fixture
def searcher(course):
    posted = []
    made = CourseSearcher(course, lambda number, settings: posted.append((number, settings)), most=2)
    assert posted == [(0, "settings 0"), (1, "settings 1"), (2, "settings 2")]
    return made


def test_trials_are_given_by_number_and_no_more_than_allowed_at_once(searcher, course):
    assert [searcher.suggest(name) for name in "abc"] == [{"trial": 0}, {"trial": 1}, None]
    searcher.on_trial_result("b", {PAYLOAD: json.dumps({"record": 1})})
    searcher.on_trial_complete("b")
    assert course.said == [(1, {"record": 1})] and course.over == [(1, False)]
    assert searcher.suggest("d") == {"trial": 2}
    for name in "ad":
        assert searcher.suggest("e") is None, "what runs may have to be begun again"
        searcher.on_trial_complete(name)
    assert searcher.suggest("f") == Searcher.FINISHED


def test_a_trial_whose_process_dies_is_begun_again_and_given_up_in_the_end(searcher, course):
    for death in range(MAX_DEATHS):
        assert searcher.suggest(f"{death}") == {"trial": 0}
        searcher.on_trial_complete(f"{death}", error=True)
    assert course.over == [] and searcher.suggest("last") == {"trial": 0}
    searcher.on_trial_complete("last", error=True)
    assert course.over == [(0, True)] and searcher.suggest("next") == {"trial": 1}


def test_a_sweep_that_stops_begins_nothing_again(searcher, course):
    searcher.suggest("a")
    course.stopping = True
    searcher.on_trial_complete("a", error=True)
    assert course.over == [(0, True)] and searcher.suggest("b") == Searcher.FINISHED
