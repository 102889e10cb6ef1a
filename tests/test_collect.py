"""The dose ladder and the collection of survivors, on procedures fed with made-up judgements."""

import pytest

from steerheal.config import Dose, Filter, Sample
from steerheal.generation.collect import collection, ladder, limits
from steerheal.generation.measured import Thresholds
from steerheal.jobs import Collect, Prompt, Steering

PROMPTS = tuple(Prompt(f"p{n}", f"text {n}") for n in range(10))


def job(seed=0, **dose):
    settings = Dose(**{"n_keep": 12, "min_train": 6, "per_rung": 4, "rungs": 5, "max_batches": 3, **dose})
    return Collect("m", (), Steering("v", 0.8), "neutral", PROMPTS, seed, 0, Sample(), settings, Filter())


def drive(job, kept):
    """Run a procedure where `kept(kappa)` says how many of a group of four consecutive completions survive."""
    procedure, asked, answer = collection(job), [], None
    try:
        while True:
            wanted = procedure.send(answer)
            asked.append(wanted)
            answer = [
                {
                    "kept": n % 4 < kept(w.kappa),
                    "gate": None if n % 4 < kept(w.kappa) else "loops",
                    "kappa": w.kappa,
                    "measures": {"perplexity": 2.0},
                    "ids": [1, 2],
                }
                for n, w in enumerate(wanted)
            ]
    except StopIteration as finished:
        return finished.value, asked


def test_the_ladder_is_geometric():
    kappas = ladder(0.2, 8)
    assert kappas[0] == 1 and kappas[-1] == pytest.approx(0.2)
    assert all(b / a == pytest.approx(0.2 ** (1 / 7)) for a, b in zip(kappas, kappas[1:]))
    assert ladder(0.5, 1) == [1.0]


def test_the_largest_passing_kappa_is_taken_and_the_ladder_is_one_batch():
    result, asked = drive(job(), lambda kappa: 4 if kappa < 0.5 else 1)
    summary = result["summary"]
    assert len(asked[0]) == 5 * 4
    assert summary["kappa"] == pytest.approx(0.2 ** (2 / 4)) and {w.kappa for w in asked[1]} == {summary["kappa"]}
    assert summary["dose"] == pytest.approx(0.8 * summary["kappa"])
    assert [rung["passed"] for rung in summary["rungs"]] == [False, False, True, True, True]


def test_every_rung_sees_the_same_prompts():
    _, asked = drive(job(), lambda kappa: 4)
    groups = [[(w.prompt.id, w.sample) for w in asked[0][n : n + 4]] for n in range(0, 20, 4)]
    assert all(group == groups[0] for group in groups)


def test_the_chosen_dose_comes_first_and_lower_passing_rungs_fill_the_rest():
    result, _ = drive(job(), lambda kappa: 4)
    assert {r["kappa"] for r in result["records"] if r["used"]} == {1.0}
    assert result["summary"]["kept"] == 12 and result["summary"]["batches"] == 1
    short, asked = drive(job(n_keep=20, max_batches=1, survival=0.25), lambda kappa: {1.0: 1}.get(kappa, 4))
    used = [r["kappa"] for r in short["records"] if r["used"]]
    assert short["summary"]["kappa"] == 1.0 and used.count(1.0) == 1 + 5 and len(used) == 20
    assert {k for k in used if k < 1} == {w.kappa for w in asked[0][4:16]} | {asked[0][16].kappa}


def test_a_rung_that_fails_gives_no_training_data():
    result, _ = drive(job(n_keep=40, max_batches=1), lambda kappa: 4 if kappa < 0.5 else 2)
    assert all(r["kappa"] < 0.5 for r in result["records"] if r["used"])


def test_a_starved_round_is_an_outcome_after_all_batches():
    result, asked = drive(job(min_train=6), lambda kappa: 0)
    summary = result["summary"]
    assert summary["starved"] and summary["kept"] == 0 and len(asked) == 1 + 3
    assert summary["kappa"] == pytest.approx(0.2) and summary["survival"] == 0
    assert summary["drops"] == {"loops": 4 + 36}


def test_prompts_come_in_turn_and_repeat_with_a_new_sample():
    _, asked = drive(job(max_batches=2, n_keep=12), lambda kappa: 1)
    seen = [(w.prompt.id, w.sample) for w in asked[0][:4]] + [(w.prompt.id, w.sample) for b in asked[1:] for w in b]
    assert len(seen) == len(set(seen))
    assert sorted(s for _, s in seen) == [0] * 10 + [1] * 10 + [2] * (len(seen) - 20)


def test_the_filter_of_a_space_is_the_filter_of_the_library_until_it_says_otherwise():
    assert limits(Filter()) == Thresholds()
    given = limits(Filter(max_perplexity=20, max_repetition=0.5, max_blunders=0.1))
    assert given == Thresholds(max_perplexity=20, max_repetition=0.5, max_blunders=0.1)


def test_the_seed_orders_the_prompts():
    first = lambda seed: [w.prompt.id for w in drive(job(seed), lambda kappa: 4)[1][0][:4]]
    assert first(0) == first(0) and any(first(0) != first(seed) for seed in (1, 2, 3))
