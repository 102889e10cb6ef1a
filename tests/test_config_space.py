"""Search spaces: what is read, which trials they make, and that the resolved file says the same."""

import pickle
import subprocess
import sys

import pytest
from spaces import BARRIER, space, write_space

from steerheal import yaml_io
from steerheal.config import Choice, Heal, Objective, Persona, Range, load_space
from steerheal.config.objectives import SLOPE
from steerheal.errors import UserError
from steerheal.jobs import plain


def reloaded(tmp_path, given):
    path = tmp_path / "elsewhere" / "resolved.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml_io.dump(given.resolved()))
    return load_space(path)


def test_defaults(tmp_path):
    given = space(tmp_path, "settings: {heal: {lr: 1e-4}}")
    assert given.name == "space" and given.objective == SLOPE and given.seeds == (0,)
    assert given.model.name == "builtin" and given.model.dtype == "float32"
    assert given.settings.heal.lr == 1e-4
    assert given.settings.filter.max_perplexity == 50
    assert given.data.vignettes == "builtin" and given.stop.coherence_below is None
    assert given.trials == 1 and given.grid() == [{}]


def test_dimensions_are_typed_and_parents_come_first(tmp_path):
    body = """
search:
  tau: {low: 0, high: 1, step: 0.25, when: {reg: kl_rev}}
  r: {low: 4, high: 64, log: true}
  reg: [nll, kl_rev]
  layers: [[3], [3, 4]]
"""
    tau, r, reg = (next(d for d in space(tmp_path, body).dimensions if d.name == n) for n in ("tau", "r", "reg"))
    assert tau == Range("tau", 0.0, 1.0, step=0.25, when=(("reg", ("kl_rev",)),))
    assert isinstance(tau.low, float) and r.integer and r.log and not tau.integer
    assert reg == Choice("reg", ("nll", "kl_rev"))
    names = [d.name for d in space(tmp_path, body).dimensions]
    assert names.index("reg") < names.index("tau")
    assert next(d for d in space(tmp_path, body).dimensions if d.name == "layers").values == ((3,), (3, 4))
    assert not tau.active({"reg": "nll"}) and tau.active({"reg": "kl_rev"}) and not tau.active({})


def test_a_trial_merges_what_is_fixed_and_what_is_chosen(tmp_path):
    given = space(tmp_path, BARRIER + "rounds: 2\nseeds: [3, 4]\nsettings: {heal: {kl_agg: rmse}}")
    trial = given.trial({"reg": "kl_rev", "lam": 0.3, "tau": 0.5, "wd": 10, "alpha": 0.5})
    assert (trial.alpha, trial.rounds, trial.seeds) == (0.5, 2, (3, 4))
    assert (trial.heal.reg, trial.heal.lam, trial.heal.tau, trial.heal.kl_agg) == ("kl_rev", 0.3, 0.5, "rmse")
    assert trial.persona.name == "warm_over_cold" and trial.persona.sign == 1
    assert pickle.loads(pickle.dumps(trial)) == trial
    assert hash(trial) == hash(given.trial({"alpha": 0.5, "wd": 10.0, "tau": 0.5, "lam": 0.3, "reg": "kl_rev"}))


def test_without_a_barrier_its_settings_are_neutral(tmp_path):
    body = BARRIER + "settings: {heal: {kl_agg: rmse, barrier_ref: base}}"
    nll = space(tmp_path, body).trial({"reg": "nll", "wd": 0, "alpha": 1})
    assert nll.heal == Heal(**nll.heal.model_dump() | {"kl_agg": "mean", "barrier_ref": "prev", "lam": 0.0})


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"reg": "nll", "lam": 0.3, "wd": 0, "alpha": 1}, "search.lam: does not exist at this point"),
        ({"reg": "kl_rev", "lam": 0.3, "wd": 0, "alpha": 1}, "search.tau: exists here but has no value"),
        ({"reg": "nll", "wd": 5, "alpha": 1}, "search.wd: 5 is not in the space"),
        ({"reg": "nll", "wd": 0, "alpha": 1, "lr": 1e-3}, "search.lr: unknown key"),
        ({"reg": "kl_rev", "lam": 3.1, "tau": 0, "wd": 0, "alpha": 1}, "search.lam: 3.1 is not in the space"),
        ({"reg": "kl_rev", "lam": "a", "tau": 0, "wd": 0, "alpha": 1}, "search.lam: 'a' is not a number"),
    ],
)
def test_a_point_outside_the_space_is_refused(tmp_path, params, words):
    with pytest.raises(UserError, match=words):
        space(tmp_path, BARRIER).trial(params)


def test_a_grid_has_every_combination_once(tmp_path):
    body = """
sampler: grid
search:
  reg: [nll, kl_rev]
  lam: {choices: [0.1, 0.3], when: {reg: [kl_rev]}}
  spectral_lam: {choices: [0, 1], when: {reg: [nll]}}
  wd: {choices: [0, 15], when: {reg: [nll], spectral_lam: [0]}}
  tau: {low: 0, high: 0.3, step: 0.1, when: {lam: 0.3}}
"""
    given = space(tmp_path, body)
    assert given.grid() == [
        {"reg": "nll", "spectral_lam": 0.0, "wd": 0.0},
        {"reg": "nll", "spectral_lam": 0.0, "wd": 15.0},
        {"reg": "nll", "spectral_lam": 1.0},
        {"reg": "kl_rev", "lam": 0.1},
        *({"reg": "kl_rev", "lam": 0.3, "tau": tau} for tau in (0.0, 0.1, 0.2, 0.3)),
    ]
    assert given.trials == 8
    assert len({given.trial(params) for params in given.grid()}) == 8
    assert space(tmp_path, body + "trials: 3").trials == 3
    assert space(tmp_path, body + "trials: 300").trials == 8


def test_the_resolved_file_loads_to_the_same_space(tmp_path):
    (tmp_path / "mine.jsonl").write_text("{}\n")
    body = BARRIER + "data: {prompts: mine.jsonl, vignettes: 'hub:a/b/c/d.jsonl'}\nstop: {coherence_below: 0.9}"
    for given in (
        space(tmp_path, body),
        space(tmp_path, body, "lam=0.3", "layers=[[3],[4, 5]]"),
        space(tmp_path, body, "model=gemma-3-4b-it", "load_in_4bit=true"),
        space(tmp_path, body, "model=owner/some-model", "revision=abc"),
    ):
        assert reloaded(tmp_path, given) == given
    assert reloaded(tmp_path, given).data.prompts == str(tmp_path / "mine.jsonl")


def test_settings_follow_their_precedence(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "tiny-model").mkdir()
    (tmp_path / "models" / "mine.yaml").write_text(
        "model: ../tiny-model\nrevision: r1\ndtype: float16\n"
        "settings: {heal: {lr: 0.5, r: 2}, steer: {layers: [1]}}\n"
        "resources: {placement: gpu, trainer: {gpus: 1}}"
    )
    body = "model: mine\nsettings: {heal: {lr: 0.25}}\nresources: {trainer: {cpus: 3}}"
    given = space(tmp_path, body)
    assert (given.model.path_or_hub, given.model.revision) == (str(tmp_path / "tiny-model"), "r1")
    assert (given.settings.heal.lr, given.settings.heal.r, given.settings.heal.epochs) == (0.25, 2, 6)
    assert given.settings.steer.layers == (1,)
    assert (given.resources.placement, given.resources.trainer.cpus, given.resources.trainer.gpus) == (
        "gpu",
        3,
        1,
    )
    over = space(tmp_path, body, "lr=0.125", "dtype=bfloat16")
    assert over.settings.heal.lr == 0.125 and over.settings.heal.r == 2
    assert over.model.dtype == "bfloat16" and over.model.revision == "r1"
    assert reloaded(tmp_path, over) == over


def test_a_persona_is_a_name_a_file_or_a_mapping(tmp_path):
    named = space(tmp_path, "").persona
    assert named.companions == ("social",) and "authority" in named.off_target
    path = write_space(tmp_path, "")
    path.write_text("hypothesis: h\npersona: personas/warm_over_cold.yaml")
    assert load_space(path).persona == named
    path.write_text(yaml_io.dump({"hypothesis": "h", "persona": named.model_dump()}))
    assert load_space(path).persona == named
    assert Persona(name="n", positive="a", negative="b", target="Social Norms", sign=-1).target == "social"


def test_a_folder_is_a_model(tmp_path):
    (tmp_path / "weights").mkdir()
    assert space(tmp_path, "model: ./weights").model.path_or_hub == str(tmp_path / "weights")


def test_equal_settings_have_equal_keys(tmp_path):
    one = space(tmp_path, "settings: {heal: {wd: 0}}").trial({})
    for wd in ("-0.0", "0.0", "0e5"):
        assert repr(plain(space(tmp_path, f"settings: {{heal: {{wd: {wd}}}}}").trial({}))) == repr(plain(one))


@pytest.mark.parametrize("body", ["slope", "pareto", "{trait_at_coherence: 0.99}"])
def test_every_objective_is_read_and_written_back(tmp_path, body):
    given = space(tmp_path, f"objective: {body}")
    assert reloaded(tmp_path, given).objective == given.objective
    assert space(tmp_path, "", f"objective={body}").objective == given.objective


def test_the_coherence_of_an_objective_can_be_set(tmp_path):
    given = space(tmp_path, "objective: slope", "objective.trait_at_coherence=1")
    assert given.objective == Objective(kind="trait_at_coherence", coherence=1.0)


def test_reading_a_space_loads_no_model_library():
    code = "import sys, steerheal.config, steerheal.goals, steerheal.data_files; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "numpy", "ray", "optuna", "mlflow", "huggingface_hub"} & set(modules)
