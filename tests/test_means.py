"""Means over seeds, and the noise between them: against the textbook."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steerheal.statistics.means import Mean, Noise, mean, noise_floor, pooled_noise, rerun_floor

REAL = st.floats(-50, 50)


@given(st.lists(REAL, min_size=2, max_size=12), st.integers(0, 4))
def test_the_mean_is_the_textbook_one_and_counts_what_failed(values, failed):
    found = mean([*values, *([None, math.nan, math.inf, -math.inf][:failed])])
    assert found.mean == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert found.se == pytest.approx(statistics.stdev(values) / math.sqrt(len(values)), abs=1e-9)
    assert (found.n, found.failed) == (len(values), failed)


def test_a_mean_of_nothing_or_one():
    assert mean([None]) == Mean(None, None, 0, 1)
    assert mean([2.0]) == Mean(2.0, None, 1, 0)


@given(st.lists(st.lists(REAL, min_size=3, max_size=3), min_size=1, max_size=6), st.floats(-10, 10))
def test_the_noise_floor_pools_variances_and_ignores_where_groups_lie(groups, shift):
    pooled = math.sqrt(statistics.fmean(statistics.variance(group) for group in groups))
    assert noise_floor(groups) == pytest.approx(pooled, abs=1e-9)
    moved = [[value + shift * place for value in group] for place, group in enumerate(groups)]
    assert noise_floor(moved) == pytest.approx(pooled, abs=1e-6)
    assert noise_floor([*groups, [3.0], []]) == noise_floor(groups)


def test_no_noise_floor_without_a_repeat():
    assert noise_floor([[1.0], [2.0]]) is None and noise_floor([]) is None


def test_noise_from_elsewhere_is_pooled_by_its_degrees_of_freedom():
    found = pooled_noise([[1.0, 3.0]], Noise(1.0, 3))
    assert found.df == 4 and found.sd == pytest.approx(math.sqrt((2 + 3) / 4))
    assert pooled_noise([[1.0]], Noise(0.5, 7)) == Noise(0.5, 7)


def test_the_floor_of_a_difference_of_reruns():
    assert rerun_floor([[1.0, 1.002]]) == pytest.approx(0.002)
    assert rerun_floor([[1.0], [2.0]]) is None
