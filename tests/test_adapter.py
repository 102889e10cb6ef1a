"""Adapters on disk are ordinary PEFT, and what is not is refused in one line."""

import json

import pytest
import torch
from peft import PeftModel
from tiny import DEVICE, random_adapter, save, save_with_vision
from transformers import AutoModelForCausalLM

from steerheal.errors import UserError
from steerheal.students.adapter import CONFIG_FILE, WEIGHTS_FILE, fold, from_peft, to_peft
from steerheal.students.base import Plan, load_base
from steerheal.students.batching import sight_of
from steerheal.students.rows import GroupedAdapters, Student

IDS = torch.arange(10, 50, device=DEVICE)[None]


def write(base, adapter, folder):
    folder.mkdir()
    for name, payload in to_peft(adapter, base.anatomy).items():
        (folder / name).write_bytes(payload)
    return folder


def own_logits(base, adapter):
    plan = Plan(adapters=GroupedAdapters([Student("s", adapter)], base.device))
    return base.logits(base.hidden(IDS, plan, sight_of(IDS)))


@pytest.mark.parametrize("rounds", [1, 3])
def test_peft_gives_the_same_logits(tiny_base, tmp_path, rounds):
    history = [random_adapter(tiny_base, 2 + n, n) for n in range(rounds)]
    adapter = fold(history) if rounds > 1 else history[0]
    folder = write(tiny_base, adapter, tmp_path / "an adapter")
    tiny_base.model.save_pretrained(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(
        tmp_path / "model", dtype=torch.float64, attn_implementation="eager"
    ).to(DEVICE)
    plain = model(IDS).logits
    with torch.no_grad():
        theirs = PeftModel.from_pretrained(model, folder).double()(IDS).logits
    torch.testing.assert_close(own_logits(tiny_base, adapter), theirs, atol=1e-5, rtol=1e-5)
    assert (theirs - plain).abs().max() > 0.01


def test_a_model_with_a_vision_tower_is_steered_and_exported_as_text(tmp_path):
    base = load_base(str(save_with_vision(tmp_path / "model")), dtype="float64", device=DEVICE)
    folder = write(base, random_adapter(base, 3, 0), tmp_path / "adapter")
    read = from_peft(folder, base.anatomy).to(base.device, base.dtype)
    model = AutoModelForCausalLM.from_pretrained(
        tmp_path / "model", dtype=torch.float64, attn_implementation="eager"
    ).to(DEVICE)
    with torch.no_grad():
        torch.testing.assert_close(base.logits(base.hidden(IDS, Plan(), sight_of(IDS))), model(IDS).logits)
        adapted = PeftModel.from_pretrained(model, folder).double()
        torch.testing.assert_close(own_logits(base, read), adapted(IDS).logits, atol=1e-5, rtol=1e-5)
    assert not any("vision" in name for name, _ in adapted.named_parameters() if "lora" in name)


def test_reading_back_gives_the_same_weights(llama_base, tmp_path):
    adapter = random_adapter(llama_base, 4, 0)
    again = from_peft(write(llama_base, adapter, tmp_path / "a"), llama_base.anatomy)
    assert again.scale == adapter.scale and again.rank == 4
    for site in adapter.a:
        torch.testing.assert_close(again.a[site].double(), adapter.a[site].cpu(), atol=1e-6, rtol=1e-6)


def test_folding_adds_up(llama_base):
    history = [random_adapter(llama_base, 2, n) for n in range(3)]
    folded = fold(history)
    site = next(iter(folded.a))
    total = sum(h.scale * h.b[site] @ h.a[site] for h in history)
    torch.testing.assert_close(folded.b[site] @ folded.a[site], total)


def refused(base, folder, *words):
    with pytest.raises(UserError) as caught:
        from_peft(folder, base.anatomy)
    message = str(caught.value)
    assert "\n" not in message and str(folder) in message
    for word in words:
        assert word in message, message


def test_bad_adapters_are_refused(llama_base, tmp_path):
    adapter = random_adapter(llama_base, 2, 0)
    folder = write(llama_base, adapter, tmp_path / "a")
    weights = (folder / WEIGHTS_FILE).read_bytes()
    (folder / WEIGHTS_FILE).write_bytes(weights[: len(weights) // 2])
    refused(llama_base, folder, "damaged")
    (folder / WEIGHTS_FILE).unlink()
    refused(llama_base, folder, "not an adapter")
    next(iter(adapter.b.values()))[0, 0] = float("inf")
    refused(llama_base, write(llama_base, adapter, tmp_path / "b"), "NaN or infinite")
    config = json.loads((folder / CONFIG_FILE).read_text())
    (folder / WEIGHTS_FILE).write_bytes(weights)
    (folder / CONFIG_FILE).write_text(json.dumps(config | {"r": 9}))
    refused(llama_base, folder, "r: 9 differs")


def test_an_adapter_for_another_model_names_it(llama_base, tmp_path):
    adapter = random_adapter(llama_base, 2, 0)
    renamed = {site.replace("q_proj", "query"): t for site, t in adapter.a.items()}
    other = type(adapter)(renamed, {site.replace("q_proj", "query"): t for site, t in adapter.b.items()}, 1.0)
    refused(llama_base, write(llama_base, other, tmp_path / "a"), "made for", llama_base.name)
    narrow = type(adapter)({s: t[:, :-1] for s, t in adapter.a.items()}, adapter.b, 1.0)
    refused(llama_base, write(llama_base, narrow, tmp_path / "b"), "made for", "shapes")
    twin = load_base(str(save("llama", tmp_path / "twin", seed=1)), dtype="float64", device=DEVICE)
    refused(llama_base, write(twin, adapter, tmp_path / "c"), "trained for", twin.name, llama_base.name)


def test_models_that_cannot_be_loaded(tmp_path):
    cut = save("llama", tmp_path / "cut")
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    silent = save("llama", tmp_path / "silent")
    (silent / "chat_template.jinja").unlink()
    for folder, word in ((cut, "cannot be loaded"), (silent, "chat template"), (tmp_path / "none", "model")):
        with pytest.raises(UserError, match=word) as caught:
            load_base(str(folder), device=DEVICE)
        assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
