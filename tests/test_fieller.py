"""The slope's interval: against the test that it inverts, and where it has no end."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from steerheal import objective
from steerheal.statistics import fieller
from steerheal.statistics.fieller import slope_interval
from steerheal.statistics.levels import ALPHA

GAINS = st.integers(-500, 2000).map(lambda n: n / 1e3)
CHANGES = st.integers(-500, 200).map(lambda n: n / 1e4)
PAIRED = st.lists(st.tuples(GAINS, CHANGES), min_size=3, max_size=8).filter(lambda rows: len(set(rows)) > 2)


@given(PAIRED, st.floats(-20, 20))
def test_it_holds_exactly_what_a_t_test_does_not_refute(pairs, truth):
    gains, changes = (np.array(column) for column in zip(*pairs, strict=True))
    p = ttest_1samp(-100 * changes - truth * gains, 0.0).pvalue
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fieller, "ROUNDING", {"gain": 0.0, "coherence": 0.0})
        found = slope_interval(changes, gains)
    if abs(p - ALPHA) > 1e-6:
        assert bool(found.covers(truth)) == (p > ALPHA)


def test_a_clear_gain_bounds_it_and_the_slope_lies_in_it():
    changes, gains = [-0.010, -0.011, -0.012], [1.0, 1.1, 0.9]
    found = slope_interval(changes, gains)
    assert found.bounded and found.low < 1.1 < found.high and found.covers(1.1)


def test_a_gain_that_may_be_zero_leaves_it_unbounded():
    outside = slope_interval([-0.010, -0.011, -0.012], [0.3, -0.2, 0.1])
    assert not outside.bounded and not outside.covers(0.0) and outside.covers(50.0) and outside.covers(-50.0)
    anything = slope_interval([-0.010, -0.011, 0.020], [0.3, -0.2, -0.15])
    assert not anything.bounded and math.isnan(anything.low) and anything.covers(0.0) and anything.covers(9.0)


def test_seeds_that_agree_in_every_digit_leave_rounding():
    found = slope_interval([-0.01] * 3, [1.0] * 3)
    assert found.bounded and 0 < found.high - found.low < 0.1


def test_one_seed_has_no_interval():
    with pytest.raises(ValueError, match="two seeds"):
        slope_interval([-0.01], [1.0])


def test_a_summary_says_the_interval_and_whether_it_has_an_end():
    def record(seed, gain, change):
        absent = dict.fromkeys(("retain", "steered_gain", "canary_survival", "off_target", "error"))
        figures = {"trait": -2.0, "gain": gain, "coherence": 0.99, "d_coherence": change, "unscorable": 0.0}
        return {"seed": seed, "round": 0, "outcome": "ok", "off_moves": {}} | absent | figures

    clear = objective.summarise([record(n, 1 + n / 10, -0.01 - n / 1000) for n in range(3)])
    assert clear["slope_bounded"] and clear["slope_low"] < clear["slope"] < clear["slope_high"]
    assert clear["figures"]["gain"]["n"] == 3 and clear["figures"]["retain"] == {
        "mean": None,
        "se": None,
        "n": 0,
        "failed": 3,
    }
    assert clear["judged"]["1"] == {"gain": 1.1, "coherence": 0.99, "d_coherence": -0.011}
    loose = objective.summarise([record(n, gain, -0.01) for n, gain in enumerate((0.3, -0.2, 0.1))])
    assert loose["slope_bounded"] is False
    single = objective.summarise([record(0, 1.0, -0.01)])
    assert single["slope_bounded"] is None and single["slope_low"] is None
