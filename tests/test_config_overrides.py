"""`--set key=value`: every key of a space, by its path or its bare name."""

import pytest
from spaces import BARRIER, space

from steerheal.errors import UserError


def conditions(given):
    return {d.name: {name: list(values) for name, values in d.when} for d in given.dimensions}


KL = {"reg": ["kl_rev", "kl_fwd"]}


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("lr=1e-3", lambda s: s.settings.heal.lr == 1e-3),
        ("heal.lr=1e-3", lambda s: s.settings.heal.lr == 1e-3),
        ("settings.heal.lr=1e-3", lambda s: s.settings.heal.lr == 1e-3),
        ("evaluate.vignettes=28", lambda s: s.settings.evaluate.vignettes == 28),
        ("steer_prompt=false", lambda s: s.settings.steer.steer_prompt is False),
        ("layers=[3, 4]", lambda s: s.settings.steer.layers == (3, 4)),
        ("layers=null", lambda s: s.settings.steer.layers is None),
        ("depth=[0.1, 0.5]", lambda s: s.settings.heal.depth == (0.1, 0.5)),
        ("filter={max_perplexity: 20}", lambda s: s.settings.filter.max_perplexity == 20),
        ("trials=3", lambda s: s.trials == 3),
        ("seeds=[4, 5]", lambda s: s.seeds == (4, 5)),
        ("name=other", lambda s: s.name == "other"),
        ("sampler=optuna", lambda s: s.sampler == "optuna"),
        ("coherence_below=0.9", lambda s: s.stop.coherence_below == 0.9),
        ("placement=gpu", lambda s: s.resources.placement == "gpu"),
        ("trainer.gpus=1", lambda s: s.resources.trainer.gpus == 1),
        ("resources.trainer.gpus=1", lambda s: s.resources.trainer.gpus == 1),
        ("trainer={gpus: 1}", lambda s: (s.resources.trainer.gpus, s.resources.trainer.cpus) == (1, 1)),
        ("canaries=hub:a/b/c.yaml", lambda s: s.data.canaries == "hub:a/b/c.yaml"),
        ("data.vignettes=hub:a/b/c.jsonl", lambda s: s.data.vignettes == "hub:a/b/c.jsonl"),
        ("model=gemma-3-4b-it", lambda s: s.model.path_or_hub == "google/gemma-3-4b-it"),
        ("load_in_4bit=true", lambda s: s.model.load_in_4bit and s.model.name == "builtin"),
        ("model.dtype=bfloat16", lambda s: s.model.dtype == "bfloat16"),
        ("search={}", lambda s: s.dimensions == ()),
    ],
)
def test_a_key_is_set_by_path_or_bare_name(tmp_path, override, read):
    assert read(space(tmp_path, BARRIER, override))


def test_a_gpu_model_brings_what_suits_it(tmp_path):
    given = space(tmp_path, BARRIER, "model=gemma-3-4b-it")
    assert given.settings.steer.layers == (15, 16, 17) and given.settings.heal.lr == 1e-4
    assert given.model.dtype == "bfloat16" and given.resources.generation.gpus > 0
    assert given.data.vignettes.startswith("hub:")


def test_later_overrides_win_and_earlier_ones_stay(tmp_path):
    given = space(tmp_path, "", "lr=1e-3", "epochs=2", "lr=1e-2")
    assert (given.settings.heal.lr, given.settings.heal.epochs) == (1e-2, 2)


@pytest.mark.parametrize(
    ("overrides", "left"),
    [
        (["alpha=0.5"], {"reg": {}, "lam": KL, "tau": KL, "wd": {}}),
        (["lam=0.3"], {"reg": {}, "tau": KL, "wd": {}, "alpha": {}}),
        (["reg=nll"], {"wd": {}, "alpha": {}}),
        (["reg=kl_rev"], {"lam": {}, "tau": {}, "wd": {}, "alpha": {}}),
        (["reg=kl_rev", "lam=0.3"], {"tau": {}, "wd": {}, "alpha": {}}),
        (["reg=[nll]"], {"reg": {}, "wd": {}, "alpha": {}}),
        (
            ["reg=[nll, kl_fwd]"],
            {"reg": {}, "lam": {"reg": ["kl_fwd"]}, "tau": {"reg": ["kl_fwd"]}, "wd": {}, "alpha": {}},
        ),
        (["lam=[0.1, 1]"], {"reg": {}, "lam": KL, "tau": KL, "wd": {}, "alpha": {}}),
        (["lam={low: 1, high: 2}"], {"reg": {}, "lam": KL, "tau": KL, "wd": {}, "alpha": {}}),
        (["layers=[[3], [4, 5]]"], {"reg": {}, "lam": KL, "tau": KL, "wd": {}, "alpha": {}, "layers": {}}),
        (["lr=[1e-4, 1e-3]"], {"reg": {}, "lam": KL, "tau": KL, "wd": {}, "alpha": {}, "lr": {}}),
    ],
)
def test_a_searched_dimension_is_fixed_or_replaced(tmp_path, overrides, left):
    assert conditions(space(tmp_path, BARRIER, *overrides)) == left


def test_a_fixed_dimension_has_its_value_where_it_exists(tmp_path):
    given = space(tmp_path, BARRIER, "lam=0.3")
    assert given.trial({"reg": "kl_rev", "tau": 0, "wd": 0, "alpha": 1}).heal.lam == 0.3
    assert given.trial({"reg": "nll", "wd": 0, "alpha": 1}).heal.lam == 0
    assert space(tmp_path, BARRIER, "alpha=0.6").trial({"reg": "nll", "wd": 0}).alpha == 0.6


def test_fixing_the_middle_of_a_chain_hands_on_its_condition(tmp_path):
    body = """
search:
  reg: [nll, kl_rev, kl_fwd]
  kl_agg: {choices: [mean, max], when: {reg: [kl_rev]}}
  tau: {low: 0, high: 1, when: {kl_agg: mean}}
  lam: {low: 0, high: 1, when: {kl_agg: max}}
"""
    left = {"reg": {}, "tau": {"reg": ["kl_rev"]}}
    assert conditions(space(tmp_path, body, "kl_agg=mean")) == left
    assert conditions(space(tmp_path, body, "reg=kl_fwd")) == {}


def test_what_hangs_on_two_dimensions_goes_once(tmp_path):
    """It once ended in a traceback: the second dimension had gone with the first."""
    body = """
search:
  reg: [nll, kl_rev]
  kl_agg: {choices: [mean, max], when: {reg: [kl_rev]}}
  tau: {low: 0, high: 1, when: {reg: [kl_rev], kl_agg: [max]}}
"""
    assert conditions(space(tmp_path, body, "reg=nll")) == {}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("lr", "--set: lr: not of the form key=value; write e.g. --set lr=1e-4"),
        ("=3", "not of the form key=value"),
        ("hypotesis=a", "--set: hypotesis: unknown key; did you mean hypothesis?"),
        ("zzz=1", "--set: zzz: unknown key; the nearest known one is"),
        ("vignettes=3", "write settings.evaluate.vignettes or data.vignettes"),
        ("gpus=1", "write resources.generation.gpus or resources.trainer.gpus or resources.evaluation.gpus"),
        ("lr=abc", "--set lr=abc: settings.heal.lr: 'abc' is not a number"),
        ("heal.lrr=1", "--set heal.lrr=1: settings.heal.lrr: unknown key; did you mean lr?"),
        ("hael.lr=1", "--set: hael.lr: unknown key; did you mean heal?"),
        ("lr=*a", "--set lr=*a: line 1: anchors and aliases are not read"),
        ("lr=[1", "--set lr=[1: line 1: not YAML"),
        ("name=../x", "name: ../x is no name"),
        ("reg={low: 1, high: 2}", "search.reg: 1 is not one of"),
        ("trials=many", "--set trials=many: trials: 'many' is not a whole number"),
        ("search.reg.when=3", "--set search.reg.when=3: search.reg"),
        ("model.x.y=3", "model.x"),
        ("lr.x=3", "settings.heal.lr: it is not a number"),
        ("a\nb=3", "unknown key"),
    ],
)
def test_a_bad_override_is_refused_in_one_line(tmp_path, override, words):
    with pytest.raises(UserError) as caught:
        space(tmp_path, BARRIER, override)
    assert words in str(caught.value) and "\n" not in str(caught.value)
