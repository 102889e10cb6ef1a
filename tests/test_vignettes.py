"""What vignettes say of a figure: against the textbook where it has it, and by what must hold by simulation."""

import numpy as np
import pytest

from steerheal.reads import vignette_rows
from steerheal.statistics import levels
from steerheal.statistics.fieller import slope_interval
from steerheal.statistics.vignettes import Bootstrap, Draws, Figure, Reads, interval, pairs

MANY = 60
GAIN, CHANGE = 0.7, -0.004


def flat(trait, coherence, vignettes=20):
    """Vignettes that are all alike, so that only seeds can differ."""
    return Reads(np.full(vignettes, np.exp(trait)), np.full(vignettes, coherence))


def drawn(rng, vignettes, gain=GAIN, change=CHANGE):
    """Base and a student on vignettes of a population whose gain and change of coherence are known: most
    vignettes say little of the target, a few much.
    """
    base = rng.beta(0.3, 1.7, vignettes)
    moved = np.exp(rng.normal(-0.02, 0.2, vignettes)) * np.exp(-gain)
    mass = 0.996 + 0.003 * rng.standard_normal(vignettes)
    lost = change * rng.gamma(0.5, 2.0, vignettes)
    return Reads(base, mass), Reads(base * moved, mass + lost)


def test_figures_are_those_of_the_evaluation():
    base, student = drawn(np.random.default_rng(0), 40)
    found = Bootstrap(40).draws(base, [student], -1)
    gain, change = np.log(base.target.mean()) - np.log(student.target.mean()), student.mass.mean() - base.mass.mean()
    assert found.measured("gain") == pytest.approx(gain) and found.measured("d_coherence") == pytest.approx(change)
    assert found.measured("slope") == pytest.approx(-100 * change / gain)


def test_what_could_not_be_scored_is_left_out_as_the_evaluation_does():
    base, student = drawn(np.random.default_rng(0), 40)
    student.target[:3], student.mass[:3] = np.nan, np.nan
    found = Bootstrap(40).draws(base, [student], -1)
    gain = np.log(base.target.mean()) - np.log(student.target[3:].mean())
    assert found.measured("gain") == pytest.approx(gain)
    assert interval(found, "gain") is not None
    nothing = Reads(np.full(40, np.nan), np.full(40, np.nan))
    assert [interval(Bootstrap(40).draws(base, [nothing], -1), kind) for kind in ("gain", "slope")] == [None, None]


def test_the_interval_of_a_mean_is_the_textbooks():
    rng = np.random.default_rng(1)
    base, student = drawn(rng, 400)
    low, high = interval(Bootstrap(400).draws(base, [student], -1), "d_coherence")
    apart = student.mass - base.mass
    assert high - low == pytest.approx(2 * levels.student(399) * apart.std(ddof=1) / 20, rel=0.05)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_over_vignettes_that_are_all_alike_intervals_are_students_and_fiellers(seeds):
    rng = np.random.default_rng(seeds)
    gains, changes = 1 + 0.05 * rng.standard_normal(seeds), -0.01 + 0.001 * rng.standard_normal(seeds)
    students = [flat(-2 - gain, 0.99 + change) for gain, change in zip(gains, changes)]
    found = Bootstrap(20, draws=40_000).draws(flat(-2, 0.99), students, -1)
    reach = levels.student(seeds - 1) * gains.std(ddof=1) / np.sqrt(seeds)
    low, high = interval(found, "gain")
    assert (low, high) == pytest.approx((gains.mean() - reach, gains.mean() + reach), abs=0.1 * reach)
    exact = slope_interval(changes, gains)
    if exact.bounded and seeds > 2:
        width = float(exact.high - exact.low)
        assert interval(found, "slope") == pytest.approx((float(exact.low), float(exact.high)), abs=0.1 * width)


def test_seeds_and_vignettes_together_are_wider_than_either():
    rng = np.random.default_rng(2)
    base, student = drawn(rng, MANY)
    noisy = [Reads(student.target * np.exp(0.1 * rng.standard_normal()), student.mass) for _ in range(3)]
    both = interval(Bootstrap(MANY).draws(base, noisy, -1), "gain")
    alone = interval(Bootstrap(MANY).draws(base, noisy[:1], -1), "gain")
    gains = [np.log(base.target.mean() / one.target.mean()) for one in noisy]
    reach = levels.student(2) * np.std(gains, ddof=1) / np.sqrt(3)
    assert both[1] - both[0] > max(2 * reach, alone[1] - alone[0]) * 0.97


def test_a_gain_that_may_be_zero_bounds_no_slope():
    base, student = drawn(np.random.default_rng(3), 30, gain=0.0)
    found = Bootstrap(30).draws(base, [student], -1)
    assert not found.bounded and interval(found, "slope") is None and interval(found, "gain") is not None
    base, student = drawn(np.random.default_rng(3), 30)
    sure = Bootstrap(30).draws(base, [student], -1)
    assert pairs({"a": found, "b": sure}, "slope") == [] and len(pairs({"a": found, "b": sure}, "gain")) == 1


def test_pairs_cancel_what_two_students_share():
    """Each is known to within a tenth of a nat; that the one gained a little more than the other is certain."""
    base, student = drawn(np.random.default_rng(4), MANY)
    more = Reads(student.target * np.exp(-0.02), student.mass)
    bootstrap = Bootstrap(MANY)
    both = {"a": bootstrap.draws(base, [student], -1), "b": bootstrap.draws(base, [more], -1)}
    (pair,) = pairs(both, "gain")
    low, high = interval(both["a"], "gain")
    assert high - low > 0.08 and pair.real and pair.difference == pytest.approx(-0.02)


@pytest.mark.parametrize("shift", [1e-7, 1e-5])
def test_what_differs_by_rounding_is_never_told_apart(shift):
    base, student = drawn(np.random.default_rng(5), MANY)
    again = Reads(student.target * np.exp(-shift), student.mass - shift / 100)
    bootstrap = Bootstrap(MANY)
    both = {name: bootstrap.draws(base, [one], -1) for name, one in (("wd 0", student), ("wd 1e-6", again))}
    for kind in ("gain", "d_coherence", "slope"):
        (pair,) = pairs(both, kind)
        assert pair.real is False and pair.equivalent is True


def test_equal_calls_give_equal_draws():
    base, student = drawn(np.random.default_rng(6), 30)
    one, other = (Bootstrap(30).draws(base, [student] * 2, -1) for _ in range(2))
    assert interval(one, "slope") == interval(other, "slope")


def test_intervals_over_vignettes_cover_the_populations_figures():
    """90% are promised; 300 populations' draws, so that 85% is two and a half errors below."""
    rng, bootstrap = np.random.default_rng(7), Bootstrap(MANY, draws=600)
    covered = dict.fromkeys(("gain", "d_coherence", "slope"), 0)
    truth = {"gain": GAIN, "d_coherence": CHANGE, "slope": -100 * CHANGE / GAIN}
    for _ in range(300):
        base, student = drawn(rng, MANY)
        found = bootstrap.draws(base, [student], -1)
        for kind, value in truth.items():
            low, high = interval(found, kind)
            covered[kind] += low <= value <= high
    assert min(covered.values()) >= 0.85 * 300, covered


def test_without_a_difference_few_of_many_pairs_are_told_apart():
    """Six students of one population's figures: 4% of such sweeps may tell any two apart; 8% is 2.5 errors more."""
    rng = np.random.default_rng(8)
    bootstrap, found = Bootstrap(MANY, draws=600), 0
    for _ in range(150):
        base = drawn(rng, MANY)[0]
        noise = [base.target * np.exp(rng.normal(-0.72, 0.2, MANY)) for _ in range(6)]
        trials = {n: bootstrap.draws(base, [Reads(one, base.mass)], -1) for n, one in enumerate(noise)}
        found += any(pair.real for pair in pairs(trials, "gain"))
    assert found <= 0.08 * 150


@pytest.mark.parametrize(("negative", "last"), [(10, 2.0), (30, None)])
def test_draws_on_the_other_side_of_no_gain_lie_beyond_a_slopes_ends(negative, last):
    """With few of them the ends are among the others; with more than 2% there is no end."""
    count = 1000
    off = np.concatenate([np.zeros(count - negative), np.full(negative, -9.0)])
    gain = Figure(0.5, off, np.zeros(count), np.zeros(60))
    change = Figure(-0.01, np.zeros(count), np.zeros(count), np.zeros(60))
    found = interval(Draws(gain, change), "slope")
    assert found == (None if last is None else pytest.approx((last, last)))


class Store:
    """Artefacts' folders by key."""

    def __init__(self, root):
        self.root = root

    def folder(self, key):
        return self.root / key


def test_rows_hold_every_vignette_of_the_last_round_and_base_once(tmp_path):
    for key in ("b", "s0", "s1", "h0", "h1", "old"):
        (tmp_path / key).mkdir()
        row = '{"id": "v", "foundation": "care", "p": {"care": 0.5, "authority": 0.25}, "mass": 0.123456789012}'
        none = '{"id": "w", "foundation": "care", "p": null, "mass": null}'
        (tmp_path / key / "rows.jsonl").write_text(f"{row}\n{none}\n")
    records = [
        {"seed": 0, "round": 0, "keys": {"base": "b", "steered": "s0", "healed": "old"}},
        {"seed": 0, "round": 1, "keys": {"base": "b", "steered": "s1", "healed": "h0"}},
        {"seed": 1, "round": 1, "keys": {"base": "b", "steered": "s1", "healed": "h1"}},
        {"seed": 2, "round": 0, "keys": {"base": "b", "collect": "c"}},
    ]
    rows = vignette_rows(Store(tmp_path), records)
    assert [(row["who"], row.get("seed"), row["id"]) for row in rows if row["logp"]] == [
        ("base", None, "v"),
        ("steered", 0, "v"),
        ("healed", 0, "v"),
        ("healed", 1, "v"),
    ]
    assert rows[0]["logp"] == {"care": -0.693147, "authority": -1.386294} and rows[0]["mass"] == 0.12345679
    assert rows[1] == {"who": "base", "id": "w", "foundation": "care", "logp": None, "mass": None}
