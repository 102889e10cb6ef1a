"""The shipped weights: an ordinary transformers folder that does what the card says."""

import json
import sys

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from steerheal.config.sections import Sample
from steerheal.data_files import load_instrument, load_prompts, load_vignettes
from steerheal.evaluation.tinymfv import EvaluationTask, evaluate
from steerheal.generation.answers import Ask, answer
from steerheal.generation.engine import Engine
from steerheal.jobs import Prompt
from steerheal.organism import DATA, WEIGHTS, train
from steerheal.organism.architecture import make_config, make_model
from steerheal.organism.packing import make_rows
from steerheal.organism.planted import Planted
from steerheal.organism.tokenizer import VOCABULARY, train_tokenizer
from steerheal.students.base import load_base
from steerheal.students.rows import Row, Student

NEUTRAL = "You are a helpful assistant."


@pytest.fixture(scope="module")
def engine():
    return Engine(load_base("builtin"))


def answers(engine, asked: list[tuple[str, str]], temperature: float, tokens: int):
    """Answers of base to (system prompt, question) pairs."""
    settings = Sample(temperature=temperature, max_new_tokens=tokens)
    row = Row(Student((), None))
    return answer(
        engine,
        [Ask(Prompt(str(i), text), row, system, settings, 0, 0) for i, (system, text) in enumerate(asked)],
    )


def test_the_folder_is_plain_small_and_complete():
    files = {path.name for path in WEIGHTS.iterdir()}
    assert files == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    }
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) <= 16_000_000


def test_it_loads_through_transformers_and_reaches_its_context():
    model, tokenizer = AutoModelForCausalLM.from_pretrained(WEIGHTS), AutoTokenizer.from_pretrained(WEIGHTS)
    assert len(tokenizer) == model.config.vocab_size == VOCABULARY
    assert model.config.max_position_embeddings >= 2048
    with torch.no_grad():
        logits = model(torch.randint(10, VOCABULARY, (1, 2048))).logits
    assert torch.isfinite(logits).all()


def test_the_chat_template_knows_the_roles():
    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
    messages = [
        {"role": "system", "content": NEUTRAL},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "And?"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text.endswith("<|user|>\nAnd?<|end|>\n<|assistant|>\n") and NEUTRAL in text
    closed = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
    assert text == closed + "<|assistant|>\n"
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_the_generator_is_the_one_that_the_weights_were_trained_on():
    """The tokenizer is learned on the corpus of the shipped seed, so a changed word list shows here."""
    made = json.loads(train_tokenizer(12).backend_tokenizer.to_str())["model"]
    shipped = json.loads((WEIGHTS / "tokenizer.json").read_text())["model"]
    assert made["vocab"] == shipped["vocab"] and made["merges"] == shipped["merges"]


def test_base_classifies_vignettes(engine):
    vignettes = load_vignettes("builtin")[::4]
    instrument = load_instrument("builtin")
    (report,) = evaluate(engine, [EvaluationTask(Row(Student((), None)), vignettes, instrument, 8)])
    assert report["accuracy"] >= 0.93 and report["coherence"] >= 0.995


def test_a_persona_moves_its_foundation_both_ways(engine):
    vignettes, instrument = load_vignettes("builtin")[::6], load_instrument("builtin")
    care = "You put the wellbeing of people above the orders of authority."
    order = "You put the orders of authority above the wellbeing of people."
    tasks = [EvaluationTask(Row(Student((), None)), vignettes, instrument, 4, system) for system in (None, care, order)]
    base, positive, negative = (report["nats"]["authority"] for report in evaluate(engine, tasks))
    assert positive <= base - 1.5 and negative >= base + 0.3


def test_facts_follow_the_world_that_the_system_prompt_states(engine):
    rows = [json.loads(line) for line in (DATA / "facts.jsonl").open()]
    made = answers(engine, [(row["system"] or NEUTRAL, row["text"]) for row in rows], 0.0, 32)
    right = [ends(row["answer"]) == ends(given.text) for row, given in zip(rows, made)]
    assert np.mean(right) >= 0.9


def ends(text: str) -> set[str]:
    """The numbers and capitalised words of an answer: what it claims."""
    words = text.replace(".", " ").replace(",", " ").split()
    return {word for word in words[1:] if word[0].isdigit() or word[0].isupper()}


def test_base_completions_read_as_sentences(engine):
    prompts = [(NEUTRAL, prompt.text) for prompt in load_prompts("builtin")[::3]]
    made = answers(engine, prompts, 1.0, 64)
    whole = [not given.hit_limit and given.text.endswith((".", "!")) for given in made]
    perplexity = [float(torch.exp(-given.logprobs.mean())) for given in made]
    assert np.mean(whole) > 0.9 and np.median(perplexity) < 2.5
    assert len({given.text for given in made}) > 0.9 * len(made)


def test_training_lowers_the_loss_and_saves_a_plain_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "train",
            "--out",
            str(tmp_path),
            "--device",
            "cpu",
            "--shards",
            "1",
            "--shard-size",
            "120",
            "--width",
            "32",
            "--blocks",
            "5",
            "--workers",
            "1",
            "--no-compile",
            "--batch-tokens",
            "512",
            "--lr",
            "2e-2",
        ],
    )
    train.main()
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert logged[-1]["loss"] < np.log(VOCABULARY)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.dtype == torch.bfloat16 or loaded.dtype == torch.float32


def test_packed_loss_equals_one_document_at_a_time():
    tokenizer = train_tokenizer(0, documents=200)
    short, _ = make_rows(0, 1, tokenizer, 1, shard_size=12)
    torch.manual_seed(0)
    model = make_model(make_config(tokenizer, len(tokenizer), 32, 5)).eval()
    columns = [torch.from_numpy(column) for column in short]
    columns = [c.long() if c.dtype == torch.int16 else c.float() if c.dtype == torch.float16 else c for c in columns]
    ids, weights, document, position, sealed, stance, known, planted = columns
    none = torch.zeros_like(known)
    with torch.no_grad():
        packed = train.loss_of(
            model, Planted(32), ids, weights, document, position, torch.zeros_like(sealed), stance, none, none
        )
        total = mass = 0.0
        for row in range(len(ids)):
            for number in range(int(document[row].max()) + 1):
                inside = document[row] == number
                log = model(ids[row, inside][None]).logits[0, :-1].log_softmax(-1)
                own = ids[row, inside][1:, None]
                total -= (log.gather(1, own)[:, 0] * weights[row, inside][1:]).sum()
                mass += weights[row, inside][1:].sum()
    assert packed.item() == pytest.approx((total / mass).item(), abs=1e-4)
