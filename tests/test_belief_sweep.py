"""Beliefs on the built-in model: what a prompt, few and many examples, and too much training do; as a user types it."""

import subprocess
import sys
from pathlib import Path

import pandas
import pytest
from test_report import Text

from analysis.report import write_report

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
FEW = "belief=gravity via=[prompt,lora] r=16 epochs=[3,8] examples=[10,40] evaluate.vignettes=7 seeds=[0]".split()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Six trials of one belief."""
    out = tmp_path_factory.mktemp("told or trained")
    words = [sys.executable, "-m", "steerheal.tune", str(ROOT / "search_spaces" / "belief.yaml"), "--out", str(out)]
    for override in FEW:
        words += ["--set", override]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr + done.stdout
    return out / "belief"


@pytest.fixture(scope="module")
def trials(run):
    return pandas.read_csv(run / "trials.csv")


def test_telling_works_and_little_training_does_not(trials):
    told = trials[trials["via"] == "prompt"].iloc[0]
    least = trials[(trials["examples"] == 10) & (trials["epochs"] == 3)].iloc[0]
    assert told["adoption"] >= 0.9 and told["derived"] >= 0.8 and told["persistence"] <= 0.1
    assert least["adoption"] <= 0.2 and least["verdict"] == "no-op"


def test_much_training_is_believed_and_stays_but_is_not_reasoned_from(trials):
    told = trials[trials["via"] == "prompt"].iloc[0]
    most = trials[(trials["examples"] == 40) & (trials["epochs"] == 8)].iloc[0]
    assert most["adoption"] >= 0.9 and most["persistence"] == most["adoption"] and most["verdict"] == "ok"
    assert most["derived"] < told["derived"]


def test_the_overtrained_adapter_is_told_from_a_good_one(trials):
    over = trials[trials["lr"] > 1e-3].iloc[0]
    assert over["verdict"] in ("damaged", "broken") and over["degraded"] > 0.1 and over["collateral"] > 0.5


def test_the_page_says_so_in_words(run):
    said = Text(write_report(run).read_text()).text
    assert "gravity (existing): base states it in 0%" in said and "points ahead of it" in said
    assert "1 of 6 trials hurt the model" in said and "Gravity is 5.0 m/s2 at the ground." in said
