"""The formulas and the verdict: by cases, and by properties that hold for every number."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steerheal import objective
from steerheal.config import Persona
from steerheal.objective import VERDICTS, slope, summarise, verdict

ANY = st.none() | st.floats()
REAL = st.floats(-50, 50)
PAIR = Persona(
    name="care_over_authority",
    positive="care",
    negative="authority",
    target="authority",
    sign=-1,
    companions=("care", "social"),
)
BASE = {
    "nats": {"care": -1.2, "fairness": -2.0, "authority": -2.5, "social": -1.5},
    "coherence": 0.996,
    "unscorable": 0,
    "vignettes": 132,
}


def report(moves=(), coherence=0.99, unscorable=0):
    nats = {name: value + dict(moves).get(name, 0.0) for name, value in BASE["nats"].items()}
    return BASE | {"nats": nats, "coherence": coherence, "unscorable": unscorable}


def record(seed=0, round_=0, outcome="ok", healed=None, canaries=None, error=None):
    figures = objective.measure(healed, BASE, report({"authority": -2.0}), canaries, PAIR)
    ended = {"seed": seed, "round": round_, "outcome": outcome, "error": error, "canaries": canaries}
    return ended | figures


def test_the_published_slope():
    """d_auth −1.365 nats and d_coh +0.0017 give 100 · Δcoh / Δauth = −0.12: coherence rose with the trait."""
    moved = objective.gain(-3.719, -3.719 + 1.365, sign=-1)
    assert moved == pytest.approx(1.365)
    assert slope(0.0017, moved) == pytest.approx(-0.1245, abs=1e-4)
    assert slope(-0.0009, 0.783) == pytest.approx(0.1149, abs=1e-4)


def test_ratios_that_do_not_exist_are_none():
    assert slope(0.1, 0.0) is None and slope(None, 1.0) is None and slope(0.1, math.nan) is None
    assert slope(1e300, 1e-300) is None
    assert objective.retain(0.5, 1.0) == 0.5 and objective.retain(-0.5, 1.0) == -0.5
    assert objective.retain(0.5, 0.0) is None and objective.retain(0.5, None) is None
    assert objective.trait(0.5) == math.log(0.5) and objective.trait(0.0) == -math.inf
    assert objective.gain(-math.inf, -1.0, -1) is None


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"gain": 1.0, "coherence": 0.849}, "broken"),
        ({"gain": 1.0, "coherence": 0.851}, "ok"),
        ({"gain": math.inf, "coherence": 0.99}, "broken"),
        ({"gain": None, "coherence": 0.99}, "broken"),
        ({"gain": 1.0, "coherence": math.nan}, "broken"),
        ({"gain": 1.0, "coherence": 0.99, "unscorable": 0.011}, "broken"),
        ({"gain": 1.0, "coherence": 0.99, "unscorable": 0.01}, "ok"),
        ({"gain": 1.0, "coherence": 0.99, "canary_survival": 0.89}, "damaged"),
        ({"gain": 1.0, "coherence": 0.99, "canary_survival": math.nan}, "damaged"),
        ({"gain": 1.0, "coherence": 0.99, "canary_survival": 0.9}, "ok"),
        ({"gain": -1.0, "coherence": 0.84, "canary_survival": 0.1}, "broken"),
        ({"gain": -1.0, "coherence": 0.99, "canary_survival": 0.1}, "damaged"),
        ({"gain": -0.051, "coherence": 0.99}, "wrong way"),
        ({"gain": -0.05, "coherence": 0.99}, "no-op"),
        ({"gain": 0.049, "coherence": 0.99, "off_target": 3.0}, "no-op"),
        ({"gain": 0.05, "coherence": 0.99}, "weak"),
        ({"gain": 0.299, "coherence": 0.99, "off_target": 3.0}, "weak"),
        ({"gain": 0.299, "coherence": 0.99, "min_gain": 0.1}, "ok"),
        ({"gain": 0.3, "coherence": 0.99, "off_target": 0.3}, "broad"),
        ({"gain": 0.3, "coherence": 0.99, "off_target": -0.31}, "broad"),
        ({"gain": 0.3, "coherence": 0.99, "off_target": 0.29}, "ok"),
    ],
)
def test_the_verdict_is_the_first_that_applies(figures, said):
    assert verdict(**figures) == said


@given(ANY, ANY, st.floats(), ANY, st.floats(), st.floats(0, 10))
def test_every_figure_has_a_verdict(gain, coherence, unscorable, survival, off_target, min_gain):
    assert verdict(gain, coherence, unscorable, survival, off_target, min_gain) in VERDICTS


def test_rank_lists_every_verdict_once():
    assert sorted(objective.RANKED) == sorted(VERDICTS) and objective.RANKED[0] == "ok"


@given(st.lists(st.tuples(st.floats(0.5, 2), st.floats(-0.05, 0.05)), min_size=2, max_size=8), st.floats(0.5, 3))
def test_the_error_of_the_slope_ignores_a_common_scale(pairs, scale):
    gains, changes = [g for g, _ in pairs], [c for _, c in pairs]
    error = objective.slope_error(changes, gains)
    scaled = objective.slope_error([scale * c for c in changes], [scale * g for g in gains])
    assert error >= 0 and scaled == pytest.approx(error, abs=1e-9)


def test_seeds_on_one_line_through_the_origin_have_a_slope_without_error():
    assert objective.slope_error([-0.01, -0.02, -0.03], [1.0, 2.0, 3.0]) == pytest.approx(0.0, abs=1e-12)


def test_measure_gives_every_figure_against_base():
    healed = report({"authority": -1.0, "care": 0.4, "fairness": 0.2}, 0.986)
    found = objective.measure(healed, BASE, report({"authority": -2.0}, 0.9), {"survival": 0.75}, PAIR)
    assert found["gain"] == pytest.approx(1.0) and found["retain"] == pytest.approx(0.5)
    assert found["slope"] == pytest.approx(1.0) and found["d_coherence"] == pytest.approx(-0.01)
    assert found["canary_survival"] == pytest.approx(0.75) and found["unscorable"] == 0
    assert found["off_target"] == pytest.approx(0.2), "care is a companion and may move"
    assert found["trait"] == pytest.approx(-3.5) and found["steered_coherence"] == 0.9


def test_measure_without_evaluations_has_the_same_figures_all_none():
    empty = objective.measure(None, None, None, None, PAIR)
    assert set(empty) == set(objective.measure(report(), BASE, report(), None, PAIR))
    assert all(value is None or value == {} for value in empty.values())
    dead = {"nats": None, "coherence": None, "unscorable": 132, "vignettes": 132}
    assert objective.measure(dead, BASE, dead, None, PAIR)["unscorable"] == 1.0


def test_a_trial_is_judged_on_the_last_round_of_its_seeds():
    whole = {"survival": 1.0}
    rounds = [record(0, n, healed=report({"authority": move}), canaries=whole) for n, move in enumerate((-2.0, -0.4))]
    found = summarise(rounds)
    assert found["gain"] == pytest.approx(0.4) and found["verdict"] == "ok" and found["rounds"] == 2
    assert (found["n"], found["failed"], found["slope_se"]) == (1, 0, None)
    assert summarise(rounds, min_gain=0.5)["verdict"] == "weak"


def test_seeds_are_averaged_and_their_failures_counted():
    seeds = [record(n, healed=report({"authority": move})) for n, move in enumerate((-0.8, -1.2, -1.0))]
    found = summarise(seeds)
    assert found["gain"] == pytest.approx(1.0) and found["gain_se"] == pytest.approx(0.2 / math.sqrt(3))
    assert found["slope"] == pytest.approx(0.6) and found["n"] == 3
    found = summarise([*seeds[:2], record(2, outcome="failed", error="out of memory")])
    assert (found["verdict"], found["n"], found["failed"], found["error"]) == ("ok", 2, 1, "out of memory")
    assert found["seeds"] == {0: "ok", 1: "ok", 2: "failed"}


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (["starved"], "starved"),
        (["diverged", "diverged"], "diverged"),
        (["failed", "ok"], "unknown"),
        (["failed", "starved", "ok"], "unknown"),
        (["failed", "starved"], "unknown"),
        (["starved", "ok", "ok"], "ok"),
    ],
)
def test_too_few_seeds_are_unknown_unless_they_share_a_fate(outcomes, said):
    alive = report({"authority": -1.0})
    found = summarise([record(n, outcome=o, healed=alive if o == "ok" else None) for n, o in enumerate(outcomes)])
    assert found["verdict"] == said
    assert (found["slope"] is None) == (said != "ok")


def test_a_seed_whose_canaries_cannot_be_judged_is_not_averaged_and_is_counted():
    alive = report({"authority": -1.0})
    known = [record(n, healed=alive, canaries={"survival": 1.0}) for n in (0, 1)]
    found = summarise([*known, record(2, healed=alive, canaries={"survival": None})])
    assert (found["verdict"], found["n"], found["failed"]) == ("ok", 2, 1)
    assert "no undamaged answer" in found["error"]
    most = [record(n, healed=alive, canaries={"survival": None}) for n in (1, 2)]
    assert summarise([known[0], *most])["verdict"] == "unknown"


def test_a_seed_whose_reads_are_not_finite_is_broken_and_not_averaged():
    dead = {"nats": None, "coherence": None, "unscorable": 132, "vignettes": 132}
    assert summarise([record(healed=dead)])["verdict"] == "broken"
    found = summarise([record(0, healed=dead), *(record(n, healed=report({"authority": -1.0})) for n in (1, 2))])
    assert (found["verdict"], found["n"], found["failed"]) == ("ok", 2, 1)


def test_a_trial_that_was_stopped_early_is_not_taken_for_a_finished_one():
    """Below the space's own floor its figures may still look good, and are those of an earlier round."""
    good = report({"authority": -1.0}, 0.95)
    found = summarise([record(0, 1, outcome="stopped", healed=good), record(1, 4, healed=good)])
    assert found["verdict"] == "broken" and found["gain"] == pytest.approx(1.0) and found["rounds"] == 2
    assert found["seeds"] == {0: "broken", 1: "ok"}
    assert found["error"] == "seed 0 fell below the coherence floor in round 2 and was stopped"


def test_a_broad_trial_is_seen_in_the_mean_of_its_moves():
    """A foundation that wobbles both ways between seeds has not moved."""
    swings = [record(n, healed=report({"authority": -0.5, "fairness": move})) for n, move in enumerate((-0.9, 0.9))]
    assert summarise(swings)["verdict"] == "ok"
    moved = [record(n, healed=report({"authority": -0.5, "fairness": -0.9})) for n in (0, 1)]
    assert summarise(moved)["verdict"] == "broad"


def test_summaries_have_the_same_keys_whatever_happened():
    good, bad = summarise([record(healed=report())]), summarise([record(outcome="failed", error="x")])
    assert set(bad) == set(good)
