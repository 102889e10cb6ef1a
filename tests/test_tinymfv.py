"""Evaluation against the protocol written out with transformers alone, one row at a time."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny import DEVICE
from transformers import AutoModelForCausalLM

from steerheal.evaluation.profile import Read, informedness, report
from steerheal.evaluation.protocol import Protocol
from steerheal.evaluation.tinymfv import EvaluationTask, evaluate
from steerheal.foundations import FOUNDATIONS
from steerheal.generation.engine import Engine
from steerheal.jobs import Vignette
from steerheal.students.rows import Row, Student, Vector

INSTRUMENT = SimpleNamespace(
    user_template="{scenario}\n{schema}",
    schema_header="{pick: [\n",
    schema_option='"{index}" # {gloss}',
    schema_option_separator="\n",
    schema_footer="\n]}",
    think_open="<think>\n",
    think_close="</think>",
    nudge="Just answer",
    prefill='It is wrong: "',
    options=tuple(SimpleNamespace(key=key, foundation=key, gloss=f"about {key}") for key in FOUNDATIONS),
)
VIGNETTES = tuple(
    Vignette(str(n), FOUNDATIONS[n % 7], text, ())
    for n, text in enumerate(
        ["You see a boy {index} push.", "A girl lies to {schema} him.", "He sings.", "They cheat at chess."]
    )
)


def reference(base, model, vignette, think):
    """p per foundation, mass and the prefill's nll of one vignette, left to transformers' own generate."""
    tok = base.tokenizer
    scores, masses, nlls = [], [], []
    for reverse in (False, True):
        options = list(reversed(INSTRUMENT.options)) if reverse else list(INSTRUMENT.options)
        listed = "\n".join(f'"{n}" # {o.gloss}' for n, o in enumerate(options))
        user = vignette.text + "\n" + "{pick: [\n" + listed + "\n]}"
        text = tok.apply_chat_template([{"role": "user", "content": user}], tokenize=False, add_generation_prompt=True)
        ids = tok(text + "<think>\n", return_tensors="pt").input_ids.to(DEVICE)
        if think:
            ids = model.generate(
                ids, max_new_tokens=think, min_new_tokens=think, do_sample=False, suppress_tokens=[tok.eos_token_id]
            )
        before = "</think><end>\n<bos>[user]Just answer<end>\n[assistant]"
        prefill = tok(INSTRUMENT.prefill, add_special_tokens=False).input_ids
        ids = torch.cat(
            [ids, torch.tensor([tok(before, add_special_tokens=False).input_ids + prefill], device=DEVICE)], 1
        )
        logp = model(ids).logits[0].double().log_softmax(-1)
        start = ids.shape[1] - len(prefill)
        nlls.append(-np.mean([logp[start - 1 + n, token].item() for n, token in enumerate(prefill)]))
        digits = [tok(str(n), add_special_tokens=False).input_ids[0] for n in range(7)]
        read = logp[-1, digits]
        masses.append(read.exp().sum().item())
        scores.append(read.flip(0) if reverse else read)
    return torch.stack(scores).mean(0).softmax(0).tolist(), float(np.mean(masses)), float(np.mean(nlls))


@pytest.fixture(scope="module")
def model(tiny_base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_base.model.save_pretrained(folder)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").to(DEVICE)


@pytest.mark.parametrize("think", [0, 7])
def test_evaluation_equals_the_protocol_written_out(tiny_base, model, think):
    task = EvaluationTask(Row(Student("base")), VIGNETTES, INSTRUMENT, think)
    (got,) = evaluate(Engine(tiny_base, slots=3), [task])
    with torch.no_grad():
        for row, vignette in zip(got["rows"], VIGNETTES):
            p, mass, nll = reference(tiny_base, model, vignette, think)
            assert list(row["p"].values()) == pytest.approx(p, abs=1e-6)
            assert row["mass"] == pytest.approx(mass, abs=1e-6) and row["nll"] == pytest.approx(nll, abs=1e-6)


def test_students_evaluated_together_equal_each_alone(llama_base):
    generator = torch.Generator().manual_seed(0)
    vector = Vector("v", {1: torch.randn(32, generator=generator, dtype=torch.float64)})
    tasks = [
        EvaluationTask(Row(Student("base")), VIGNETTES, INSTRUMENT, 5),
        EvaluationTask(Row(Student("base"), vector, 1.0), VIGNETTES, INSTRUMENT, 5),
        EvaluationTask(Row(Student("base")), VIGNETTES[:2], INSTRUMENT, 3, system="Be brief."),
    ]
    together = evaluate(Engine(llama_base, slots=5), tasks)
    for task, report_ in zip(tasks, together):
        (alone,) = evaluate(Engine(llama_base), [task])
        for mine, its in zip(report_["rows"], alone["rows"]):
            assert mine["p"] == pytest.approx(its["p"], abs=1e-9) and mine["mass"] == pytest.approx(its["mass"])
    assert together[0]["profile"] != together[1]["profile"]


def test_an_answer_inside_the_thought_is_read_there(llama_base):
    protocol = Protocol.of(llama_base.tokenizer, INSTRUMENT)
    thought = llama_base.tokenizer('Well. It is wrong: "3 and', add_special_tokens=False).input_ids
    assert protocol.answered_early(thought) == len('Well. It is wrong: "')
    assert protocol.answered_early(thought[: len('Well. It is wrong: "')]) is None
    assert protocol.answered_early(thought[5:9]) is None


def test_a_non_finite_read_is_counted_and_never_clamped():
    good = {"forward": dict.fromkeys(FOUNDATIONS, np.log(0.1)), "reversed": dict.fromkeys(FOUNDATIONS, np.log(0.1))}
    bad = {"forward": dict.fromkeys(FOUNDATIONS, float("nan")), "reversed": good["reversed"]}
    made = report([Read("1", "care", good, 0.5), Read("2", "care", bad, 0.5)])
    assert made["unscorable"] == 1 and made["coherence"] == pytest.approx(0.7)
    assert made["profile"]["care"] == pytest.approx(1 / 7) and made["rows"][1]["p"] is None
    assert report([Read("2", "care", bad, 0.5)])["coherence"] is None


def test_orders_cancel_a_bias_for_a_digit():
    """A reader that always prefers the first digit, whatever it means, has no preference on balance."""
    keys = list(FOUNDATIONS)
    by_digit = np.log([0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    logp = {"forward": dict(zip(keys, by_digit)), "reversed": dict(zip(keys, by_digit[::-1]))}
    made = report([Read("1", "care", logp, 0.0)])
    assert made["profile"]["care"] == pytest.approx(made["profile"]["social"])


def test_intervals_cover_the_estimate_and_informedness_is_zero_for_a_guesser():
    generator = np.random.default_rng(0)
    reads = []
    for n in range(60):
        logp = {o: dict(zip(FOUNDATIONS, np.log(generator.dirichlet(np.ones(7))))) for o in ("forward", "reversed")}
        reads.append(Read(str(n), FOUNDATIONS[n % 7], logp, 0.0))
    made = report(reads)
    for key in FOUNDATIONS:
        low, high = made["intervals"]["nats"][key]
        assert low < made["nats"][key] < high
    assert informedness(np.zeros(70, int), np.arange(70) % 7, 7) == pytest.approx(0)
    assert informedness(np.arange(70) % 7, np.arange(70) % 7, 7) == pytest.approx(1)
