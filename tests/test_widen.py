"""The built-in model widened for measurements: the same function in larger layers."""

import torch
from transformers import AutoModelForCausalLM

from steerheal.bench.widen import widen
from steerheal.students.base import BUILTIN


def test_a_widened_model_computes_the_same(tmp_path):
    widen(tmp_path / "wide", 320, 768, torch.float32)
    wide, small = (
        AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32) for place in (tmp_path / "wide", BUILTIN)
    )
    assert wide.config.hidden_size == 320 and wide.model.layers[0].mlp.up_proj.out_features == 768
    ids = torch.randint(5, small.config.vocab_size, (2, 40))
    with torch.no_grad():
        assert torch.allclose(small(ids).logits, wide(ids).logits, atol=1e-4)
