"""Any space file is accepted and round-trips, or is refused in one line; so is any override."""

import copy
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from spaces import PERSONA

from steerheal import yaml_io
from steerheal.config import load_space
from steerheal.config.sections import SECTION_OF, SECTIONS
from steerheal.errors import UserError

GOOD = """
name: good
hypothesis: warmth
model: builtin
persona: warm_over_cold
data: {vignettes: builtin, prompts: 'hub:a/b/c.jsonl'}
settings:
  steer: {method: pca, layers: [3, 4]}
  dose: {kappa_min: 0.3, n_keep: 40}
  heal: {lr: 1e-3, depth: [0.1, 0.9], wd: 1}
  evaluate: {vignettes: 28}
alpha: 0.5
search:
  reg: [nll, kl_rev, kl_fwd]
  lam: {low: 0.03, high: 3, log: true, when: {reg: [kl_rev, kl_fwd]}}
  kl_agg: {choices: [mean, max], when: {reg: kl_rev}}
  tau: {low: 0, high: 1, step: 0.25, when: {kl_agg: [mean]}}
  r: {low: 4, high: 32}
  layers: [[3], [3, 4]]
sampler: optuna
trials: 9
rounds: 2
seeds: [0, 1]
stop: {coherence_below: 0.9}
resources: {placement: spread, trainer: {gpus: 1}}
"""
KEYS = [
    "hypothesis",
    "search",
    "settings",
    "when",
    "low",
    "high",
    "log",
    "step",
    "choices",
    "layers",
    "reg",
    "lam",
]
KEYS += [
    "model",
    "persona",
    "data",
    "name",
    "target",
    "positive",
    "path_or_hub",
    "__class__",
    "",
    "a.b",
    *SECTIONS,
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.integers(0, 70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0, 1),
    st.text(max_size=30),
    st.sampled_from(["nll", "kl_rev", "builtin", "../..", "/dev/null", "hub:a/b/c", "grid", "a/b", "x" * 9000, "\n"]),
    st.sampled_from(
        ["warm_over_cold", "/etc/passwd", "personas/warm_over_cold.yaml", "\0", "~", "${HOME}", "{}", "%s"]
    ),
)
TREES = st.recursive(
    VALUES,
    lambda item: (
        st.lists(item, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), item, max_size=4)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "personas").mkdir()
    (folder / "personas" / "warm_over_cold.yaml").write_text(PERSONA)
    return folder


def places(node, path=()):
    """Every path into a tree."""
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def nudged(value, factor):
    """Something near a value, so that many a mutated space is still a good one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return type(value)(max(-1e300, min(value * factor, 1e300)))
    return value[1:] if isinstance(value, list) else value


@st.composite
def mutated(draw):
    """The good space with some entries replaced, removed or added."""
    raw = yaml_io.loads(GOOD, "good")
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(list(places(raw))[1:] or [("name",)]))
        node = raw
        for key in path[:-1]:
            node = node[key]
        deed = draw(st.sampled_from(["nudge", "nudge", "replace", "remove", "add", "leaf"]))
        if deed == "nudge":
            node[path[-1]] = nudged(node[path[-1]], draw(st.floats(0.5, 2)))
        elif deed == "remove":
            del node[path[-1]]
        elif deed == "replace":
            node[path[-1]] = draw(TREES)
        elif isinstance(node, dict):
            node[draw(st.sampled_from(KEYS if deed == "add" else list(SECTION_OF)))] = copy.deepcopy(draw(TREES))
    return raw


def read_or_refuse(folder, text, overrides=()):
    """The space, or None after checking that the refusal is one line that came soon."""
    path = folder / "space.yaml"
    path.write_text(text, encoding="utf-8") if isinstance(text, str) else path.write_bytes(text)
    started = time.process_time()
    try:
        space = load_space(path, overrides)
    except UserError as error:
        assert "\n" not in str(error) and str(error).isprintable() and "; " in str(error)
        space = None
    assert time.process_time() - started < 1.5
    return space


def check_round_trip(folder, space):
    path = folder / "resolved.yaml"
    path.write_text(yaml_io.dump(space.resolved()), encoding="utf-8")
    assert load_space(path) == space


QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
@given(raw=mutated())
def test_a_mutated_space_is_accepted_or_refused(folder, raw):
    space = read_or_refuse(folder, yaml_io.dump(raw))
    if space is not None:
        check_round_trip(folder, space)
        params = {}
        for dimension in space.dimensions:
            if dimension.active(params):
                params[dimension.name] = dimension.extremes()[-1]
        assert space.trial(params).alpha == params.get("alpha", space.alpha)


@settings(max_examples=150, deadline=None, suppress_health_check=QUIET)
@given(
    at=st.integers(0, len(GOOD)),
    cut=st.integers(0, 40),
    put=st.text(max_size=8) | st.sampled_from(["*a", "&a ", "\t"]),
)
def test_a_space_with_other_characters_is_accepted_or_refused(folder, at, cut, put):
    space = read_or_refuse(folder, (GOOD[:at] + put + GOOD[at + cut :]).encode(errors="replace"))
    if space is not None:
        check_round_trip(folder, space)


@settings(max_examples=150, deadline=None, suppress_health_check=QUIET)
@given(
    key=st.sampled_from(
        [*KEYS, *SECTION_OF, "search.lam", "search.lam.when", "data.x", "model.name", "trainer.gpus", ".."]
    ),
    value=TREES,
)
@example(key="reg", value=["nll"])
@example(key="model", value={"name": "builtin", "dtype": "bfloat16"})
def test_an_override_is_accepted_or_refused(folder, key, value):
    text = yaml_io.dump({"v": value}).removeprefix("v:").strip()
    space = read_or_refuse(folder, GOOD, [f"{key}={text}"])
    if space is not None:
        check_round_trip(folder, space)
