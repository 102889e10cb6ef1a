"""Models that compute what this code would leave out are refused when they are loaded, in one line."""

import pytest
import torch
import transformers
from tiny import COMMON, WITH_SYSTEM, tokenizer
from transformers import AutoModelForCausalLM

from steerheal.errors import UserError
from steerheal.students.base import load_base

FOREIGN = {
    "capped scores": (transformers.Gemma2Config(**COMMON, attn_logit_softcapping=5.0), "softcap"),
    "scaled logits": (transformers.GraniteConfig(**COMMON, logits_scaling=8.0), "output head"),
    "other scaled logits": (transformers.CohereConfig(**COMMON, logit_scale=0.06), "output head"),
}


def saved(config, folder):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.normal_(std=0.3)
    model.save_pretrained(folder)
    tokenizer(WITH_SYSTEM).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("what", FOREIGN)
def test_a_model_that_would_be_run_wrongly(tmp_path, what):
    config, named = FOREIGN[what]
    with pytest.raises(UserError) as refused:
        load_base(saved(config, tmp_path / "model"), device="cpu")
    said = str(refused.value)
    assert named in said and said.endswith("use a model of the Gemma-3, Qwen3, Llama or Mistral families")
    assert "\n" not in said


def test_another_architecture_that_is_run_as_it_is(tmp_path):
    base = load_base(saved(transformers.Phi3Config(**COMMON), tmp_path / "model"), device="cpu")
    assert len(base.blocks) == COMMON["num_hidden_layers"]
