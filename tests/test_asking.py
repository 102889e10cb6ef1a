"""Does healing beat simply asking, at equal coherence? The definition, its errors, and what the report says."""

import numpy as np
import pytest
from fakes import ASKED as ASKED_GAIN
from recorded import write_sweep
from small import PERSONA, write_space
from test_loop import DATA, Given, trial

from analysis.asking import asking, found_contest
from analysis.load import read_sweep
from steerheal.config import Persona
from steerheal.config.space import load_space
from steerheal.errors import UserError
from steerheal.loop import run_trial
from steerheal.results import read_lines
from steerheal.standings import references, references_in_words
from steerheal.statistics.asking import over_seeds, over_vignettes
from steerheal.statistics.levels import MARGIN
from steerheal.statistics.vignettes import Bootstrap, Reads

VIGNETTES = 60
BASE = Reads(np.full(VIGNETTES, 0.4), np.full(VIGNETTES, 0.998))


def reads(rng, gain, coherence=0.998, spread=0.2):
    """A student that moved the trait (downwards) by `gain` nats, more on some vignettes than on others."""
    p = np.exp(np.log(0.4) - gain + spread * rng.standard_normal(VIGNETTES))
    return Reads(p, np.clip(coherence + 1e-4 * rng.standard_normal(VIGNETTES), 0, 1))


def told(prompt, **students):
    rng, draws = np.random.default_rng(1), Bootstrap(VIGNETTES)
    made = {name: draws.draws(BASE, [reads(rng, *figures)], -1) for name, figures in students.items()}
    return over_vignettes(draws.draws(BASE, [reads(rng, *prompt)], -1), made)


@pytest.mark.parametrize(
    ("students", "student", "verdict", "rivals"),
    [
        ({"a": (2.0,), "b": (2.5,)}, "b", "healing", 2),
        ({"a": (0.5,), "b": (0.2,)}, "a", "asking", 2),
        ({"a": (1.02,), "b": (0.2,)}, "a", "open", 2),
        ({"a": (2.0, 0.95), "b": (1.5, 0.9965)}, "b", "healing", 1),
        ({"a": (2.0, 0.95), "b": (1.5, 0.99)}, "a", "trade", 0),
        ({"a": (0.5, 0.95)}, "a", "asking", 0),
    ],
)
def test_equal_coherence_decides_who_stands_for_training(students, student, verdict, rivals):
    found = told((1.0,), **students)
    assert (found.student, found.verdict, found.rivals) == (student, verdict, rivals)
    wanted = students[student][0] - 1.0
    assert found.gain.low < found.gain.difference < found.gain.high
    assert found.gain.difference == pytest.approx(wanted, abs=0.15)
    assert found.gain.low - 0.1 < wanted < found.gain.high + 0.1


def test_what_is_lost_within_the_margin_is_no_loss():
    for lost, rivals in ((0.9, 1), (1.1, 0)):
        assert told((1.0,), a=(2.0, 0.998 - lost * MARGIN["coherence"])).rivals == rivals
    assert over_vignettes(Bootstrap(VIGNETTES).draws(BASE, [BASE], -1), {}) is None
    assert over_seeds((1.0, 0.998), {}, {}) is None


def test_where_nothing_differs_the_best_of_many_is_seldom_called_better():
    """The one to compare is picked for its gain; picking must not make a difference."""
    rng, shared, sweeps = np.random.default_rng(0), Bootstrap(VIGNETTES, 1000), 120
    wrong = 0
    for _ in range(sweeps):
        students = {name: shared.draws(BASE, [reads(rng, 1.0)], -1) for name in range(6)}
        wrong += over_vignettes(shared.draws(BASE, [reads(rng, 1.0)], -1), students).verdict != "open"
    assert wrong <= 0.1 * sweeps


@pytest.mark.parametrize("common", [0.0, 0.7])
@pytest.mark.parametrize("count", [1, 6])
def test_the_same_over_seeds_whatever_share_of_the_noise_all_trials_have_in_common(count, common):
    """The prompt has no seed, so that what a seed does to every trial alike does not cancel against it."""
    rng, sweeps, wrong = np.random.default_rng(0), 400, 0
    for _ in range(sweeps):
        seed = common * rng.standard_normal(3)
        noise = {name: 0.1 * (seed + (1 - common**2) ** 0.5 * rng.standard_normal(3)) for name in range(count)}
        gains = {name: dict(enumerate(1.0 + move)) for name, move in noise.items()}
        same = {name: dict.fromkeys(range(3), 0.998) for name in range(count)}
        wrong += over_seeds((1.0, 0.998), gains, same).verdict != "open"
    assert wrong <= 0.07 * sweeps


def test_over_seeds_the_interval_is_the_one_between_trials():
    gains = {"a": {0: 1.9, 1: 2.1, 2: 2.0}, "b": {0: 0.9, 1: 1.2, 2: 0.9}}
    same = {name: {0: 0.9975, 1: 0.9980, 2: 0.9985} for name in gains}
    found = over_seeds((1.0, 0.998), gains, same)
    assert (found.student, found.verdict, found.rivals) == ("a", "healing", 2)
    assert found.gain.difference == pytest.approx(1.0) and 0 < found.gain.low < 1 < found.gain.high
    alone = over_seeds((1.0, 0.998), {"a": {0: 2.0}}, {"a": {0: 0.998}})
    assert alone.gain.low is None and alone.verdict == "open"


def test_a_trial_asks_base_once_for_all_seeds_and_rounds():
    stages = Given()
    pair = Persona(name="p", positive="yes", negative="no", target="authority", sign=-1, engineered="oh yes")
    run_trial(trial(rounds=2).model_copy(update={"persona": pair}), DATA, "m", stages)
    for stage, canaries in (("evaluate", False), ("canary", True)):
        for system in ("yes", "oh yes"):
            asked = [job for job in stages.of(stage) if job.system == system]
            assert all(job.student == () and job.steering is None for job in asked)
            assert len({job.key for job in asked}) == (2 if canaries else 1), "canaries are sampled by seed"


def test_without_an_engineered_prompt_there_is_one_reference():
    stages = Given()
    (record,) = run_trial(trial(rounds=1, seeds=(0,)), DATA, "m", stages)["records"]
    assert record["prompted_gain"] == 0 and record["engineered"] is None and record["engineered_gain"] is None
    assert list(references([record | {"trial": 0}])) == ["base", "prompted", "steered at dose 0.5"]
    assert len({job.system for job in stages.of("evaluate")}) == 2


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep of two seeds whose pair has an engineered prompt."""
    return read_sweep(write_sweep(tmp_path_factory.mktemp("runs"), "seeds=[0,1]"))


def test_references_stand_beside_the_trials(whole):
    told = references(whole.records)
    assert list(told) == ["base", "prompted", "engineered", "steered at dose 2"]
    assert told["base"] == (0.0, pytest.approx(0.999))
    for name in ("prompted", "engineered"):
        assert told[name] == (pytest.approx(ASKED_GAIN), pytest.approx(0.999 - 0.01 * ASKED_GAIN))
    (line,) = references_in_words(whole.records)
    assert "base prompted: gain 0.400" in line and "base steered at dose 2: gain 2.000" in line
    assert references([]) == {} and references_in_words([]) == []


def test_the_report_answers_in_words_with_an_interval(whole):
    first, second = asking(whole)
    found = found_contest(whole, "prompted")
    assert "Does healing beat simply asking?" in first and "engineered" in second
    assert "simply asking" not in second and "gained 0.40 nats at coherence 0.9950" in first and "interval" in first
    assert "over seeds)" in first
    summary = whole.by_number[found.student]["summary"]
    assert found.gain.difference == pytest.approx(summary["gain"] - ASKED_GAIN, abs=1e-4)
    assert f"trial {found.student}" in first


def test_what_was_asked_is_in_the_runs_files(whole):
    rows = whole.vignettes(0)
    for name in ("base", "prompted", "engineered"):
        assert len([row for row in rows if row["who"] == name]) == len({row["id"] for row in rows})
        assert not any("seed" in row for row in rows if row["who"] == name)
    answers = read_lines(whole.folder.answers(0))
    assert {line["who"] for line in answers} == {"base", "prompted", "engineered", "steered", "healed"}


def test_an_empty_engineered_prompt_is_refused(tmp_path):
    path = write_space(tmp_path)
    (tmp_path / "persona.yaml").write_text(PERSONA.replace("You care about people above all.", "''"))
    with pytest.raises(UserError, match="engineered"):
        load_space(path)
