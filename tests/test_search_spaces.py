"""The shipped spaces: each loads, says what it asks, makes valid trials, survives its resolved form."""

from itertools import islice
from pathlib import Path

import pytest

from steerheal import tune, yaml_io
from steerheal.config import load_space
from steerheal.config.dimensions import walk
from steerheal.config.objectives import SLOPE
from steerheal.config.sources import PERSONAS, SHIPPED_MODELS

SPACES = Path(__file__).parents[1] / "search_spaces"
NAMES = sorted(path.stem for path in SPACES.glob("*.yaml"))
MODELS = sorted(path.stem for path in SHIPPED_MODELS.glob("*.yaml"))


def test_the_questions_are_all_there():
    assert {"bands", "barrier", "doses", "loop", "regularisers", "noise_floor", "race", "quick"} <= set(NAMES)
    assert {"gemma-3-4b-it", "Qwen3-4B", "Llama-3.1-8B-Instruct"} <= set(MODELS)


@pytest.mark.parametrize("model", ["builtin", *MODELS])
@pytest.mark.parametrize("name", NAMES)
def test_a_space_suits_every_model(name, model, tmp_path):
    space = load_space(SPACES / f"{name}.yaml", [f"model={model}"])
    assert space.name == name and space.model.name == model and len(space.hypothesis) > 100
    values = {dimension.name: dimension.extremes() for dimension in space.dimensions}
    trials = {space.trial(params) for params in islice(walk(space.dimensions, values), 500)}
    assert len(trials) > 1 or not space.dimensions
    (tmp_path / "resolved.yaml").write_text(yaml_io.dump(space.resolved()))
    assert load_space(tmp_path / "resolved.yaml") == space


@pytest.mark.parametrize("name", NAMES)
def test_help_after_a_space_says_what_it_asks(name, capsys):
    space = load_space(SPACES / f"{name}.yaml", ["seeds=[5, 6]"])
    with pytest.raises(SystemExit) as ended:
        tune.parser().parse_args([str(space.path), "--set", "seeds=[5, 6]", "--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0 and "--resume" in told and "seeds 5, 6, model builtin" in told
    assert " ".join(space.hypothesis.split()) in " ".join(told.split())
    assert all(f"\n  {dimension.name}:\n" in told for dimension in space.dimensions)


@pytest.mark.parametrize("name", sorted(path.stem for path in PERSONAS.glob("*.yaml")))
def test_every_shipped_pair_suits_a_space(name):
    pair = load_space(SPACES / "barrier.yaml", [f"persona={name}"]).persona
    assert pair.name == name and pair.target not in pair.off_target and len(pair.off_target) >= 3


def test_there_are_three_pairs_at_least():
    assert {"care_over_authority"} < {path.stem for path in PERSONAS.glob("*.yaml")}
    assert len(list(PERSONAS.glob("*.yaml"))) >= 3


def test_the_barrier_space_asks_its_question():
    space = load_space(SPACES / "barrier.yaml")
    assert [dimension.name for dimension in space.dimensions] == ["reg", "lam", "tau", "wd", "alpha"]
    assert (space.trials, space.sampler, space.objective) == (24, "optuna", SLOPE)
    # On the built-in model a step's divergence stays below 0.3: most values of tau must lie where the barrier acts.
    taus = next(dimension for dimension in space.dimensions if dimension.name == "tau").values
    assert 0 in taus and sum(tau < 0.3 for tau in taus) > len(taus) / 2


def test_the_ablation_is_the_published_one_and_its_missing_cell():
    grid = load_space(SPACES / "regularisers.yaml").grid()
    trials = [(p["reg"], p.get("lam"), p.get("spectral_lam", 0), p.get("wd", 0)) for p in grid]
    assert sorted(trials, key=str) == sorted(
        [
            *(("nll", None, 0, wd) for wd in (0, 15, 30)),
            *(("nll", None, spectral, 0) for spectral in (0.01, 0.1, 1)),
            *((reg, lam, 0, 0) for reg in ("kl_rev", "kl_fwd") for lam in (0.1, 0.3)),
        ],
        key=str,
    )


def test_in_the_dose_space_alpha_is_the_dose():
    space = load_space(SPACES / "doses.yaml")
    assert space.sampler == "grid" and space.trials == 6
    assert space.settings.dose.kappa_min == 1 and space.settings.dose.rungs == 1


def test_the_bands_are_measurements_of_one_student():
    space = load_space(SPACES / "bands.yaml")
    trials = [space.trial(params) for params in space.grid()]
    assert [trial.bands.whole for trial in trials] == [True] + [False] * 5
    assert len({trial.model_copy(update={"bands": trials[0].bands}) for trial in trials}) == 1
    assert trials[0].heal.depth == (0, 1) and space.resources.concurrent == space.trials
    assert space.persona.engineered and load_space(SPACES / "barrier.yaml").persona.prompts.keys() == {
        "prompted",
        "engineered",
    }
