"""What a space file must not say: each is refused in one line that names the file, the key and the remedy."""

import pytest
from spaces import BARRIER, HEAD, space, write_space

from steerheal.config import load_space
from steerheal.errors import UserError

KL = "when: {reg: [kl_rev]}"


def refusal(tmp_path, body, *overrides):
    with pytest.raises(UserError) as caught:
        space(tmp_path, body, *overrides)
    message = str(caught.value)
    assert "\n" not in message and "; " in message and len(message) <= 1000
    return message.replace(str(tmp_path) + "/", "")


@pytest.mark.parametrize(
    ("body", "key", "words"),
    [
        ("hypotesis: x", "hypotesis", "did you mean hypothesis?"),
        ("settings: {heal: {lrr: 1e-4}}", "settings.heal.lrr", "did you mean lr?"),
        ("settings: {heals: {lr: 1e-4}}", "settings.heals", "did you mean heal?"),
        ("lam: 0.3", "lam", "it belongs at settings.heal.lam"),
        ("resources: {generation: {gpu: 1}}", "resources.generation.gpu", "did you mean gpus?"),
        ("resources: {trainer: {resources: {big: 1}}}", "resources.trainer.resources", "write placement: spread, or"),
        (
            "resources: {trainer: {resources: {CPU: 1}}}",
            "resources.trainer.resources",
            "CPU is no name that nodes can offer",
        ),
        ("search: {lamb: [1, 2]}", "search.lamb", "did you mean lam?"),
        ("search: {wd: {low: 0, hihg: 1}}", "search.wd.hihg", "did you mean high?"),
        ("settings: {heal: {lr: fast}}", "settings.heal.lr", "'fast' is not a number; write one such as"),
        ("settings: {heal: {lr: '1e-4'}}", "settings.heal.lr", "without quotes"),
        ("settings: {heal: {epochs: 1.5}}", "settings.heal.epochs", "not a whole number"),
        ("settings: {heal: {reg: kl_rv}}", "settings.heal.reg", "did you mean kl_rev?"),
        ("settings: {steer: {steer_prompt: no}}", "settings.steer.steer_prompt", "write true or false"),
        ("settings: {heal: {depth: [0.8, 0.2]}}", "settings.heal", "depth: the first bound is not below"),
        ("settings: {steer: {layers: [3, 3]}}", "settings.steer.layers", "the same entry twice"),
        ("settings: {steer: {layers: []}}", "settings.steer.layers", "at least 1"),
        ("settings: [1]", "settings", "not a mapping"),
        ("settings: {dose: {kappa_min: 1.5}}", "settings.dose.kappa_min", "at most 1"),
        ("settings: {dose: {kappa_min: 1}}", "settings.dose.rungs", "set rungs to 1"),
        ("settings: {dose: {min_train: 100}}", "settings.dose.min_train", "raise n_keep or lower min_train"),
        ("settings: {dose: {n_keep: 20}}", "settings.dose.min_train", "collection stops at n_keep 20"),
        (
            "settings: {dose: {min_train: 1, n_keep: 9}}",
            "settings.heal.held_out",
            "leaves nothing to train on",
        ),
        ("settings: {heal: {lr: 0.1, wd: 10}}", "settings.heal.wd", "is not below 1"),
        ("settings: {heal: {lr: 0.1}}\nsearch: {wd: [0, 10]}", "search.wd", "is not below 1"),
        ("search: {wd: {low: 0, high: 3000}}", "search.wd", "is not below 1"),
        ("search: {lr: {low: 1e-4, high: 1, log: true}, wd: [1]}", "search.wd", "is not below 1"),
        ("search: {lam: [0.1, 0.3]}", "search.lam", "search reg too, or set it to kl_rev or kl_fwd"),
        ("search: {reg: [nll, kl_rev], lam: [0.1, 1]}", "search.lam", "add when: {reg: [kl_rev]}"),
        (
            "search: {reg: [nll, kl_fwd], tau: {low: 0, high: 1, when: {reg: [nll]}}}",
            "search.tau",
            "add when",
        ),
        ("settings: {heal: {barrier_ref: base}}", "settings.heal.barrier_ref", "leave barrier_ref out"),
        (
            "settings: {heal: {lam: 1}}\nsearch: {reg: [nll]}",
            "settings.heal.lam",
            "set reg to kl_rev or kl_fwd",
        ),
        (f"search: {{lam: {{low: 0.1, high: 1, {KL}}}}}", "search.lam.when.reg", "not a searched dimension"),
        (
            "search: {reg: [nll, kl_rev], wd: {choices: [1], when: {reg: [kl_fwd]}}}",
            "wd.when.reg",
            "not among",
        ),
        ("search: {wd: {low: 0, high: 9}, r: {choices: [1], when: {wd: 0}}}", "search.r.when.wd", "choices"),
        ("search: {wd: {choices: [1, 2], when: {r: 1}}, r: {choices: [1], when: {wd: 1}}}", "when", "circle"),
        (
            "search: {reg: [nll, kl_rev], kl_agg: {choices: [mean], when: {reg: kl_rev}}, "
            "wd: {choices: [0], when: {reg: nll, kl_agg: mean}}}",
            "search.wd.when",
            "can never hold",
        ),
        ("search: {wd: {low: 3, high: 3}}", "search.wd", "the range from 3 to 3 is empty"),
        ("search: {lr: {low: 0, high: 1, log: true}}", "search.lr", "above 0"),
        ("search: {wd: {low: 0, high: 1, log: true}}", "search.wd.low", "raise low, or drop log"),
        ("search: {wd: {low: 1, high: 9, log: true, step: 1}}", "search.wd.step", "has no steps"),
        ("search: {wd: {low: 1, high: 2, step: 3}}", "search.wd.step", "write a smaller one"),
        ("search: {r: {low: 1, high: 9, step: 0.5}}", "search.r.step", "write a whole one"),
        ("search: {r: {low: 1.5, high: 9}}", "search.r", "not a whole number"),
        ("search: {reg: {low: 1, high: 2}}", "search.reg", "1 is not one of"),
        ("search: {steer_prompt: {low: false, high: true}}", "search.steer_prompt", "list its values"),
        ("search: {wd: []}", "search.wd", "1 to 64 values"),
        ("search: {wd: [1, 1.0]}", "search.wd", "the same value twice"),
        ("search: {wd: 3}", "search.wd", "neither a list nor a range"),
        ("search: {wd: [-1]}", "search.wd", "at least 0"),
        (
            "search: {think_tokens: [8, 16]}",
            "search.think_tokens",
            "fix it at settings.evaluate.think_tokens",
        ),
        ("search: [reg]", "search", "not a mapping"),
        (
            "sampler: grid\nsearch: {wd: {low: 0, high: 1}}",
            "search.wd",
            "list its values, or use sampler: optuna",
        ),
        (
            "sampler: grid\nsearch: {epochs: {low: 1, high: 200}, r: {low: 1, high: 200}}",
            "search",
            "more than 10000 trials",
        ),
        ("sampler: grd", "sampler", "did you mean grid?"),
        ("trials: 0", "trials", "at least 1"),
        ("resources: {placement: gpu, processes: 2}", "resources.processes", "write placement: process"),
        ("resources: {trainer: {replicas: 2}}", "resources.trainer.replicas", "write placement: spread"),
        ("experiment: voice\nalpha: 0.5", "alpha", "does not steer"),
        ("repeats: race", "repeats", "list more seeds, or write repeats: all"),
        ("seeds: [0, 1]\nrepeats: rac", "repeats", "did you mean race?"),
        ("seeds: [0, 1]\nrepeats: race\nobjective: pareto", "repeats", "use objective slope or trait"),
        ("objective: slop", "objective", "write slope, pareto, or {trait_at_coherence: 0.99}"),
        ("objective: trait_at_coherence", "objective", "with a coherence from 0 to 1"),
        ("objective: {trait_at_coherence: 99}", "objective", "with a coherence from 0 to 1"),
        ("objective: {trait_at_coherence: true}", "objective", "with a coherence from 0 to 1"),
        ("objective: {trait_at_coherenc: 0.9}", "objective", "no objective that is known"),
        ("objective: [slope, pareto]", "objective", "no objective that is known"),
        ("seeds: 3", "seeds", "write it as [a, b]"),
        ("seeds: [1, 1]", "seeds", "the same entry twice"),
        ("rounds: 0", "rounds", "at least 1"),
        ("stop: {coherence_below: 2}", "stop.coherence_below", "at most 1"),
        ("alpha: -1", "alpha", "at least 0"),
        ("resources: {placement: gpus}", "resources.placement", "did you mean gpu?"),
        ("resources: {store: s3x://bucket}", "resources.store", "fsspec knows no protocol s3x://; did you mean s3://?"),
        ("resources: {store: here}", "resources.store", "write an absolute one, or a URL"),
        ("resources: {store: ''}", "resources.store", "is empty"),
        ("resources: {store: 's3://'}", "resources.store", "write an absolute path, or a URL such as"),
        ("resources: {store: 'simplecache::s3://b'}", "resources.store", "write an absolute path, or a URL such as"),
        ("resources: {store: memory://b}", "resources.store", "do not share memory://"),
        ("resources: {store: 's3://b?key=k'}", "resources.store", "leave it out, and give it by the environment"),
        ("name: ../up", "name", "use 1 to 64 letters"),
        ("name: .hidden", "name", "not starting with a dot"),
        ("name: a/b", "name", "use 1 to 64 letters"),
        ("name: " + "a" * 65, "name", "use 1 to 64 letters"),
        ("model: gemma-3-4b", "model", "did you mean gemma-3-4b-it?"),
        ("model: ../../nowhere", "model", "no model settings file, no folder and no hub name"),
        ("model: {name: builtin, dtyp: float32}", "model.dtyp", "did you mean dtype?"),
        ("data: {vignettes: none.jsonl}", "data.vignettes", "there is no file none.jsonl"),
        ("data: {prompts: 'hub:a/b'}", "data.prompts", "write hub:owner/repo/path"),
        ("data: {prompts: 'hub:a/b/../c'}", "data.prompts", "write hub:owner/repo/path"),
        ("settings: {heal: {lr: 1e-4, lr: 2e-4}}", "line 3", "lr is given twice"),
        ("data: &a {prompts: x}\nmodel: *a", "line 3", "anchors and aliases"),
        ("settings: {heal: {lr: .nan}}", "line 3", "write a finite number"),
    ],
)
def test_a_bad_space_is_refused(tmp_path, body, key, words):
    message = refusal(tmp_path, body)
    assert message.startswith("space.yaml: ")
    assert key in message and words in message


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("positive: a\nnegative: b\ntarget: charity\nsign: 1", "target: 'charity' is not one of 'care'"),
        ("positive: a\nnegative: b\ntarget: care\nsign: 2", "sign: 2 is not one of -1"),
        ("positive: a\nnegative: a\ntarget: care\nsign: 1", "the same text as positive"),
        ("positive: a\nnegative: b\ntarget: care\nsign: 1\ncompanions: [Care]", "care is the target itself"),
        ("positive: a\ntarget: care\nsign: 1", "negative: is missing; add it"),
        ("positive: a\nnegative: b\ntarget: care\nsing: 1", "sing: unknown key; did you mean sign?"),
        ("- a", "is not a mapping"),
    ],
)
def test_a_bad_persona_is_refused_by_its_own_file(tmp_path, pair, words):
    path = write_space(tmp_path, "")
    (tmp_path / "personas" / "warm_over_cold.yaml").write_text(pair)
    with pytest.raises(UserError) as caught:
        load_space(path)
    assert "personas/warm_over_cold.yaml: " in str(caught.value) and words in str(caught.value)


def test_a_misspelt_persona_names_the_nearest(tmp_path):
    path = write_space(tmp_path, "")
    path.write_text("hypothesis: h\npersona: warm_over_cod")
    with pytest.raises(UserError, match=r"persona: there is no persona warm_over_cod; did you mean warm_over_cold\?"):
        load_space(path)


def test_a_missing_hypothesis_is_named(tmp_path):
    path = write_space(tmp_path, "")
    path.write_text("persona: warm_over_cold")
    with pytest.raises(UserError, match="hypothesis: is missing; add it"):
        load_space(path)


def test_a_bad_model_file_is_refused_by_its_own_name(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.yaml").write_text("model: a/b\nsettings: {heal: {epoch: 3}}")
    message = refusal(tmp_path, "model: mine")
    assert message.startswith("models/mine.yaml: settings.heal.epoch: ") and "epochs" in message


def test_a_conditional_value_is_only_judged_where_it_exists(tmp_path):
    """lr 0.1 meets wd 0 only, so nothing here is impossible."""
    body = "search: {lr: [1e-4, 0.1], wd: {choices: [0, 100], when: {lr: [1e-4]}}}"
    assert len(space(tmp_path, body).dimensions) == 2
    assert "is not below 1" in refusal(tmp_path, body.replace("[1e-4]", "[0.1]"))


def test_a_file_that_is_too_large_or_too_large_once_resolved_is_refused(tmp_path):
    path = write_space(tmp_path, "#" * 70_000)
    with pytest.raises(UserError, match="64 KiB"):
        load_space(path)
    layers = ",".join(f"[{','.join(map(str, range(n, n + 250)))}]" for n in range(60))
    path.write_text(f"{HEAD}search: {{layers: [{layers}]}}")
    with pytest.raises(UserError, match="resolved, it is too large"):
        load_space(path)


def test_too_many_conditions_are_refused_and_not_waited_for(tmp_path):
    parents = {"method": "[mean_diff, pca]", "apply": "[add, ablate]"}
    parents |= dict.fromkeys(("temperature", "top_p", "warmup"), "[0.1, 0.2, 0.3]")
    parents |= dict.fromkeys(("top_k", "rungs", "per_rung", "n_keep", "r", "epochs"), "[31, 32, 33]")
    body = "search:\n" + "".join(f"  {name}: {values}\n" for name, values in parents.items())
    when = ", ".join(f"{name}: {values}" for name, values in parents.items())
    assert "too many conditions" in refusal(tmp_path, body + f"  wd: {{choices: [0], when: {{{when}}}}}\n")


def test_what_an_override_breaks_is_refused_the_same_way(tmp_path):
    assert refusal(tmp_path, BARRIER, "wd=3000").startswith("space.yaml: settings.heal.wd: ")


@pytest.mark.parametrize("place", ["sftp://me:planted@host/x", "s3://me:plan/ted@bucket", "s3://b?secret=planted"])
def test_an_address_with_a_password_is_refused_without_being_shown(place, tmp_path):
    for body, overrides in ((f"resources: {{store: '{place}'}}", ()), ("", (f"resources.store={place}",))):
        said = refusal(tmp_path, body, *overrides)
        assert "leave it out, and give it by the environment" in said and "plan" not in said


@pytest.mark.parametrize("place", ["/shared/a store", "s3://bucket/folder", "sftp://me@host/x", "gs://b", None])
def test_places_for_the_store(place, tmp_path):
    given = space(tmp_path, "" if place is None else f"resources: {{store: '{place}'}}")
    assert given.resources.store == place and given.resolved()["resources"]["store"] == place
