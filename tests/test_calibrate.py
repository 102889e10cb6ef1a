"""The promises of the statistics, on a few cells with few repetitions; `python -m analysis.calibrate` has the
rest.
"""

import math

import numpy as np
import pytest

from analysis import calibrate
from steerheal.statistics.levels import ALPHA

REPETITIONS = 1000


def error(share):
    """Three binomial standard errors."""
    return 3 * math.sqrt(share * (1 - share) / REPETITIONS)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("variances", calibrate.VARIANCES)
@pytest.mark.parametrize("kind", calibrate.NOISES)
@pytest.mark.parametrize(("configurations", "seeds"), [(2, 3), (8, 5), (16, 3)])
def test_no_difference_is_seldom_called_real(kind, variances, configurations, seeds, rng):
    for measure in (calibrate.false_sweeps, calibrate.false_slopes):
        share = measure(kind, variances, configurations, seeds, REPETITIONS, rng)
        assert share <= ALPHA + error(ALPHA)


@pytest.mark.parametrize("kind", calibrate.NOISES)
@pytest.mark.parametrize(("configurations", "seeds"), [(2, 3), (8, 5)])
def test_the_smallest_detectable_difference_is_found(kind, configurations, seeds, rng):
    for variances in calibrate.VARIANCES:
        share = calibrate.found_sweeps(kind, variances, configurations, seeds, REPETITIONS, rng)
        assert share >= calibrate.FOUND - error(calibrate.FOUND)


@pytest.mark.parametrize("kind", calibrate.NOISES)
@pytest.mark.parametrize("gain", [0.02, 1.0])
def test_the_slope_is_covered_also_where_the_gain_may_be_zero(kind, gain, rng):
    covered, unbounded, _ = calibrate.coverage(kind, "equal", 5, gain, 0.5, REPETITIONS, rng)
    assert covered >= calibrate.COVERED - error(calibrate.COVERED)
    assert unbounded > 0.8 if gain < 0.1 else unbounded < 0.05


def test_vignettes_are_covered_with_and_without_seeds(rng, monkeypatch, capsys):
    """In 100 populations a cell 87% may look like 77%."""
    monkeypatch.setattr(calibrate, "VIGNETTES", (60,))
    monkeypatch.setattr(calibrate, "COVERED", calibrate.COVERED - 3 * math.sqrt(0.87 * 0.13 / 100))
    assert calibrate.vignette_table(100, rng) and "gain 0.3" in capsys.readouterr().out


def test_the_simulated_noise_is_what_it_is_said_to_be(rng):
    for kind in calibrate.NOISES:
        drawn = calibrate.noise(kind, (400_000,), rng)
        assert drawn.mean() == pytest.approx(0, abs=0.01) and drawn.std() == pytest.approx(1, abs=0.03)
        assert (abs((drawn**3).mean()) > 1) == (kind == "lognormal")


def test_a_broken_promise_is_marked(capsys, rng):
    kept = calibrate.sweep_table("x", lambda *_: 0.06, calibrate.FALSE, 1, 10, rng)
    lines = capsys.readouterr().out.splitlines()
    assert not kept and "6.0!" in lines[3] and "!" not in lines[-1]
