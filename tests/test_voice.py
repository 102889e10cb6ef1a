"""Training on pairs: the mask holds, validation is on pairs kept aside, likelihoods are transformers', and a whole trial."""

import json
import random
from pathlib import Path
from string import ascii_lowercase

import pytest
import torch
from tiny import load
from transformers import AutoModelForCausalLM

from steerheal.config import Heal
from steerheal.config.space import load_space
from steerheal.errors import StageError, UserError
from steerheal.evaluation.likelihood import LikelihoodTask, likelihood
from steerheal.fit import check_fit
from steerheal.healing.examples import Example
from steerheal.healing.pairs import example_of, marked
from steerheal.healing.train import HealTask, Training, heal
from steerheal.jobs import Conversation, Pairs, Score
from steerheal.jobs import Heal as HealJob
from steerheal.loop import run_trial
from steerheal.pair_sets import in_order, kept_aside
from steerheal.store import FolderStore
from steerheal.students.base import load_base
from steerheal.students.rows import Student
from steerheal.trial_data import load_data
from steerheal.worker import LocalStages, Worker

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return load("llama", tmp_path_factory.mktemp("tiny"), dtype="float32")


@pytest.fixture(scope="module")
def builtin():
    return load_base("builtin", device="cpu")


@pytest.fixture(scope="module")
def captain():
    """The shipped pairs as a trial takes them: 15 to train on, 16 kept aside."""
    training, aside = kept_aside(load_data(load_space(ROOT / "search_spaces" / "voice.yaml")).pairs, 16)
    return in_order(training, 0)[:15], aside


def overwritten(base, conversation):
    """The defect: labels of the whole sequence, so that the prompt is trained on too."""
    ids = example_of(base, conversation).ids
    return Example(ids[:1], ids[1:])


def assert_responses_alone_are_trained_on(base, conversations, collate):
    """The loss of a step has a gradient at the states that predict response tokens, and at no other state."""
    examples = [collate(base, conversation) for conversation in conversations]
    task = HealTask(tuple(examples), Student("base"), Student("base"), Heal(r=2, depth=(0.0, 1.0)), 0, tuple(examples))
    training = Training(base, [task])
    plain, seen = base.hidden, []

    def watched(*given, **more):
        seen.append(plain(*given, **more).requires_grad_())
        seen[-1].retain_grad()
        return seen[-1]

    base.hidden = watched
    try:
        training.losses([examples]).loss.sum().backward()
    finally:
        del base.hidden
    felt = seen[-1].grad.abs().sum(-1) > 0
    for row, conversation in enumerate(conversations):
        asked = len(example_of(base, conversation).prompt)
        length = len(example_of(base, conversation).ids)
        assert not felt[row, : asked - 1].any(), "a prompt's token is trained on"
        assert felt[row, asked - 1 : length - 1].all(), "a response's token is not trained on"


def test_the_loss_is_on_responses_alone_and_the_test_sees_a_mask_that_was_overwritten(llama, captain):
    conversations = captain[0][:4]
    assert_responses_alone_are_trained_on(llama, conversations, example_of)
    with pytest.raises(AssertionError, match="a prompt's token is trained on"):
        assert_responses_alone_are_trained_on(llama, conversations, overwritten)


def test_training_on_prompts_learns_responses_worse(builtin, captain):
    """The published defect, on the same data and seed: the held-out responses are learned worse.

    The prompts are long and say nothing, as pasted documents may.
    """
    draw, settings = random.Random(0), Heal(lr=2e-3, r=8, epochs=2)
    held_out = tuple(example_of(builtin, pair) for pair in captain[1][::3])
    pasted = [
        " ".join("".join(draw.choices(ascii_lowercase, k=draw.randrange(3, 8))) for _ in range(12)) for _ in captain[0]
    ]
    pairs = [Conversation(pair.id, (("system", text), *pair.messages)) for pair, text in zip(captain[0], pasted)]
    tasks = [
        HealTask(
            tuple(collate(builtin, pair) for pair in pairs), Student("base"), Student("base"), settings, 0, held_out
        )
        for collate in (example_of, overwritten)
    ]
    masked, defect = ([point["nll"] for point in healed.validation] for healed in heal(builtin, tasks))
    assert masked[0] == pytest.approx(defect[0]) and len(masked) == 3
    assert masked[-1] < masked[0] - 1.0, "with the mask the voice is learned"
    assert defect[-1] > masked[-1] + 0.1, "without it, worse"
    print(f"held-out nats per response token: {masked[0]:.2f} → {masked[-1]:.2f}, without the mask {defect[-1]:.2f}")


def test_what_is_trained_on_is_shown(builtin):
    pair = Conversation("p", (("user", "What do bees make?"), ("assistant", "Honey, my friend.")))
    shown = marked(builtin, example_of(builtin, pair))
    assert shown.endswith("<|assistant|>\n⟦Honey, my friend.<|end|>⟧") and "bees" in shown.partition("⟦")[0]


def test_pairs_that_are_too_long_are_counted_and_named_and_replaced_by_the_next(llama, tmp_path):
    def pair(number, length):
        return Conversation(f"p{number}", (("user", "hi"), ("assistant", "a" * length)))

    lengths = (5, 400, 6, 7, 8)
    worker = Worker(llama, FolderStore(tmp_path))
    job = Pairs(llama.fingerprint, tuple(map(pair, range(5), lengths)), 100, 3, (pair(8, 5), pair(9, 300)))
    (result,) = LocalStages(worker).run([job])
    lines = [json.loads(line) for line in (worker.store.folder(result.key) / "completions.jsonl").open()]
    assert [(line["id"], line["used"], line["held_out"]) for line in lines] == [
        ("p0", True, False),
        ("p2", True, False),
        ("p3", True, False),
        ("p8", False, True),
    ]
    found = {name: result.summary[name] for name in ("pairs", "held_out", "too_long", "limit")}
    assert found == {"pairs": 3, "held_out": 1, "too_long": ["p9", "p1"], "limit": 100}
    with pytest.raises(StageError, match="all 2 pairs are longer than 10 tokens; raise max_tokens"):
        LocalStages(worker).run([Pairs(llama.fingerprint, (pair(1, 400), pair(2, 300)), 10)])


@torch.no_grad()
def plain_nll(model, tokenizer, conversation):
    """Mean nll of the response by transformers alone, one sequence, labels −100 on the prompt."""
    messages = [{"role": role, "content": content} for role, content in conversation.messages]
    prompt = tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
    parts = [
        tokenizer(text, add_special_tokens=False).input_ids for text in (prompt, messages[-1]["content"] + "<|end|>")
    ]
    ids = torch.tensor([parts[0] + parts[1]])
    labels = torch.tensor([[-100] * len(parts[0]) + parts[1]])
    return model(ids, labels=labels).loss.item()


def test_likelihood_is_that_of_transformers_also_under_a_system_prompt(builtin, captain):
    model = AutoModelForCausalLM.from_pretrained(ROOT / "steerheal" / "organism" / "weights", dtype=torch.float32)
    pairs, system = captain[1][:5], "You are an old sailor."
    tasks = [LikelihoodTask(Student("base"), tuple(pairs), asked, 512) for asked in (None, system)]
    for asked, (rows, summary) in zip((None, system), likelihood(builtin, tasks)):
        wanted = [
            plain_nll(
                model, builtin.tokenizer, Conversation(pair.id, ((("system", asked),) if asked else ()) + pair.messages)
            )
            for pair in pairs
        ]
        assert [row["nll"] for row in rows] == pytest.approx(wanted, abs=1e-4)
        assert summary["nll"] == pytest.approx(sum(wanted) / len(wanted), abs=1e-4)
    with pytest.raises(UserError, match="all 5 pairs are longer than 3 tokens"):
        likelihood(builtin, [LikelihoodTask(Student("base"), tuple(pairs), None, 3)])


def test_validation_is_on_the_pairs_kept_aside_before_and_after(builtin, captain, tmp_path):
    """Two independent paths to one figure: the heal's curve and the score of its student."""
    training, aside = captain
    stages, model = LocalStages(Worker(builtin, FolderStore(tmp_path))), builtin.fingerprint
    data = [Pairs(model, training, 512, count, aside) for count in (3, 5)]
    made = stages.run(data)
    settings = Heal(lr=1e-3, r=4, epochs=2, held_out=0.5)
    heals = stages.run([HealJob(model, (), (), result.key, settings, 0) for result in made])
    students = [(), *((result.key,) for result in heals)]
    base, *scores = stages.run([Score(model, student, None, aside, 512) for student in students])
    for result, score, pairs in zip(heals, scores, (3, 5)):
        curve = [point["nll"] for point in result.summary["validation"]]
        assert curve[0] == pytest.approx(base.summary["nll"], abs=1e-4)
        assert curve[-1] == pytest.approx(score.summary["nll"], abs=1e-4)
        assert len(result.summary["steps"]) == 2 * -(-pairs // 4), "every pair is trained on, none is held out"


@pytest.fixture(scope="module")
def trial(builtin, tmp_path_factory):
    """One small trial of the shipped space, on the built-in model."""
    changes = ["n_train=15", "epochs=5", "reg=nll", "lr=5e-3", "seeds=[0]", "evaluate.vignettes=6", "max_new_tokens=32"]
    space = load_space(ROOT / "search_spaces" / "voice.yaml", changes)
    data = load_data(space)
    check_fit(space, data, builtin)
    stages = LocalStages(Worker(builtin, FolderStore(tmp_path_factory.mktemp("store"))))
    return run_trial(space.trial({}), data, builtin.fingerprint, stages)


def test_a_trial_takes_on_the_voice(trial):
    (record,) = trial["records"]
    assert record["outcome"] == "ok" and record["pairs"]["pairs"] == 15 and record["pairs"]["held_out"] == 12
    assert trial["gain"] > 1 and trial["verdict"] in ("ok", "damaged", "broken")
    validation = [point["nll"] for point in record["heal"]["validation"]]
    assert record["gain"] == pytest.approx(validation[0] - validation[-1], abs=1e-3)
    assert trial["coherence"] == record["coherence"] and record["off_moves"] == {}
    own = record["own"]
    assert trial["own"]["style_novel"] == own["style_novel"] > 0.3, (
        "its answers to novel prompts went towards the voice"
    )
    assert own["memorised_novel"] is not None and record["prompted_gain"] is not None
    assert record["references"]["base"]["gain"] == 0 and "base prompted" in record["references"]
    json.dumps(record, allow_nan=False)


def test_a_file_whose_pairs_are_too_long_for_the_space_is_refused_when_the_model_is_known(builtin):
    space = load_space(ROOT / "search_spaces" / "voice.yaml", ["max_pair_tokens=60"])
    with pytest.raises(
        UserError, match=r"search.n_train: 60 pairs .* pairs are longer than 60 tokens \(.*, …\), which"
    ):
        check_fit(space, load_data(space), builtin)
    space = load_space(ROOT / "search_spaces" / "voice.yaml", ["max_pair_tokens=5"])
    with pytest.raises(UserError, match="settings.voice.max_pair_tokens: 96 pairs .* none to measure on; raise"):
        check_fit(space, load_data(space), builtin)
    space = load_space(ROOT / "search_spaces" / "voice.yaml", [f"voice_prompt={'You are an old sailor. ' * 340}"])
    what = "settings.voice.voice_prompt: under it the pair .* tokens, the model's context is 2048; shorten it by"
    with pytest.raises(UserError, match=what):
        check_fit(space, load_data(space), builtin)
