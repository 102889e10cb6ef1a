"""A 4-bit base: the same engine and healing, with gradients that are right."""

import bitsandbytes
import pytest
import torch
from test_healing import examples, flat
from tiny import save

from steerheal.config import Heal
from steerheal.generation.engine import Engine
from steerheal.generation.request import Request
from steerheal.healing.train import HealTask, heal
from steerheal.students.base import load_base
from steerheal.students.rows import Row, Student

SIZES = {"hidden_size": 128, "intermediate_size": 256, "head_dim": 32}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A model in 4-bit, and a copy with the dequantised weights in full precision."""
    folder = save("llama", tmp_path_factory.mktemp("tiny") / "llama", torch.float32, **SIZES)
    quantised = load_base(str(folder), dtype="float32", load_in_4bit=True, device="cpu")
    plain = load_base(str(folder), dtype="float32", device="cpu")
    for site in quantised.sites:
        weight = quantised.model.get_submodule(site).weight
        full = bitsandbytes.functional.dequantize_4bit(weight.data, weight.quant_state)
        plain.model.get_submodule(site).weight.data.copy_(full)
    return quantised, plain


def test_generation_equals_the_dequantised_model(pair):
    request = Request(tuple(range(10, 40)), Row(Student("base")), 12, stream=3)
    quantised, plain = (Engine(base).run([request])[0].ids for base in pair)
    assert quantised == plain


def test_healing_after_inference_equals_the_dequantised_model(pair):
    task = HealTask(examples(), Student("base"), Student("base"), Heal(r=3, lora_alpha=6.0, epochs=2, lr=1e-3), 0)
    quantised, plain = (heal(base, [task])[0] for base in pair)
    torch.testing.assert_close(flat(quantised.adapter), flat(plain.adapter), atol=1e-4, rtol=1e-3)
    assert quantised.steps[-1]["nll"] < quantised.steps[0]["nll"]


def test_precision_is_part_of_the_fingerprint(pair):
    assert pair[0].fingerprint != pair[1].fingerprint
