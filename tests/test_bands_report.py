"""What a sweep of bands says: which band moves the trait, over which prompts, and what its judge said."""

import json

import numpy as np
import pytest
from judge_server import JudgeServer, said
from recorded import write_sweep
from test_judge import judge_of, user
from test_report import read

from analysis.bands import best_in, depths, in_words
from analysis.judged import judged, read_judged, scores
from analysis.load import read_sweep
from analysis.report import write_report
from steerheal import judge as command
from steerheal.bands import WHOLE
from steerheal.errors import UserError
from steerheal.judging.runs import JUDGED, run_answers
from steerheal.results import read_lines
from steerheal.statistics.dominance import best_counts, dominance, over_prompts, share_interval
from steerheal.statistics.vignettes import Bootstrap, Reads, pairs

BANDS = (WHOLE, "0-20", "20-40", "40-60", "60-80", "80-100")
VIGNETTES = 50


def found(rng, gains, spread=0.3):
    """The dominance among bands that move each vignette by about so much, whatever all of them share."""
    base, mass = np.full(VIGNETTES, 0.4), np.ones(VIGNETTES)
    shared = spread * rng.standard_normal(VIGNETTES)
    drawn, bootstrap = {}, Bootstrap(VIGNETTES, 1500)
    for name, gain in gains.items():
        students = [base * np.exp(-gain * (1 + shared) + 0.05 * rng.standard_normal(VIGNETTES)) for _ in range(2)]
        drawn[name] = over_prompts([bootstrap.draws(Reads(base, mass), [Reads(p, mass)], -1) for p in students])
    return dominance({name: draws.measured("gain") for name, draws in drawn.items()}, pairs(drawn, "gain"))


def test_a_band_dominates_when_it_moves_more_than_every_other_on_the_same_prompts():
    rng = np.random.default_rng(0)
    clear = found(rng, {"a": 0.2, "b": 1.0, "c": 0.6})
    assert clear.best == "b" and clear.dominates
    close = found(rng, {"a": 0.2, "b": 0.6, "c": 0.6})
    assert close.best in ("b", "c") and close.rivals == tuple({"b", "c"} - {close.best})
    nothing = found(rng, {"a": 0.0, "b": 0.0}, spread=0.0)
    assert nothing.rivals


def test_no_band_is_said_to_dominate_where_none_does():
    rng = np.random.default_rng(1)
    assert sum(found(rng, dict.fromkeys("abcde", 0.5)).dominates for _ in range(100)) <= 5


def test_shares_of_prompts():
    moves = {"a": np.array([1.0, 2.0, 0.0, np.nan]), "b": np.array([0.0, 3.0, -1.0, 5.0])}
    assert best_counts(moves) == {"a": 2, "b": 1}
    low, high = share_interval(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert share_interval(0, 10)[0] == pytest.approx(0) and share_interval(10, 10)[1] == pytest.approx(1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished sweep of bands, on two seeds."""
    trials = [{"band": band} for band in BANDS]
    search = f"search={{band: {json.dumps(BANDS)}}}"
    return write_sweep(
        tmp_path_factory.mktemp("runs"), search, "seeds=[0,1]", "depth=[0,1]", "alpha=0.5", trials=trials
    )


@pytest.fixture(scope="module")
def depth(whole):
    (found,) = depths(read_sweep(whole))
    return found


def test_all_bands_share_one_student(whole):
    sweep = read_sweep(whole)
    assert len({json.dumps(row["students"]) for row in sweep.rows}) == 1
    healed = {key for record in sweep.records for name, key in record["keys"].items() if name == "healed"}
    assert len(healed) == len(BANDS) * 2


def test_the_words_name_the_band_and_say_how_stable_it_is(depth):
    assert depth.dominance.best == "20-40" and depth.dominance.dominates
    first, stable, parts, model = in_words(depth)
    assert "The trait lives in 20-40 percent of the depth" in first and "at 95%" in first
    assert "20-40 is the band that matters most on 24 of 24 (100%" in stable and "1 of 1 categories" in stable
    assert "20-40 alone reaches 60% of that" in parts
    assert "compare within a model" in model
    assert {best_in(depth, name) for name in depth.moves.categories} == {"20-40"}


def test_a_band_that_is_left_out_is_told_by_what_is_missing(tmp_path):
    """The fake student without 20-40 gains least."""
    trials = [{"band": band} for band in BANDS[1:]]
    search = f"search={{band: {json.dumps(BANDS[1:])}}}"
    more = ("seeds=[0,1]", "depth=[0,1]", "alpha=0.5", "inside=0", "outside=1")
    (left,) = depths(read_sweep(write_sweep(tmp_path, search, *more, trials=trials)))
    first, stable = in_words(left)[:2]
    assert "The trait depends on 20-40 percent of the depth most: with the adapter times 0 there and 1" in first
    assert "less than with every other band" in first and "24 of 24" in stable and left.whole is None


def test_an_ordinary_sweep_has_no_such_section(tmp_path):
    sweep = read_sweep(write_sweep(tmp_path))
    assert depths(sweep) == [] and judged(sweep) is None


def test_the_report_shows_the_bands(whole, depth):
    page = read(whole)
    assert "bands" in page.anchors and "The trait lives in 20-40" in page.text
    drawn = {path.stem for path in (whole / "plots").glob("bands_*.svg")}
    assert drawn == {"bands_gain", "bands_coherence"}


def reply(request, number):
    """Worse for whoever was prompted, and without agreement between passes on one dimension."""
    worse = "prompted says" in user(request)
    return said({"reason": "", "sarcasm": 2 if worse else 7, "helpfulness": number % 10})


@pytest.fixture
def run(whole, tmp_path, monkeypatch):
    """The command on the run's folder."""
    monkeypatch.chdir(tmp_path)

    def call(server, *options):
        argv = ["judge", str(whole), "--rubric", "sarcasm", "--base-url", server.url, "--model", "m", *options]
        monkeypatch.setattr("sys.argv", argv)
        command.main()

    return call


def test_a_runs_answers_are_judged_into_its_report(whole, run):
    with JudgeServer(reply).running() as server:
        run(server)
        asked = len(server.requests)
        run(server)
        assert len(server.requests) == asked, "judged once, asked once"
    sweep = read_sweep(whole)
    found = read_judged(sweep)
    assert {one["who"] for one in found["speakers"]} == {"base", "prompted", "engineered", "steered", "healed"}
    assert {one["trial"] for one in found["speakers"] if one["who"] == "healed"} == set(range(len(BANDS)))
    (steered,) = [one for one in found["speakers"] if one["who"] == "steered"]
    assert steered["trial"] == 0 and steered["scores"]["sarcasm"]["n"] == 2, "all trials steered base alike"
    assert scores(sweep, "prompted", None)["sarcasm"] == 2 and scores(sweep, "healed", 3)["sarcasm"] == 7
    page = read(whole)
    assert "judged" in page.anchors and "Krippendorff" in page.text and "m scored each answer" in page.text
    assert (whole / "plots" / "bands_judged.svg").exists()
    (whole / JUDGED).unlink()


def test_an_interrupted_judge_sends_nothing_twice(whole, tmp_path):
    from test_judge import SARCASM

    from steerheal.judging.scoring import score_answers

    answers = run_answers(whole)
    with JudgeServer(reply).running() as server:
        judge = judge_of(server, tmp_path, concurrency=1)
        score_answers(judge, SARCASM, answers[:2], 2, lambda: None)
        before = len(server.requests)
        score_answers(judge_of(server, tmp_path), SARCASM, answers, 2, lambda: None)
        asked = [user(request) for request in server.requests]
    assert before and len(asked) == 2 * len(set(asked))


def test_what_cannot_be_judged_is_refused(whole, run, tmp_path):
    with JudgeServer(reply).running() as server:
        with pytest.raises(UserError, match="--against"):
            run(server, "--against", "x.jsonl")
    with pytest.raises(UserError, match="no run"):
        run_answers(tmp_path)
    (whole / JUDGED).write_text("{}")
    try:
        with pytest.raises(UserError, match="judge it again"):
            write_report(whole)
    finally:
        (whole / JUDGED).unlink()
    assert read_lines(whole / "trials.jsonl")
