"""Who gets seeds in a race, what it costs, and that it finds the winners of the full design."""

import numpy as np
import pytest

from steerheal import objective, racing
from steerheal.config.objectives import SLOPE, Objective
from steerheal.standings import ranking, tied_trials

AT = Objective(kind="trait_at_coherence", coherence=0.9)
SEEDS = (0, 1, 2, 3, 4, 5)


def record(seed, gain, change, coherence=0.996):
    figures = {"gain": gain, "d_coherence": change, "coherence": coherence + change, "trait": -2.0 - gain}
    absent = dict.fromkeys(("retain", "steered_gain", "canary_survival", "off_target", "error", "canaries"))
    return {"seed": seed, "round": 0, "outcome": "ok", "unscorable": 0.0, "off_moves": {}} | absent | figures


def row(number, records, fresh=()):
    summary = objective.summarise(records)
    ran = [found["seed"] for found in records]
    return {"trial": number, "verdict": summary["verdict"], "summary": summary, "ran": ran, "fresh": list(fresh)}


class Course:
    """Configurations of known slopes, run on whatever seeds are asked for; all share a seed's luck."""

    def __init__(self, slopes, noise=0.01, seed=0):
        self.slopes, self.noise, self.seed = slopes, noise, seed

    def record(self, number, seed):
        shared, own = (np.random.default_rng([self.seed, seed, k]).normal(size=2) for k in (99, number))
        gain = 1.0 + 0.05 * shared[0] + 0.02 * own[0]
        slope = self.slopes[number] + 0.05 * shared[1] + self.noise * own[1]
        return record(seed, gain, -slope * gain / 100)

    def rows(self, ran):
        return [row(number, [self.record(number, seed) for seed in seeds]) for number, seeds in ran.items()]

    def race(self, seeds=SEEDS, wanted=SLOPE):
        """(rows at the end, the heats)."""
        ran, heats = {number: [seeds[0]] for number in range(len(self.slopes))}, []
        while heat := racing.next_heat(self.rows(ran), seeds, wanted):
            heats.append(heat)
            ran = {number: had + heat.get(number, []) for number, had in ran.items()}
            assert len(heats) < 30
        return self.rows(ran), heats


def group(rows):
    """The winner and all that cannot be told from it."""
    return {number for number, mark in tied_trials(rows).items() if mark}


CLEAR = (0.1, 0.1, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def test_after_one_seed_the_better_half_goes_on():
    rows = Course(CLEAR).rows({number: [0] for number in range(8)})
    heat = racing.next_heat(rows, SEEDS, SLOPE)
    assert sorted(heat) == sorted(ranking(rows)[:4]) and all(seeds == [1] for seeds in heat.values())
    assert len(racing.next_heat(rows[:3], SEEDS, SLOPE)) == 2


def test_clear_losers_get_no_more_seeds_and_contenders_get_all():
    rows, heats = Course(CLEAR).race()
    ran = {row["trial"]: len(row["ran"]) for row in rows}
    assert ran[0] == ran[1] == 6 and all(ran[number] <= 2 for number in range(2, 8))
    assert ranking(rows)[:2] in ([0, 1], [1, 0])


def test_a_trial_left_behind_by_the_first_rule_comes_back_if_it_is_within_noise():
    course = Course((0.1, 0.1, 0.1, 0.9), noise=0.03, seed=3)
    rows = course.rows({number: [0] for number in range(4)})
    (left,) = {0, 1, 2} - set(racing.next_heat(rows, SEEDS, SLOPE))
    rows, heats = course.race()
    assert left not in heats[0] and any(left in heat for heat in heats[1:])
    assert len(next(row for row in rows if row["trial"] == left)["ran"]) > 1


def test_the_race_finds_the_winners_of_the_full_design_at_half_the_cost():
    """Twenty sweeps, whose two best configurations are equal and whose others are not close."""
    same, share = 0, []
    for seed in range(20):
        course = Course(CLEAR, seed=seed)
        full = course.rows({number: list(SEEDS) for number in range(8)})
        rows, heats = course.race()
        done = sum(len(row["ran"]) for row in rows) + len(*racing.last_lap(rows, SEEDS, SLOPE).values())
        same += group(rows) == group(full)
        share.append(done / 48)
    assert same >= 18 and sum(share) / 20 <= 0.5


def test_only_feasible_trials_race():
    weak = [row(number, [record(0, 0.1, -0.001)]) for number in range(4)]
    assert racing.next_heat(weak, SEEDS, SLOPE) == {} and racing.last_lap(weak, SEEDS, SLOPE) == {}
    assert sorted(racing.next_heat(weak, SEEDS, AT)) == [0, 1]
    failed = {"trial": 4, "verdict": "failed", "summary": {}, "ran": [0], "fresh": []}
    one = [*weak, failed, row(5, [record(0, 1.0, -0.01)])]
    assert racing.next_heat(one, SEEDS, SLOPE) == {} and list(racing.last_lap(one, SEEDS, SLOPE)) == [5]


def test_the_winner_runs_again_on_fresh_seeds_once():
    rows = Course(CLEAR).race()[0]
    winner = ranking(rows)[0]
    assert racing.last_lap(rows, SEEDS, SLOPE) == {winner: [6, 7, 8]}
    assert racing.last_lap(rows, (3, 9), SLOPE) == {winner: [10, 11]}
    again = [row | {"fresh": [6, 7, 8]} if row["trial"] == winner else row for row in rows]
    assert racing.last_lap(again, SEEDS, SLOPE) == {}


def test_a_seed_that_failed_is_not_asked_for_again():
    course = Course(CLEAR)
    rows = course.rows({number: [0, 1] for number in range(8)})
    rows[0]["ran"] = [0, 1, 2, 3]
    assert racing.next_heat(rows, SEEDS, SLOPE).get(0, []) == []


def test_a_trial_that_went_further_comes_first():
    """Its one lucky seed would put a loser above the winner of many."""
    rows = [row(0, [record(0, 1.0, -0.001)]), row(1, [record(seed, 1.0, -0.002) for seed in (0, 1)])]
    assert ranking(rows) == [1, 0]


def test_the_cost_counts_heals_alone_and_the_fresh_ones_too():
    rows = [row(0, [record(0, 1.0, -0.01), record(1, 1.0, -0.01)], fresh=[6]), row(1, [record(0, 1.0, -0.02)])]
    starved = {"trial": 2, "verdict": "starved", "summary": {}, "ran": [0], "fresh": []}
    marks = [(0, 0, {}), (0, 1, {}), (0, 6, {}), (1, 0, {}), (2, 0, None)]
    records = [{"trial": trial, "seed": seed, "heal": heal} for trial, seed, heal in marks]
    assert racing.cost([*rows, starved], records, SEEDS) == (4, 12)


def test_the_race_is_told_in_words():
    rows = Course(CLEAR).race()[0]
    winner = ranking(rows)[0]
    fresh = {"fresh": [6, 7], "remeasured": {"verdict": "ok", "slope": 0.12, "slope_se": 0.01, "gain": 0.98}}
    rows = [row | fresh if row["trial"] == winner else row for row in rows]
    cost, said = racing.in_words(rows, [{"trial": 0, "seed": 0, "heal": {}}], SEEDS, SLOPE)
    assert cost == "race: 1 heals instead of 1 (8 trials on 6 seeds)"
    assert said.startswith(f"winner: trial {winner}; on fresh seeds (6, 7) ok, slope 0.120 ± 0.010, gain 0.980; on")
    assert racing.heat_in_words({0: [2, 3], 4: [2, 3], 7: [1]}) == "trials 0, 4 on seeds 2, 3; trial 7 on seed 1"


@pytest.mark.parametrize("noise", [0.0, 1e-9])
def test_equal_configurations_are_all_raced_to_the_end(noise):
    rows, _ = Course((0.1,) * 3, noise=noise).race()
    assert {len(row["ran"]) for row in rows} == {6}
