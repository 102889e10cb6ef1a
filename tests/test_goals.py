"""What the searcher is told and how a leaderboard is ordered, under each objective and for every verdict."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steerheal.config.objectives import SLOPE, Objective
from steerheal.goals import DIRECTIONS, WORST, rank_key, standing
from steerheal.objective import RANKED, VERDICTS

ANY = st.none() | st.floats()
AT = Objective(kind="trait_at_coherence", coherence=0.99)
PARETO = Objective(kind="pareto")
OBJECTIVES = (SLOPE, AT, PARETO)


def told(verdict, slope=None, gain=None, coherence=None, objective=SLOPE):
    return standing(verdict, {"slope": slope, "gain": gain, "coherence": coherence}, objective)


def order(rows, objective=SLOPE):
    """Of (verdict, slope, gain, coherence)."""
    named = [(row[0], dict(zip(("slope", "gain", "coherence"), row[1:], strict=True)), row) for row in rows]
    return [row for *_, row in sorted(named, key=lambda item: rank_key(item[0], item[1], objective))]


@given(st.sampled_from(OBJECTIVES), st.sampled_from(VERDICTS), ANY, ANY, ANY)
def test_every_trial_tells_the_searcher_finite_values(objective, verdict, slope, gain, coherence):
    """A figure that is not a number would leave the trial running for ever, and would count as bad later."""
    found = told(verdict, slope, gain, coherence, objective)
    assert len(found.values) == len(DIRECTIONS[objective.kind])
    assert all(math.isfinite(value) and abs(value) <= WORST for value in found.values[:1])
    assert math.isfinite(found.constraint) and all(map(math.isfinite, found.values))


@given(st.sampled_from(OBJECTIVES), st.sampled_from(VERDICTS), ANY, ANY)
def test_only_verdicts_that_satisfy_the_objective_are_feasible(objective, verdict, slope, gain):
    feasible = told(verdict, slope, gain, 0.995, objective).constraint <= 0
    assert feasible == (verdict == "ok" or (verdict == "weak" and objective is not SLOPE))


def test_a_trial_without_a_student_has_a_standing_too():
    for objective in OBJECTIVES:
        for verdict in ("starved", "diverged", "failed", "unknown"):
            assert standing(verdict, {}, objective).constraint > 1


def test_a_collapsed_or_undone_trial_never_looks_good_to_the_searcher():
    """An undone heal has slope −2.2, a collapsed one a tiny one: both are told as worse than any real one."""
    for said in ("wrong way", "no-op", "broken", "damaged", "starved", "diverged", "failed", "unknown"):
        found = told(said, -2.2, 5.0, 0.999)
        assert found.values > told("ok", 80.0, 1.0).values
        assert found.constraint > told("weak", 1, 0.06).constraint
        assert told(said, -2.2, 5.0, 0.999, AT).values < told("ok", 1.0, 0.3, 0.99, AT).values
        assert told(said, -2.2, 5.0, 0.999, PARETO).values == (-WORST, 0.0)
    assert told("weak", 0.1, 0.29).constraint < told("weak", 0.1, 0.06).constraint <= 1
    assert told("broad", 0.1, 1.0).constraint < told("damaged", 0.1, 1.0).constraint


def test_a_trial_just_below_the_coherence_is_a_near_miss():
    exact, near, far = (told("ok", 1.0, 2.0, c, AT) for c in (0.99, 0.989, 0.9))
    assert exact.constraint == 0 < near.constraint < far.constraint < told("broad", 1.0, 2.0, 1.0, AT).constraint
    assert exact.values == near.values == far.values == (2.0,)


def test_the_published_ranking():
    rows = [
        ("ok", 0.11, 0.783, 0.99),
        ("ok", -0.13, 1.365, 0.99),
        ("weak", -5.0, 0.1, 0.99),
        ("ok", -0.05, 1.334, 0.99),
        ("starved", None, None, None),
    ]
    assert [row[1] for row in order(rows)] == [-0.13, -0.05, 0.11, -5.0, None]


def test_most_gain_at_a_coherence_comes_first_then_the_nearest_miss():
    rows = [
        ("ok", 1.0, 3.0, 0.95),
        ("ok", 1.0, 2.0, 0.989),
        ("weak", 1.0, 0.1, 0.999),
        ("ok", 1.0, 0.9, 0.99),
        ("broken", 1.0, 9.0, 0.8),
        ("no-op", 1.0, 0.0, 1.0),
    ]
    assert [row[2] for row in order(rows, AT)] == [0.9, 0.1, 2.0, 3.0, 0.0, 9.0]


@given(st.lists(st.tuples(st.sampled_from(VERDICTS), ANY, ANY, ANY), max_size=20))
def test_a_leaderboard_is_ordered_by_verdict_then_slope(rows):
    ordered = order(rows)
    kinds = [RANKED.index(row[0]) for row in ordered]
    assert kinds == sorted(kinds)
    slopes = [row[1] for row in ordered if row[0] == "ok" and row[1] is not None and math.isfinite(row[1])]
    assert slopes == sorted(slopes)


@pytest.mark.parametrize(("objective", "said"), [(SLOPE, "slope"), (PARETO, "pareto"), (AT, "trait_at_coherence 0.99")])
def test_an_objective_names_itself(objective, said):
    assert str(objective) == said
