"""The built-in model through everything: quick.yaml as a grid, twice through Ray and once without."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from steerheal.config.space import load_space
from steerheal.files import read_jsonl
from steerheal.notebook import run_one
from steerheal.students.adapter import from_peft
from steerheal.students.base import load_base

ROOT = Path(__file__).resolve().parent.parent
SPACE = ROOT / "search_spaces" / "quick.yaml"
SMALL = ["max_new_tokens=24", "rungs=2", "per_rung=4", "n_keep=12", "min_train=6", "epochs=2", "think_tokens=4"]
AS_GRID = ["sampler=grid", "lam=[0.1]", "alpha=0.5", "evaluate.vignettes=7", "rounds=2", *SMALL]
FIGURES = ("trait", "gain", "coherence", "d_coherence", "kappa", "dose", "retain", "steered_gain", "canary_survival")


def sweep(out: Path) -> Path:
    """The command as a user types it, in a folder whose name has a space and a quote."""
    words = [sys.executable, "-m", "steerheal.tune", str(SPACE), "--out", str(out)]
    for override in AS_GRID:
        words += ["--set", override]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr + done.stdout
    return out / "quick"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    place = tmp_path_factory.mktemp("it's a folder")
    return [sweep(place / name) for name in ("first run", "second run")]


def by_place(folder: Path) -> dict:
    records = read_jsonl(folder / "records.jsonl")
    return {(r["trial"], r["seed"], r["round"]): r for r in records}


def assert_same(one: dict, other: dict) -> None:
    assert one["outcome"] == other["outcome"]
    for name in FIGURES:
        assert one[name] == pytest.approx(other[name], abs=1e-4), name
    assert one["collect"]["drops"] == other["collect"]["drops"]


def test_a_grid_run_twice_gives_the_same_records(runs):
    first, second = map(by_place, runs)
    assert first.keys() == second.keys() and len(first) == 2 * 2
    for place in first:
        assert_same(first[place], second[place])


def test_a_notebook_gives_the_records_of_the_sweep(runs, tmp_path):
    swept = by_place(runs[0])
    alone = run_one(SPACE, {"reg": "kl_rev", "lam": 0.1}, AS_GRID, tmp_path / "store")
    for record in alone["records"]:
        assert_same(json.loads(json.dumps(record)), swept[1, record["seed"], record["round"]])


def test_the_best_adapter_is_one_peft_folder_with_all_rounds(runs):
    base = load_base("builtin", device="cpu")
    adapter = from_peft(runs[0] / "adapters" / "best", base.anatomy)
    assert adapter.rank == 2 * load_space(SPACE).settings.heal.r
