"""What finished trials say against one another, from their rows alone."""

import json

import pytest

from steerheal.config.objectives import Objective
from steerheal.live import leaderboard, make_console
from steerheal.standings import differences, noise_in_words, ranking, tied_trials


def row(number, gains=(), change=-0.01, verdict="ok"):
    judged = {
        str(seed): {
            "gain": gain,
            "coherence": 0.996 + change * gain,
            "d_coherence": change * gain * (1 + seed / 50),
        }
        for seed, gain in enumerate(gains)
    }
    slope = -100 * change * (1 + (len(gains) - 1) / 100) if gains else None
    means = {
        name: sum(found[name] for found in judged.values()) / len(judged) if judged else None
        for name in ("gain", "coherence")
    }
    summary = {"slope": slope, "judged": judged} | means
    rest = {"params": {}, "message": "", "seconds": 1.0}
    return {"trial": number, "verdict": verdict, "summary": summary} | rest


CLEAR = [
    row(0, (1.0, 1.1, 0.9), -0.02),
    row(1, (1.0, 1.05, 0.95), -0.004),
    row(2, (1.02, 1.06, 0.93), -0.0041),
    row(3, (0.1, 0.1, 0.11), -0.0001, "weak"),
    row(4, verdict="starved"),
]


def test_ties_are_with_the_best_of_the_ranked():
    assert ranking(CLEAR) == [1, 2, 0, 3, 4]
    assert tied_trials(CLEAR) == {0: False, 1: True, 2: True, 3: None, 4: None}
    assert tied_trials(json.loads(json.dumps(CLEAR))) == tied_trials(CLEAR)


@pytest.mark.parametrize("rows", [[], CLEAR[3:], [row(0, (1.0,)), row(1, (2.0,))], [row(0, verdict="failed")]])
def test_single_seeds_and_unranked_trials_are_tied_with_nothing(rows):
    assert not any(mark is not None for mark in tied_trials(rows).values())


def test_one_trial_alone_is_tied_with_nothing():
    assert tied_trials(CLEAR[:1]) == {0: None}


def test_a_trial_whose_summary_is_missing_is_no_obstacle():
    assert tied_trials([*CLEAR, {**row(9, verdict="failed"), "summary": {}}])[9] is None


def test_the_noise_of_one_configuration_is_told_for_three_seeds():
    said = noise_in_words([row(0, (1.0, 1.1, 0.9, 1.05, 0.95))])
    assert "(4 degrees of freedom): 0.079 nats of trait" in said and said.endswith("at 3 seeds")
    assert noise_in_words([row(0, (1.0,)), row(1, verdict="starved")]) is None
    assert "at 3 seeds among 4 configurations" in noise_in_words(CLEAR)


def test_noise_is_told_in_what_an_experiment_counts():
    belief, voice = (noise_in_words(CLEAR, experiment) for experiment in ("belief", "voice"))
    assert "nats" not in belief.replace("millinats of coherence", "") and "of adoption" in belief
    assert "nats per token" in voice and "nats of trait" not in voice


def test_ties_under_a_coherence_are_of_gain_among_those_that_have_it():
    rows = [
        row(0, (2.0, 2.1, 1.9), -0.02),
        row(1, (1.2, 1.3, 1.1), -0.004),
        row(2, (1.2, 1.28, 1.12), -0.004),
        row(3, (0.5, 0.6, 0.4), -0.0001, "weak"),
    ]
    at = Objective(kind="trait_at_coherence", coherence=0.99)
    assert ranking(rows, at) == [1, 2, 3, 0]
    assert tied_trials(rows, at) == {0: None, 1: True, 2: True, 3: False}


@pytest.mark.parametrize("shift", [2e-7, 1e-5, -1e-5])
@pytest.mark.parametrize(
    "objective",
    [Objective(), Objective(kind="pareto"), Objective(kind="trait_at_coherence", coherence=0.9)],
    ids=str,
)
def test_what_differs_by_rounding_alone_is_tied_under_every_objective(objective, shift):
    """In the same direction in every seed, as wd 0 and wd 1e-6, so that no noise between seeds hides it."""
    gains = (1.0, 1.1, 0.9)
    rows = [row(0, gains), row(1, [gain + shift for gain in gains])]
    for seed in rows[1]["summary"]["judged"].values():
        seed["coherence"] += shift / 100
        seed["d_coherence"] += shift / 100
    assert tied_trials(rows, objective) == {0: True, 1: True}
    assert not any(pair.real for pair in differences(rows, objective))
    assert all(pair.equivalent for pair in differences(rows, objective))


def test_under_pareto_the_front_comes_first_and_those_beaten_in_both_figures_are_marked():
    rows = [
        row(0, (1.0, 1.1, 0.9), -0.02),
        row(1, (1.5, 1.6, 1.4), -0.002),
        row(2, (0.6, 0.7, 0.5), -0.0001, "weak"),
        row(3, verdict="starved"),
    ]
    pareto = Objective(kind="pareto")
    assert ranking(rows, pareto) == [1, 2, 0, 3]
    assert tied_trials(rows, pareto) == {0: False, 1: True, 2: True, 3: None}
    console = make_console()
    with console.capture() as capture:
        console.print(leaderboard(rows, ranking(rows, pareto), tied=tied_trials(rows, pareto), objective=pareto))
    assert "front" in capture.get() and "on it" in capture.get() and "slope first" not in capture.get()


def test_two_that_trade_gain_for_coherence_do_not_rule_each_other_out():
    """Either difference is real and inside its margin, so that each could be called no worse than the other."""
    rows = [row(0, (0.9, 0.91, 0.89), -0.01), row(1, (0.87, 0.881, 0.859), -0.0095)]
    marks = tied_trials(rows, Objective(kind="pareto"))
    assert marks == {0: True, 1: True}


def test_the_leaderboard_marks_ties_only_where_they_are_known():
    console = make_console()
    with console.capture() as capture:
        console.print(leaderboard(CLEAR, ranking(CLEAR), tied=tied_trials(CLEAR)))
        console.print("---")
        console.print(leaderboard(CLEAR, ranking(CLEAR), tied=dict.fromkeys(range(5))))
    known, unknown = capture.get().split("---")
    assert all(known.count(word) == 1 for word in ("best", "behind")) and "tied" in known
    assert "tied" not in unknown and "best" not in unknown
