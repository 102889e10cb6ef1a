"""The report of a race: who ran which seeds, what that saved, and what the winner is worth on fresh seeds."""

import html
import json
import re
import shlex

import pytest
from recorded import FAILS, KL, NLL, write_sweep
from test_report import read

from analysis.load import read_sweep
from analysis.nextsteps import next_steps
from analysis.race import curse, winner
from analysis.words import answer
from steerheal import tune
from steerheal.config.space import load_space

TRIALS = (KL | {"lam": 0.1}, KL | {"lam": 1.0}, KL | {"lam": 2.0}, NLL | {"alpha": 2.0}, FAILS)
RACE = ("repeats=race", "seeds=[0,1,2,3]", "objective={trait_at_coherence: 0.98}")


@pytest.fixture(scope="module")
def race(tmp_path_factory):
    """A finished race: trial 0 wins, the others are clear losers, one starves, one fails."""
    return write_sweep(tmp_path_factory.mktemp("runs"), *RACE, trials=TRIALS)


@pytest.fixture(scope="module")
def page(race):
    return read(race)


def table(folder, caption):
    """The rows of a table of the page, as cells."""
    made = html.unescape((folder / "report.html").read_text())
    found = re.search(rf"<caption>{re.escape(caption)}.*?</caption>.*?<tbody>(.*?)</tbody>", made, re.DOTALL)
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", found[1])]


def test_each_trial_is_shown_with_the_seeds_that_it_ran(race, page):
    rows = {row[0]: row for row in table(race, "Which seeds each trial ran")}
    sweep = read_sweep(race)
    assert sweep.best["trial"] == 0 and "race" in page.anchors and "a race over seeds 0, 1, 2, 3" in page.text
    for row in sweep.rows:
        cells = rows[str(row["trial"])]
        assert cells[3] == f"{len(row['ran'])} of 4"
        assert [place for place, cell in enumerate(cells[4:8]) if cell != "–"] == row["ran"]
    fresh = sweep.by_number[0]["fresh"]
    assert fresh and rows["0"][8:] == ["ok (fresh)"] * len(fresh) and rows["1"][8:] == ["–"] * len(fresh)
    assert rows["3"][4] == "starved" and rows["4"][4] == "failed"


def test_the_heats_are_listed_in_order_and_the_last_is_the_winners(race, page):
    heats = table(race, "Heats")
    sweep = read_sweep(race)
    assert len(heats) == 1 + len(sweep.folder.heats) >= 3
    assert heats[0][1:] == ["all trials", "all 5 on seed 0", "5"]
    assert heats[-1][1] == "winner, fresh seeds" and all(heat[1] == "contenders" for heat in heats[1:-1])


def test_what_was_saved_is_the_heals_of_the_records(race, page):
    sweep = read_sweep(race)
    done = sum(record["heal"] is not None for record in sweep.records)
    full = 3 * len(sweep.seeds)
    assert f"It took {done} heals" in page.text and f"would have taken {full}" in page.text
    assert f"{full - done} ({100 * (full - done) / full:.0f}%) saved" in page.text


def test_the_winner_is_measured_again_and_compared_without_pairing(race, page):
    sweep = read_sweep(race)
    row, (gain, coherence) = winner(sweep), curse(sweep)
    fresh = [seed["gain"] for seed in row["remeasured"]["judged"].values()]
    won = [seed["gain"] for seed in row["summary"]["judged"].values()]
    # A seed adds a hundredth to the gain, so that later seeds are better.
    assert gain.difference == pytest.approx(sum(won) / len(won) - sum(fresh) / len(fresh)) and gain.difference < 0
    assert gain.low < gain.difference < gain.high and gain.real
    assert coherence.difference > 0
    words = " ".join(filter(None, answer(sweep)))
    assert "picked for its luck as well, so trial 0 ran again" in words and "more gain" in words
    assert f"({', '.join(map(str, row['fresh']))})" in words
    again = {cells[0]: cells for cells in table(race, "Trial 0, the winner, measured again")}
    assert set(again) == {"gain", "coherence", "slope"} and again["gain"][3].startswith("+")
    assert "race's winner, measured again on fresh seeds" in page.text


def test_fresh_seeds_decide_nothing_in_the_other_parts(race):
    sweep = read_sweep(race)
    assert {record["seed"] for record in sweep.rounds(0)} == set(sweep.by_number[0]["ran"])
    assert {record["seed"] for record in sweep.rounds(0, fresh=True)} > set(sweep.by_number[0]["ran"])


def test_a_half_finished_race_is_told_as_far_as_it_is(race, tmp_path):
    folder = write_sweep(tmp_path, *RACE, trials=TRIALS, finished=3)
    page = read(folder)
    assert "3 of 5 trials finished" in page.text and "has not run on fresh seeds yet" in page.text
    assert [cells[1] for cells in table(folder, "Heats")] == ["all trials"]


def test_a_fresh_measurement_that_failed_is_said(race, tmp_path):
    folder = write_sweep(tmp_path, *RACE, trials=TRIALS)
    path = folder / "trials.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["remeasured"] = {"verdict": "failed", "error": "out of memory"}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "failed, no figures" in read(folder).text


def test_contenders_are_settled_with_all_seeds_and_no_race(tmp_path):
    folder = write_sweep(tmp_path, *RACE[:2], trials=(KL | {"lam": 0.1}, KL | {"lam": 1.0}))
    for step in next_steps(read_sweep(folder)):
        for line in (step.command or "").splitlines():
            _, _, module, *words = shlex.split(line)
            if module == "steerheal.tune":
                arguments = tune.parser().parse_args(words)
                assert not load_space(arguments.space, arguments.overrides).racing
