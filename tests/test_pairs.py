"""Which differences are called real: against the textbook where it has them, and by what must never
happen.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nct, studentized_range, ttest_rel

from steerheal.statistics import levels
from steerheal.statistics.detect import POWER, in_words, least_significant, seeds_to_settle, smallest_detectable
from steerheal.statistics.means import Noise
from steerheal.statistics.pairs import Pair, all_pairs, compare, compare_slopes, slope_pairs
from steerheal.statistics.pareto import pareto_front
from steerheal.statistics.ties import tie_groups, tied

FIGURE = st.floats(-3, 3)


def by_seed(*values):
    return dict(enumerate(values))


def sweep(k, n, spread=0.1, seed=0):
    return np.random.default_rng(seed).normal(0, spread, (k, n)) + np.arange(k)[:, None]


@given(st.lists(st.tuples(FIGURE, FIGURE), min_size=3, max_size=8))
def test_two_configurations_are_compared_by_the_paired_t_test(rows):
    first, second = np.array(rows).T
    if np.std(first - second) < 0.01:
        return
    table = all_pairs(np.array([first, second]), 0.0)
    p = ttest_rel(first, second).pvalue
    assert table.difference[0] == pytest.approx((first - second).mean())
    if abs(p - levels.ALPHA) > 1e-6:
        assert table.real[0] == (p < levels.ALPHA)


def test_the_error_is_never_below_the_residual_of_the_two_way_table():
    """Without interaction, y = configuration + seed + noise: Tukey's interval has its residual and
    freedom.
    """
    values = sweep(5, 4)
    residual = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    variance = (residual**2).sum() / (4 * 3)
    tukey = studentized_range.ppf(1 - levels.ALPHA, 5, 12) * math.sqrt(variance / 4)
    reach = all_pairs(values, 0.0).reach
    assert (reach >= tukey * (1 - 1e-9)).all() and reach.min() == pytest.approx(tukey)


def test_what_all_configurations_share_at_a_seed_cancels():
    values = sweep(4, 3)
    shifted = values + np.array([5.0, -7.0, 1.0])
    assert all_pairs(shifted, 0.0).reach == pytest.approx(all_pairs(values, 0.0).reach)


def test_a_noisy_configuration_does_not_borrow_the_precision_of_the_others():
    rng = np.random.default_rng(1)
    values = rng.normal(0, 0.01, (6, 10))
    values[0] *= 100
    table = all_pairs(values, 0.0)
    noisy = table.first == 0
    assert table.reach[noisy].min() > 1.5 * table.reach[~noisy].max()


def test_rounding_is_not_real():
    """wd 0 and wd 1e-6: the same tiny difference in every seed."""
    one = by_seed(1.0, 1.1, 0.9)
    other = {seed: value + 1e-5 for seed, value in one.items()}
    (pair,) = compare({"wd 0": one, "wd 1e-6": other}, "gain")
    assert pair.real is False and pair.equivalent is True
    changes = {"a": by_seed(-0.01, -0.011, -0.012), "b": by_seed(-0.01, -0.011, -0.012)}
    (pair,) = compare_slopes(changes, {"a": one, "b": other})
    assert pair.real is False and pair.equivalent is True


def test_without_repeats_nothing_is_known():
    (pair,) = compare({"a": {0: 1.0}, "b": {0: 2.0}}, "gain")
    assert pair == Pair("a", "b", -1.0, None, None, None, None)
    (pair,) = compare({"a": {0: 1.0}, "b": {1: 2.0}}, "gain", Noise(0.1, 9))
    assert pair.difference is None and pair.real is None
    assert compare_slopes({"a": {0: -0.01}}, {"a": {0: 1.0}}) == []


def test_noise_known_from_a_reference_compares_single_seeds():
    (near,) = compare({"a": {0: 1.0}, "b": {0: 1.2}}, "gain", Noise(0.1, 11))
    (far,) = compare({"a": {0: 1.0}, "b": {0: 1.6}}, "gain", Noise(0.1, 11))
    assert near.real is False and far.real is True
    assert far.high - far.difference == pytest.approx(levels.student(11) * 0.1 * math.sqrt(2))


def test_a_failed_seed_leaves_the_seeds_in_common():
    figures = {"a": by_seed(1.0, 1.1, 1.2), "b": by_seed(2.0, None, 2.2), "c": {0: 3.0, 1: 3.1, 2: 3.2}}
    pairs = {(pair.first, pair.second): pair for pair in compare(figures, "gain")}
    assert pairs["a", "b"].difference == pytest.approx(-1.0)
    assert all(pair.real for pair in pairs.values())


@given(st.integers(2, 5), st.integers(2, 5), st.integers(0, 1000))
def test_a_pair_turned_round_is_the_same_pair(k, n, seed):
    values = sweep(k, n, 1.0, seed)
    table, turned = all_pairs(values, 0.0), all_pairs(values[::-1], 0.0)
    assert sorted(table.reach) == pytest.approx(sorted(turned.reach))
    assert sorted(table.difference) == pytest.approx(sorted(-turned.difference))


def test_slopes_are_the_ratios_of_the_means_and_a_gain_near_zero_leaves_no_bound():
    gains = np.array([[1.0, 1.1, 0.9], [2.0, 2.1, 2.2], [0.1, -0.1, 0.05]])
    changes = np.array([[-0.01, -0.012, -0.011], [-0.002, -0.003, -0.001], [0.0, -0.001, 0.001]])
    slopes, table = slope_pairs(changes, gains)
    assert slopes == pytest.approx(-100 * changes.mean(1) / gains.mean(1))
    assert table.difference == pytest.approx((slopes[:, None] - slopes)[table.first, table.second])
    loose = table.second == 2
    assert np.isinf(table.reach[loose]).all() and not table.real[loose].any()
    assert np.isfinite(table.reach[~loose]).all() and table.real[~loose].all()


def pair(first, second, real):
    return Pair(first, second, -1.0, -2.0, 0.0, real, False)


def test_ties_are_marked_against_the_best_and_need_not_be_transitive():
    pairs = [pair("a", "b", False), pair("a", "c", True), pair("b", "c", False)]
    assert tied("abc", pairs) == {"a": True, "b": True, "c": False}
    assert tie_groups("abc", pairs) == {"a": 1, "b": 1, "c": 2}
    unknown = [pair("a", "b", None)]
    assert tied("ab", unknown) == {"a": None, "b": None} == tie_groups("ab", unknown)
    assert tied("", []) == {} == tie_groups("", []) and tied("a", []) == {"a": None}


def test_the_front_keeps_what_noise_may_have_put_behind():
    gains = {"strong": by_seed(2.0, 2.1, 1.9), "near": by_seed(1.98, 2.04, 1.93)}
    gains["poor"] = by_seed(1.0, 1.1, 0.9)
    same = by_seed(0.990, 0.9901, 0.9899)
    assert pareto_front(gains, dict.fromkeys(gains, same)) == {"strong": True, "near": True, "poor": False}
    dear = {"strong": by_seed(0.95, 0.9501, 0.9499), "near": same, "poor": same}
    assert pareto_front(gains, dear) == {"strong": True, "near": True, "poor": False}
    kept = {"strong": by_seed(0.95, 0.9501, 0.9499), "near": by_seed(0.95, 0.9501, 0.9499), "poor": same}
    assert pareto_front(gains, kept) == {"strong": True, "near": True, "poor": True}


def test_a_front_without_repeats_is_unknown():
    gains, coherences = {"a": {0: 1.0}, "b": {0: 2.0}}, {"a": {0: 0.9}, "b": {0: 0.99}}
    assert pareto_front(gains, coherences) == {"a": None, "b": None}


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_detectable_difference_of_two_is_that_of_the_noncentral_t(seeds):
    found = smallest_detectable(0.2, seeds)
    power = nct.sf(levels.student(seeds - 1), seeds - 1, found / (0.2 * math.sqrt(2 / seeds)))
    assert power == pytest.approx(POWER, abs=0.015)


def test_more_seeds_find_less_and_one_seed_finds_nothing():
    found = [smallest_detectable(1.0, seeds, 4) for seeds in (2, 3, 5, 10)]
    assert found == sorted(found, reverse=True) and smallest_detectable(1.0, 1) is None
    assert smallest_detectable(2.0, 3, 4) == pytest.approx(2 * found[1])


@pytest.mark.parametrize("k", (2, 6))
def test_seeds_that_settle_find_the_difference_that_was_seen(k):
    sd, seeds = 0.2, 3
    reach = least_significant(Noise(sd, (k - 1) * (seeds - 1)), seeds, k)
    found = [seeds_to_settle(difference, reach, seeds, k) for difference in (-1.0, 0.5, 0.2, 0.01)]
    assert found[:3] == sorted(found[:3]) and found[0] > seeds and found[-1] is None
    assert smallest_detectable(sd, found[2]) <= 0.2 < smallest_detectable(sd, seeds)


def test_the_noise_floor_in_words():
    said = in_words(Noise(0.03, 7), Noise(1.6e-4, 7), 3)
    assert said == (
        "differences below 0.062 nats of trait or 0.33 millinats of coherence cannot be told from noise at 3 seeds"
    )
    assert "among 24 configurations" in in_words(Noise(0.03, 46), Noise(1.6e-4, 46), 3, 24)
    assert least_significant(Noise(0.0, 7), 3) == pytest.approx(levels.student(7) * levels.ROUNDING["gain"])
