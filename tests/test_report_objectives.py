"""The report follows the sweep's objective: in words, leaderboard, ties, front, figure and what to run next."""

import html
import json
import re

import pytest
from recorded import FAILS, KL, NLL, write_sweep
from test_report import SEEDS, read

from analysis import compare
from analysis.load import read_sweep
from analysis.nextsteps import next_steps
from analysis.words import ONE_SEED, answer
from steerheal.errors import UserError

# Gains of about 0.9, 0.82 and 0.45 a round; coherence falls by a hundredth of that from 0.999.
TRIALS = (NLL, KL | {"lam": 0.1}, KL | {"lam": 1.0}, KL | {"lam": 0.9}, FAILS)
SLOPE, PARETO, AT = "objective=slope", "objective=pareto", "objective={trait_at_coherence: 0.98995}"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Sweeps of every objective, by it and their number of seeds."""
    place = tmp_path_factory.mktemp("runs")
    found = {}
    for number, objective in enumerate((SLOPE, PARETO, AT)):
        for seeds in (1, 3):
            asked = (objective, f"seeds={list(range(seeds))}")
            found[objective, seeds] = write_sweep(place, *asked, trials=TRIALS, name=f"sweep-{number}-{seeds}")
    return found


def said(folder):
    return " ".join(filter(None, answer(read_sweep(folder))))


@pytest.fixture
def compared(monkeypatch, capsys):
    """What `python -m analysis.compare A B` prints."""

    def call(*sides):
        monkeypatch.setattr("sys.argv", ["compare", *map(str, sides)])
        compare.main()
        return capsys.readouterr().out

    return call


def head(page):
    """The leaderboard's columns."""
    found = re.search(r"<caption>(Leaderboard, .*?)</caption><thead>(.*?)</thead>", page, re.DOTALL)
    return found[1], [html.unescape(name) for name in re.findall(r"<th[^>]*>(.*?)</th>", found[2])]


def test_the_most_gain_leads_where_that_is_asked_for_and_too_little_coherence_does_not_count(made):
    sweep = read_sweep(made[AT, 3])
    assert sweep.ranked == [1, 3, 2] and sweep.best["trial"] == 1
    words = said(made[AT, 3])
    assert "Trial 1 (" in words and "largest gain among the trials whose coherence is 0.98995 or more" in words
    assert "It is better than trials 3, 2, and that is more than noise" in words and "lowest slope" not in words
    assert "Only trials with the verdict ok or weak and coherence 0.98995 or more are ranked." in words
    page = read(made[AT, 3])
    caption, columns = head((made[AT, 3] / "report.html").read_text())
    assert caption == "Leaderboard, largest gain first among the trials with coherence 0.98995 or more"
    assert columns[3] == "gain" and columns.index("tie group") < columns.index("slope")
    assert "coherence ≥ 0.98995" in columns and "0.98995 asked for" in page.text
    assert "ranked by slope" not in page.text


def test_a_front_has_ends_and_no_leader(made):
    sweep = read_sweep(made[PARETO, 3])
    assert sweep.ranked == [0, 1, 3, 2]
    words = said(made[PARETO, 3])
    assert "4 of 5 trials are on the front" in words and " leads" not in words and "slope" not in words
    assert "from trial 0 with the most gain (gain 0.91" in words and "to trial 2 with the most coherence" in words
    page = read(made[PARETO, 3])
    caption, columns = head((made[PARETO, 3] / "report.html").read_text())
    assert caption == "Leaderboard, the front of gain against coherence first"
    assert {"on the front by its means", "beyond noise"} <= set(columns) and "tie group" not in columns
    assert "compared by gain and coherence" in page.text and "the front of the means" in page.text


def test_slopes_are_spoken_of_where_they_are_asked_for(made):
    words = said(made[SLOPE, 3])
    assert "lowest slope" in words and "90% interval over seeds and vignettes" in words
    caption, columns = head(read_page(made[SLOPE, 3]))
    assert caption == "Leaderboard, lowest slope first" and columns[3] == "slope"
    assert {"tie group", "on the front", "slope: 90%, over seeds and vignettes"} <= set(columns)


def read_page(folder):
    read(folder)
    return (folder / "report.html").read_text()


@pytest.mark.parametrize("objective", [SLOPE, PARETO, AT])
def test_one_seed_has_intervals_over_vignettes_and_no_verdict_on_differences(made, objective):
    folder = made[objective, 1]
    page = read(folder)
    _, columns = head((folder / "report.html").read_text())
    assert "slope: 90%, over vignettes" in columns and not {"tie group", "beyond noise", "on the front"} & set(columns)
    assert "do not see what training again with another seed would change" in page.text
    assert "Bars are 90% intervals over vignettes" in page.text and ONE_SEED in page.text
    assert ("best's, over vignettes" in " ".join(columns)) == (objective != PARETO)
    assert not re.search(r"\b(nan|NaN|null|inf)\b", page.text)


def test_intervals_over_vignettes_hold_the_figure_and_the_difference_from_the_best(made):
    page = read_page(made[AT, 1])
    _, columns = head(page)
    body = re.findall(r"<tr>(.*?)</tr>", re.search(r"Leaderboard, .*?<tbody>(.*?)</tbody>", page, re.DOTALL)[1])
    rows = [dict(zip(columns, re.findall(r"<td[^>]*>(.*?)</td>", row))) for row in body]
    first, second = rows[:2]
    low, high = map(float, first["gain: 90%, over vignettes"].split(" to "))
    assert low < float(first["gain"]) < high and high - low < 0.4
    found = re.fullmatch(r"(-[\d.]+) \((-[\d.]+) to (-[\d.]+)\)", second["gain − best's, over vignettes"])
    difference, low, high = map(float, found.groups())
    assert low < difference < high < 0
    assert difference == pytest.approx(float(second["gain"]) - float(first["gain"]), abs=0.01)
    assert first["gain − best's, over vignettes"] == rows[-1]["gain: 90%, over vignettes"] == "–"


def test_two_trials_at_one_seed_are_compared_over_vignettes(made, compared):
    folder = made[SLOPE, 1]
    told = compared(f"{folder}:1", f"{folder}:2")
    assert "A − B, over vignettes: 24 vignettes, seed 0" in told and "these vignettes tell them apart" in told
    assert "training again with another seed may still turn it round" in told
    gain = next(line for line in told.splitlines() if "tell them apart" in line and "gain" in line)
    assert "+0.368 nats" in gain
    both = compared(f"{made[SLOPE, 3]}:1", f"{made[SLOPE, 3]}:2")
    assert "over seeds and vignettes: 24 vignettes, seeds 0, 1, 2" in both and "turn it round" not in both


def test_without_vignettes_kept_the_comparison_says_so(compared, tmp_path):
    folder = write_sweep(tmp_path, trials=TRIALS[:2])
    (folder / "vignettes" / "trial-000.jsonl").unlink()
    assert "Nothing is known over vignettes: too few vignettes are recorded" in compared(f"{folder}:0", f"{folder}:1")
    _, columns = head(read_page(folder))
    assert "slope: 90%, over vignettes" in columns
    (folder / "vignettes" / "trial-001.jsonl").unlink()
    _, columns = head(read_page(folder))
    assert "slope: 90%, over vignettes" not in columns


def test_sweeps_of_different_objectives_each_have_their_leader(made, compared):
    told = compared(made[PARETO, 3], made[AT, 3])
    assert "They are after different things" in told
    assert "trial 0 has the most gain on the front" in told and "trial 1 leads (largest gain first" in told


def test_what_to_run_next_follows_the_objective(made):
    weak = [step.why for step in next_steps(read_sweep(made[SLOPE, 3]))]
    assert any("differ in slope" in why for why in weak)
    at = " ".join(step.why for step in next_steps(read_sweep(made[AT, 3])))
    assert "differ in slope" not in at and "Trial 0 would lead with a gain of 0.91" in at
    one = next_steps(read_sweep(made[AT, 1]))
    assert any("seeds=[0,1,2]" in (step.command or "") for step in one)


def worsened(folder, number, gain, coherence, spread):
    """The trial's recorded figures, moved by so much, and by so large a share of that less or more between seeds."""
    path = folder / "trials.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    summary = rows[number]["summary"]
    for name, by in (("gain", gain), ("coherence", coherence), ("d_coherence", coherence)):
        summary[name] += by
        for place, seed in enumerate(summary["judged"].values()):
            seed[name] += by * (1 + (place - 1) * spread)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_trial_within_noise_of_the_front_is_named_with_what_would_settle_it(tmp_path):
    folder = write_sweep(tmp_path, PARETO, SEEDS[0], trials=TRIALS)
    worsened(folder, 3, -0.1, -0.003, spread=0.9)
    assert "Trial 3 is behind by the means alone, and may be on it" in said(folder)
    (step,) = [step for step in next_steps(read_sweep(folder)) if "may be on the front" in step.why]
    assert "analysis.compare" in step.command and "lam=0.9" in step.command


def test_a_trial_that_is_beaten_beyond_noise_is_behind_the_front(tmp_path):
    folder = write_sweep(tmp_path, PARETO, SEEDS[0], trials=TRIALS)
    worsened(folder, 3, -0.1, -0.01, spread=0.0)
    assert "Trial 3 is really behind" in said(folder) and "3 of 5 trials are on the front" in said(folder)
    assert not any("may be on the front" in step.why for step in next_steps(read_sweep(folder)))


def test_an_objective_that_is_none_is_refused_in_one_line(tmp_path):
    folder = write_sweep(tmp_path, trials=TRIALS[:1])
    path = folder / "space.yaml"
    path.write_text(path.read_text().replace("objective: slope", "objective: speed"))
    with pytest.raises(UserError, match="space.yaml: objective: no objective that is known"):
        read_sweep(folder)
