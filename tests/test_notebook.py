"""One trial in this process on the built-in model: every precision and every way to make and apply a vector."""

import math
from pathlib import Path

import pytest

from steerheal.errors import UserError
from steerheal.notebook import run_one

SPACE = Path(__file__).resolve().parent.parent / "search_spaces" / "quick.yaml"
SMALL = [
    "alpha=0.5",
    "sample.max_new_tokens=24",
    "dose={rungs: 2, per_rung: 4, n_keep: 12, max_batches: 2, min_train: 6}",
    "epochs=2",
    "evaluate.vignettes=14",
    "evaluate.think_tokens=4",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def plain(store):
    """In float32, by mean difference, added."""
    return run_one(SPACE, {"reg": "nll"}, SMALL, store)


def test_bf16_gives_the_figures_of_fp32_to_two_digits(store, plain):
    half = run_one(SPACE, {"reg": "nll"}, [*SMALL, "model.dtype=bfloat16"], store)
    for name in ("gain", "coherence", "retain", "steered_gain"):
        assert half["records"][0][name] == pytest.approx(plain["records"][0][name], abs=0.05), name
    assert half["records"][0]["keys"] != plain["records"][0]["keys"]


@pytest.mark.parametrize("override", ["method=pca", "apply=ablate", "steer_prompt=false"])
def test_other_ways_to_steer_run_whole_and_differ(store, plain, override):
    (record,) = run_one(SPACE, {"reg": "nll"}, [*SMALL, override], store)["records"]
    assert record["outcome"] == "ok" and math.isfinite(record["gain"]) and record["coherence"] > 0.9
    assert record["steered_gain"] != plain["records"][0]["steered_gain"]


def test_an_equal_trial_is_taken_from_the_store(store, plain):
    (record,) = run_one(SPACE, {"reg": "nll"}, SMALL, store)["records"]
    assert set(record["hits"].values()) == {True}
    assert record["gain"] == plain["records"][0]["gain"]


def test_a_space_that_does_not_fit_the_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="quick.yaml: settings.steer.layers: there is no block 9"):
        run_one(SPACE, {"reg": "nll"}, ["layers=[9]"], tmp_path)
