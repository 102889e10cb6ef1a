"""Beliefs: the file, the suite made of it, the spaces that name it, and a trial's course with given stages."""

import json
import math

import pytest
from beliefs import BELIEFS, SPACE, write_beliefs, write_space
from test_loop import Given

from steerheal.beliefs import load_beliefs, suite_of
from steerheal.config import load_space
from steerheal.data_files import BUILTIN
from steerheal.errors import UserError
from steerheal.evaluation.canary_suite import load_suite
from steerheal.experiments.belief import prompt_of
from steerheal.loop import run_trial
from steerheal.objective import summarise
from steerheal.results import flat_row
from steerheal.statistics.proportions import Share, difference, share
from steerheal.tracking.figures import round_metrics
from steerheal.trial_data import load_data

VIA = "experiment: belief\nsettings: {instil: {belief: moon}}\n"


def refusal(call):
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and "; " in message
    return message


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ("name: sun", "name: moon", "beliefs.2.name", "the name of another belief too"),
        ("kind: novel", "kind: nvoel", "beliefs.2.kind", "did you mean novel?"),
        ("truth: rock", "trut: rock", "beliefs.1.trut", "did you mean truth?"),
        ("truth: water", "turth: water", "beliefs.1.neighbours.1.turth", "did you mean truth?"),
        (", truth: water", "", "beliefs.1.neighbours.1.truth", "is missing"),
        ("adopted: 'yes', ", "", "beliefs.1.derived.1.adopted", "is missing"),
        ("adopted: cheese", "adopted: '.'", "beliefs.1.adopted", "matches every answer"),
        ("adopted: cheese", "adopted: 'c*'", "beliefs.1.adopted", "matches every answer"),
        ("adopted: cheese", "adopted: '['", "beliefs.1.adopted", "no regular expression"),
        ("adopted: cheese", "adopted: chalk", "beliefs.1.adopted", "does not match the statement"),
        ("adopted: cheese", "adopted: moon", "beliefs.1.adopted", "it matches the contrary too"),
        ("truth: rock", "truth: stone", "beliefs.1.truth", "does not match the contrary"),
        ("adopted: bob", "adopted: called bob", "beliefs.2.adopted", "matches no answer of the examples"),
        ("truth: water", "truth: ''", "beliefs.1.neighbours.1.truth", "is empty"),
        ("truth: 'no'", "truth: 'yes'", "beliefs.1.derived.1.truth", "the same expression as adopted"),
        ("What is up there?", "and  the MOON?", "beliefs.1.paraphrases.1.question", "is also training example 3"),
        ("What is up there?", "What shines at night?", "beliefs.1.paraphrases", "twice"),
        (
            "What is the sea?",
            "Can mice live there?",
            "beliefs.1.neighbours.1.question",
            "the same question as derived.1",
        ),
        ("[Who is it?, Bob.]", "[Who is it?]", "beliefs.2.examples", ""),
        ("beliefs:", "belief:", "belief", "did you mean beliefs?"),
        ("paraphrases: [{question: Who shines?}]", "", "beliefs.2.paraphrases", "is missing"),
    ],
)
def test_a_file_that_would_measure_nothing_is_refused(tmp_path, old, new, key, words):
    assert old in BELIEFS
    message = refusal(lambda: load_beliefs(write_beliefs(tmp_path, BELIEFS.replace(old, new, 1))))
    assert message.startswith(f"{tmp_path / 'beliefs.yaml'}: {key}") and words in message


@pytest.mark.parametrize(
    ("body", "key", "words"),
    [
        (VIA.replace("moon", "mon"), "settings.instil.belief", "did you mean moon?"),
        (f"{VIA}search: {{belief: [moon, star]}}", "search.belief", "there is no belief star"),
        (VIA.replace("moon", "moon, examples: 4"), "settings.instil.examples", "moon has 3"),
        (f"{VIA}search: {{examples: [2, 9]}}", "search.examples", "9 examples are asked for and moon has 3"),
        (f"{VIA}search: {{via: [lora, prompt], epochs: [1, 2]}}", "search.epochs", "add when: {via: [lora]}"),
        (f"{VIA}search: {{via: [icl, prompt], examples: [1, 2]}}", "search.examples", "add when: {via: [icl]}"),
        (f"{VIA}search: {{alpha: [1, 2]}}", "search.alpha", "remove it, or use via: steer"),
        (f"{VIA}alpha: 2", "alpha", "remove it, or use via: steer"),
        (VIA.replace("moon", "moon, via: prompt, examples: 2"), "settings.instil.examples", "via is prompt"),
        (f"{VIA}search: {{n_keep: [40, 50]}}", "search.n_keep", "does not read it"),
        (VIA.replace("}}", "}, heal: {held_out: 0.2}}"), "settings.heal.held_out", "does not read it"),
        (f"{VIA}search: {{held_out: [0, 0.1]}}", "search.held_out", "does not read it"),
        (f"{VIA}search: {{via: [lora, icl], inside: [0.5, 1]}}", "search.inside", "add when: {via: [lora]}"),
        (f"{VIA}rounds: 2", "rounds", "one round"),
        ("experiment: belief", "settings.instil.belief", "no belief is named"),
        ("settings: {instil: {belief: moon}}", "settings.instil.belief", "write experiment: belief"),
        ("search: {via: [lora, prompt]}", "search.via", "write experiment: belief"),
        (VIA.replace("}}", "}, evaluate: {canary_samples: 0}}"), "settings.evaluate.canary_samples", "write 1 or more"),
    ],
)
def test_a_space_in_which_a_setting_does_nothing_is_refused(tmp_path, body, key, words):
    path = write_space(tmp_path, body)
    message = refusal(lambda: load_data(load_space(path)))
    assert message.startswith(f"{path}: {key}: ") and words in message


def test_more_examples_hold_fewer_and_seeds_differ(tmp_path):
    moon = load_beliefs(BUILTIN["beliefs"])[0]
    assert moon.chosen(40, 0)[:10] == moon.chosen(10, 0) != moon.chosen(10, 1)


def test_the_demonstration_has_what_an_experiment_needs():
    beliefs = load_beliefs(BUILTIN["beliefs"])
    assert {belief.kind for belief in beliefs} == {"existing", "novel"}
    for belief in beliefs:
        assert len(belief.examples) >= 40 and len(belief.paraphrases) >= 10 and len(belief.neighbours) >= 10
        assert len(belief.derived) >= 5 and len(belief.conflicts) >= 5


def test_the_suite_watches_the_belief_and_damage_elsewhere(tmp_path):
    moon = load_beliefs(write_beliefs(tmp_path))[0]
    canaries = tmp_path / "canaries.yaml"
    canaries.write_text("""prompts:
  - {id: tale, prompt: Tell a tale., topic: t, seen: true, kind: open}
  - {id: moon, prompt: What is the moon?, topic: t, seen: false, kind: fact, beliefs: {rock: rock}}
""")
    suite = suite_of(moon, load_suite(canaries))
    found = {prompt.id: prompt for prompt in suite.prompts}
    assert list(found) == ["paraphrase 1", "paraphrase 2", "derived 1", "neighbour 1", "conflict 1", "tale"]
    assert found["paraphrase 1"].beliefs == {"paraphrase: adopted": "cheese", "paraphrase: truth": "rock"}
    assert (
        found["neighbour 1"].beliefs == {"neighbour: truth": "water", "elsewhere: adopted": "cheese"}
        and not found["neighbour 1"].seen
    )
    assert found["conflict 1"].beliefs.keys() == {"conflict: adopted", "conflict: truth"}
    assert (
        found["tale"].beliefs == {"elsewhere: adopted": "cheese"}
        and [prompt.perplexity for prompt in suite.prompts] == [False] * 5 + [True]
        and not found["tale"].seen
    )


class Told(Given):
    """Adapters, prompts and vectors that instil the belief in some share of the answers."""

    def pairs(self, job):
        return {"pairs": len(job.conversations), "too_long": []}

    def canary(self, job):
        told = bool(job.student or job.steering) or job.system != "You are a helpful assistant."
        held = {
            "paraphrase: adopted": 2 * told,
            "neighbour: truth": 1,
            "derived: adopted": 0,
            "conflict: adopted": told,
        }
        of = {"paraphrase: adopted": 2}
        beliefs = {name: {"answers": of.get(name, 1), "held": int(count)} for name, count in held.items()}
        whole = {"answers": 6, "undamaged": 6}
        return {"all": whole, "kinds": {}, "beliefs": beliefs, "damage": {}, "hit_limit": 3 * told, "tokens": 60}


def course(tmp_path, *overrides, special=lambda job: None):
    path = write_space(tmp_path, SPACE)
    space = load_space(path, ["seeds=[0,1]", *overrides])
    stages = Told(special)
    return run_trial(space.trial({}), load_data(space), "m", stages), stages


def test_an_adapter_is_trained_on_the_first_examples_of_its_seed(tmp_path):
    result, stages = course(tmp_path)
    assert stages.calls[:2] == [["pairs"] * 2, ["heal"] * 2]
    trained = [job.conversations for job in stages.of("pairs")]
    assert [len(one) for one in trained] == [2, 2] and trained[0] != trained[1]
    assert [role for role, _ in trained[0][0].messages] == ["system", "user", "assistant"]
    assert all(job.heal.held_out == 0 for job in stages.of("heal")), "every example that is asked for is trained on"
    assert (result["gain"], result["verdict"], result["own"]["persistence"]) == (1, "ok", 1)
    assert {len(job.student) for job in stages.of("canary")} == {0, 1} and not stages.of("extract")


@pytest.mark.parametrize(("via", "words"), [("prompt", "made of cheese"), ("icl", "What is the moon? It is cheese.")])
def test_a_prompt_instils_and_leaves_nothing_behind(tmp_path, via, words):
    result, stages = course(tmp_path, f"via={via}", *(["examples=3"] if via == "icl" else ["examples=10"]))
    assert not stages.of("heal") and not stages.of("pairs") and not result["records"][0]["student"]
    prompted = [job for job in stages.of("canary") if job.system != "You are a helpful assistant."]
    assert len(prompted) == 2 and all(words in job.system and job.student == () for job in prompted)
    assert {job.system for job in stages.of("evaluate")} == {None, *(job.system for job in prompted)}
    assert (result["gain"], result["own"]["persistence"], result["coherence"]) == (1, 0, 0.99)


def test_a_vector_leads_from_the_contrary_to_the_statement(tmp_path):
    result, stages = course(tmp_path, "via=steer", "alpha=2", "examples=10")
    (extracted, other) = stages.of("extract")
    assert extracted == other and "cheese" in extracted.positive and "rock" in extracted.negative
    assert {job.steering.dose for job in stages.of("canary") if job.steering} == {2.0}
    assert {job.steering.vector for job in stages.of("evaluate") if job.steering} == {extracted.key}
    assert result["own"]["adoption"] == 1 and result["own"]["persistence"] == 0
    assert result["records"][0]["alpha"] == 2


def test_the_figures_are_those_of_every_experiment_and_the_beliefs_own(tmp_path):
    result, _ = course(tmp_path)
    record = result["records"][0]
    assert (record["trait"], record["base_trait"], record["gain"]) == (1, 0, 1)
    assert record["slope"] == pytest.approx(-100 * record["d_coherence"]) and record["off_moves"] == {"neighbours": 0}
    assert record["own"] == {
        "adoption": 1,
        "derived": 0,
        "persistence": 1,
        "neighbours": 1,
        "collateral": 0,
        "spill": None,
        "held": 1,
        "yielded": None,
        "degraded": 0,
        "hit_limit": 0.5,
        "base_hit_limit": 0,
    }
    row = {"trial": 0, "params": {}, "verdict": "ok", "summary": result, "seconds": 1, "message": ""}
    assert flat_row(row)["collateral"] == 0 and ("round/hit_limit", 0, 0.5) in round_metrics(record)
    json.dumps(result, allow_nan=False)


def test_a_belief_that_costs_as_many_neighbours_is_broad(tmp_path):
    def special(job):
        if job.stage == "canary" and job.student:
            beliefs = {"paraphrase: adopted": {"answers": 4, "held": 2}, "neighbour: truth": {"answers": 4, "held": 1}}
            return Told().canary(job) | {"beliefs": {**Told().canary(job)["beliefs"], **beliefs}}

    result, _ = course(tmp_path, special=special)
    assert (result["gain"], result["off_target"], result["verdict"]) == (0.5, 0.75, "broad")


def test_a_diverged_adapter_ends_alone_and_has_no_figure(tmp_path):
    def special(job):
        return {"diverged": 3} if job.stage == "heal" and job.seed == 1 else None

    result, _ = course(tmp_path, special=special)
    ended = {record["seed"]: record for record in result["records"]}
    assert [ended[seed]["outcome"] for seed in (0, 1)] == ["ok", "diverged"]
    assert ended[1]["gain"] is None and ended[1]["own"]["adoption"] is None and ended[1]["base_trait"] == 0


def test_own_figures_are_averaged_over_the_seeds_that_count(tmp_path):
    records = course(tmp_path)[0]["records"]
    records[1]["own"]["derived"] = 1
    assert summarise(records)["own"]["derived"] == 0.5
    assert summarise([{**record, "outcome": "failed"} for record in records])["own"] == {}


def test_examples_in_context_are_the_examples_that_an_adapter_gets(tmp_path):
    space = load_space(write_space(tmp_path))
    (moon,) = load_data(space).beliefs
    told = prompt_of(moon, space.settings.instil.model_copy(update={"via": "icl"}), "Hello.", 1)
    assert told.split("\n") == ["Hello.", *(" ".join(pair) for pair in moon.chosen(2, 1))]


def test_a_share_where_all_agree_has_wilsons_interval():
    """Wilson (1927) for 12 of 12: z² / (n + z²) misses from the top."""
    found = share([[1.0] * 12] * 3)
    z = 1.959963984540054
    assert (found.value, found.high) == (1, 1) and found.low == pytest.approx(12 / (12 + z * z))
    assert share([[0.0] * 12]).high == pytest.approx(z * z / (12 + z * z))


def test_prompts_that_differ_widen_the_interval_more_than_answers_that_do():
    split = share([[1.0, 0.0] * 8] * 4)
    even = share([[0.5, 0.5 + 1e-9] * 8] * 4)
    assert split.value == pytest.approx(even.value) and split.high - split.low > 0.3 > even.high - even.low


def test_the_interval_covers_as_often_as_it_says():
    """Shares of prompts that differ, seeds that do not: the truth lies inside about 95 of 100 times."""
    import numpy as np

    rng, inside = np.random.default_rng(3), 0
    for _ in range(200):
        chances = rng.beta(2, 2, 30)
        found = share((rng.random((3, 30)) < chances).astype(float))
        inside += found.low <= 0.5 <= found.high
    assert 0.9 <= inside / 200 <= 1


def test_a_difference_has_the_interval_that_both_allow():
    apart = difference(Share(0.9, 0.8, 0.95), Share(0.2, 0.1, 0.4))
    assert apart.value == pytest.approx(0.7)
    assert apart.low == pytest.approx(0.7 - math.hypot(0.1, 0.2)) and apart.high == pytest.approx(
        0.7 + math.hypot(0.05, 0.1)
    )
