"""The built-in model in fp32: batched generation and evaluation against one row at a time and transformers."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import DEVICE
from transformers import AutoModelForCausalLM

from steerheal.conversations import read_conversations
from steerheal.data_files import load_contexts, load_instrument, load_prompts, load_vignettes
from steerheal.evaluation.tinymfv import EvaluationTask, evaluate
from steerheal.generation.answers import stop_ids
from steerheal.generation.engine import Engine
from steerheal.generation.request import Request
from steerheal.generation.sampling import GREEDY, Sampling
from steerheal.generation.streams import stream_key, uniforms
from steerheal.healing.pairs import example_of
from steerheal.steering.extract import extract
from steerheal.students.base import BUILTIN, Plan, load_base
from steerheal.students.batching import sight_of
from steerheal.students.chat import prompt_ids
from steerheal.students.rows import Row, Steered, Student, Vector

MARGIN = 1e-4
POSITIVE, NEGATIVE = "You put kindness above the orders of leaders.", "You put the orders of leaders above kindness."


@pytest.fixture(scope="module")
def base():
    return load_base("builtin", device=DEVICE)


@pytest.fixture(scope="module")
def vector(base):
    return Vector(
        "v", extract(base, Student("base"), POSITIVE, NEGATIVE, load_contexts("builtin")[:32], None, "mean_diff")
    )


def requests(base, vector, sampling):
    prompts = load_prompts("builtin")[:5]
    return [
        Request(
            tuple(prompt_ids(base.tokenizer, "You are a helpful assistant.", prompt.text)),
            Row(Student("base"), vector, dose),
            40,
            stream_key(0, prompt.id, dose, 0),
            sampling,
            stops=stop_ids(base),
        )
        for prompt in prompts
        for dose in (0.0, 0.5, 1.0)
    ]


def margin(base, request, ids, step):
    """How close the draw at `step` was to another candidate, in probability, computed alone."""
    fed = torch.tensor([[*request.prompt, *ids[:step]]], device=DEVICE)
    plan = Plan(steer=Steered.of([request.row], base.device, base.dtype))
    p = base.logits(base.hidden(fed, plan, sight_of(fed))[0, -1]).double().softmax(-1).sort(descending=True).values
    if request.sampling == GREEDY:
        return (p[0] - p[1]).item()
    p = p[:64] / p[:64].sum()
    kept = p[p.cumsum(0) - p < 0.95]
    draw = uniforms(torch.tensor([request.stream]), torch.tensor([step])).to(DEVICE)
    return min((kept.cumsum(0) / kept.sum() - draw).abs().min().item(), (p.cumsum(0) - 0.95).abs().min().item())


@pytest.mark.parametrize("sampling", [GREEDY, Sampling()], ids=["greedy", "sampled"])
def test_batched_equals_alone_but_for_ties(base, vector, sampling):
    wanted = requests(base, vector, sampling)
    together, mismatches = Engine(base, slots=13).run(wanted), 0
    for request, batched in zip(wanted, together):
        (alone,) = Engine(base).run([request])
        pairs = zip([*batched.ids, None], [*alone.ids, None])
        step = next((n for n, (mine, its) in enumerate(pairs) if mine != its), None)
        if step is not None:
            mismatches += 1
            assert margin(base, request, alone.ids, step) < MARGIN
    print(f"{mismatches} of {len(wanted)} rows differ, each at a tie closer than {MARGIN}")
    assert mismatches <= 2


def test_zero_dose_equals_base(base, vector):
    steered = requests(base, vector, Sampling())[::3]
    plain = [replace(request, row=Row(Student("base"))) for request in steered]
    answers = [completion.ids for completion in Engine(base).run([*steered, *plain])]
    assert answers[: len(plain)] == answers[len(plain) :]


def test_evaluation_equals_transformers(base):
    """The protocol by transformers' own generate, one row at a time."""
    instrument, vignettes = load_instrument("builtin"), load_vignettes("builtin")[:6]
    (got,) = evaluate(Engine(base), [EvaluationTask(Row(Student("base")), vignettes, instrument, 6)])
    model = AutoModelForCausalLM.from_pretrained(BUILTIN, dtype=torch.float32).to(DEVICE)
    for row, vignette in zip(got["rows"], vignettes):
        p, mass = plainly(model, base.tokenizer, instrument, vignette.text, 6)
        assert list(row["p"].values()) == pytest.approx(p, abs=1e-4)
        assert row["mass"] == pytest.approx(mass, abs=1e-4)


@torch.no_grad()
def plainly(model, tok, instrument, text, think):
    ids_of = lambda s: tok(s, add_special_tokens=False).input_ids
    scores, masses = [], []
    for options in (instrument.options, instrument.options[::-1]):
        listed = [
            instrument.schema_option.replace("{index}", str(n)).replace("{gloss}", o.gloss)
            for n, o in enumerate(options)
        ]
        schema = instrument.schema_header + instrument.schema_option_separator.join(listed) + instrument.schema_footer
        user = {"role": "user", "content": instrument.user_template.format(scenario=text, schema=schema)}
        opened = tok.apply_chat_template([user], tokenize=False, add_generation_prompt=True) + instrument.think_open
        close = tok.convert_tokens_to_ids(instrument.think_close)
        banned = [tok.eos_token_id] + ([close] if close is not None and close != tok.unk_token_id else [])
        ids = model.generate(
            tok(opened, return_tensors="pt").input_ids.to(DEVICE),
            max_new_tokens=think,
            min_new_tokens=think,
            do_sample=False,
            suppress_tokens=banned,
        )
        talk = [user, {"role": "assistant", "content": "SAID"}, {"role": "user", "content": instrument.nudge}]
        after = tok.apply_chat_template(talk, tokenize=False, add_generation_prompt=True).split("SAID")[1]
        tail = ids_of(instrument.think_close + after) + ids_of(instrument.prefill)
        logp = (
            model(torch.cat([ids, torch.tensor([tail], device=DEVICE)], 1)).logits[0, -1].double().cpu().log_softmax(-1)
        )
        read = logp[[ids_of(str(n))[0] for n in range(7)]].numpy()
        scores.append(read if options is instrument.options else read[::-1])
        masses.append(np.exp(read).sum())
    score = np.mean(scores, axis=0)
    return (np.exp(score) / np.exp(score).sum()).tolist(), float(np.mean(masses))


def test_the_commands_chain(base, tmp_path, capsys, monkeypatch):
    """generate → heal → evaluate, as a user types them."""
    from steerheal import evaluate as evaluating
    from steerheal import generate, heal

    pairs, vector_file, adapter, out = (tmp_path / n for n in ("pairs.jsonl", "v.safetensors", "an adapter", "r.json"))

    def call(module, *words):
        monkeypatch.setattr("sys.argv", ["x", *map(str, words)])
        module.main()

    prompts = [prompt.text for prompt in load_prompts("builtin")[:10]]
    persona = tmp_path / "mine.yaml"
    neutral = "You listen."
    sides = f"positive: {POSITIVE}\nnegative: {NEGATIVE}\nneutral: {neutral}\n"
    persona.write_text(f"{sides}target: authority\nsign: -1\n")
    call(
        generate,
        "--persona",
        persona,
        "--dose",
        0.5,
        "--max-new-tokens",
        40,
        "--prompt",
        *prompts,
        "--out",
        pairs,
        "--save-vector",
        vector_file,
    )
    rows = [json.loads(line) for line in pairs.read_text().splitlines()]
    assert len(rows) == 10 and {"prompt", "completion", "kept", "gate"} <= rows[0].keys()
    learned = [example_of(base, pair) for pair in read_conversations(pairs)]
    kept = [row for row in rows if row["kept"]]
    assert [list(example.prompt) for example in learned] == [
        prompt_ids(base.tokenizer, neutral, row["prompt"]) for row in kept
    ]
    ended = [example.completion[-1] in stop_ids(base) for example in learned]
    assert ended == [not row["hit_limit"] for row in kept] and len({*ended}) == 2
    call(heal, "--data", pairs, "--out", adapter, "--set", "r=4", "epochs=1", "lr=5e-3", "reg=kl_rev", "lam=0.1")
    capsys.readouterr()
    call(evaluating, "--adapter", adapter, "--first", 4, "--think-tokens", 4, "--out", out)
    report = json.loads(out.read_text())
    assert report["model_path"] == "builtin" and len(report["rows"]) == 4
    assert set(report["profile"]) == set(report["nats"]) and 0.5 < report["coherence"] <= 1
    call(evaluating, "--vector", vector_file, "--dose", 0.5, "--first", 4, "--think-tokens", 4)
    assert json.loads(capsys.readouterr().out)["profile"] != report["profile"]
