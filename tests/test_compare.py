"""Two sweeps or two trials: what differs, which differences are real, and what is refused."""

import re

import pytest
from recorded import KL, NLL, write_sweep
from test_report import SEEDS, command

from analysis.compare import among, paired
from analysis.load import read_sweep
from analysis.match import differing, incomparable, matched

TWO = (NLL, KL | {"lam": 1.0})


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory):
    """Two sweeps of two trials each; the second heals with another learning rate."""
    place = tmp_path_factory.mktemp("runs")
    first = write_sweep(place, *SEEDS, trials=TWO, name="first")
    return first, write_sweep(place, *SEEDS, "lr=3e-4", trials=TWO, name="second")


def compared(*sides, code=0):
    """What the command prints."""
    made = command("analysis.compare", *sides)
    assert made.returncode == code, made.stderr
    return made.stdout if code == 0 else made.stderr


def test_two_trials_differ_by_their_settings_and_by_their_figures(sweeps):
    said = compared(f"{sweeps[0]}:0", f"{sweeps[0]}:1")
    rows = {line.split()[1]: line for line in said.splitlines() if line.startswith("│")}
    assert {"heal.reg", "heal.lam"} <= rows.keys() and "heal.lr" not in rows
    # The planted gains are 0.9 and 0.45 a round, whatever the seed.
    assert "+0.900 nats" in rows["gain"] and "real" in rows["gain"]
    assert "-0.0090" in rows["coherence"] and "may be noise" in rows["slope"]


def test_two_sweeps_are_paired_where_they_agree(sweeps):
    said = compared(*sweeps)
    assert "heal.lr" in said and "(2 pairs)" in said
    first, second = map(read_sweep, sweeps)
    both = matched(first, second)
    assert [(ours["trial"], theirs["trial"]) for ours, theirs in both] == [(0, 0), (1, 1)]
    pairs = among([row | {"trial": (n, side)} for n, two in enumerate(both) for side, row in zip("AB", two)], "gain")
    assert all(pair.difference == 0 for pair in pairs if pair.first[0] == pair.second[0])


def test_a_single_seed_shows_nothing(tmp_path):
    folder = write_sweep(tmp_path, trials=TWO)
    said = compared(f"{folder}:0", f"{folder}:1")
    assert "One seed" in said and "not repeated" in said and "real" not in re.sub("to be real", "", said)


def test_another_measure_is_refused(sweeps, tmp_path):
    changes = ("evaluate.think_tokens=4", "persona.sign=1")
    for number, change in enumerate(changes):
        other = write_sweep(
            tmp_path / str(number), *SEEDS, *([change] if number == 0 else []), trials=TWO, name="other"
        )
        if number:
            path = other / "space.yaml"
            path.write_text(path.read_text().replace("sign: -1", "sign: 1"))
        said = compared(sweeps[0], other, code=2)
        assert said.count("\n") == 1 and "cannot be compared" in said


def test_other_vignettes_of_the_same_name_are_noticed(sweeps, tmp_path):
    other = write_sweep(tmp_path, *SEEDS, trials=TWO, name="other")
    first = read_sweep(sweeps[0])
    assert incomparable(first, read_sweep(other)) is None
    about = other / "about.json"
    text = about.read_text()
    digest = next(one["digest"] for one in read_sweep(other).about["data"] if one["kind"] == "vignettes")
    about.write_text(text.replace(digest, "0" * 16))
    assert "differ in the vignettes" in incomparable(first, read_sweep(other))
    about.unlink()
    records = other / "records.jsonl"
    records.write_text(records.read_text().replace('"base_trait": -2.0', '"base_trait": -2.1'))
    assert "what base itself measures" in incomparable(first, read_sweep(other))


def test_what_is_not_there_is_named(sweeps):
    assert "there are 0, 1" in compared(f"{sweeps[0]}:7", f"{sweeps[0]}:0", code=2)
    assert "name two of a kind" in compared(f"{sweeps[0]}:0", sweeps[1], code=2)
    assert "no such folder" in compared("tune_runs/nowhere", sweeps[1], code=2)


def test_a_trial_without_figures_has_no_difference():
    rows = [{"trial": name, "verdict": "failed", "summary": {}} for name in "AB"]
    assert [paired(rows, kind, None) for kind in ("gain", "coherence", "slope")] == [None] * 3


def test_settings_of_one_side_only_are_shown():
    assert differing({"a": 1, "b": 2}, {"b": 2, "c": 3}) == {"a": (1, "–"), "c": ("–", 3)}
