"""The vector is what its definition says, read off transformers' own hidden states."""

from types import SimpleNamespace

import pytest
import torch
from tiny import DEVICE, random_adapter
from transformers import AutoModelForCausalLM

from steerheal.steering import mean_diff, pca
from steerheal.steering.extract import extract
from steerheal.students.base import Base
from steerheal.students.chat import prompt_ids
from steerheal.students.rows import Student

POSITIVE, NEGATIVE = "You are kind.", "You obey."
CONTEXTS = ("Hello?", "What is the capital of Norway, and why?", "Plan a day.")


def last_state(model, base, system, context, block):
    """After `block`, at the last prompt token, one unpadded prompt at a time."""
    ids = torch.tensor([prompt_ids(base.tokenizer, system, context)], device=DEVICE)
    states = []
    hook = model.model.layers[block].register_forward_hook(
        lambda _module, _args, out: states.append(out[0] if isinstance(out, tuple) else out)
    )
    with torch.no_grad():
        model(ids)
    hook.remove()
    return states[0][0, -1]


def test_mean_diff_equals_transformers(tiny_base, tmp_path):
    tiny_base.model.save_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float64, attn_implementation="eager").to(DEVICE)
    found = extract(tiny_base, Student("base"), POSITIVE, NEGATIVE, CONTEXTS, (1, 3), "mean_diff")
    assert set(found) == {1, 3}
    for block, direction in found.items():
        sides = [
            torch.stack([last_state(model, tiny_base, side, context, block) for context in CONTEXTS]).mean(0)
            for side in (POSITIVE, NEGATIVE)
        ]
        torch.testing.assert_close(direction, (sides[0] - sides[1]).float().cpu(), atol=1e-5, rtol=1e-5)
        assert direction.norm() > 0.01


@pytest.mark.parametrize("method", ["mean_diff", "pca"])
def test_swapped_poles_give_the_opposite_vector(llama_base, method):
    one = extract(llama_base, Student("base"), POSITIVE, NEGATIVE, CONTEXTS, (1,), method)[1]
    other = extract(llama_base, Student("base"), NEGATIVE, POSITIVE, CONTEXTS, (1,), method)[1]
    torch.testing.assert_close(one, -other, atol=1e-6, rtol=1e-5)


def test_a_student_has_a_vector_of_its_own(llama_base):
    student = Student("healed", random_adapter(llama_base, 2, seed=3, blocks=(0, 1)))
    of_base, of_student = (
        extract(llama_base, who, POSITIVE, NEGATIVE, CONTEXTS, (2,), "mean_diff")[2]
        for who in (Student("base"), student)
    )
    assert not torch.allclose(of_base, of_student, atol=1e-3)


def test_both_methods_find_a_planted_direction_with_its_sign_and_length():
    generator = torch.Generator().manual_seed(0)
    planted = torch.zeros(16)
    planted[3] = -5.0
    shared = torch.randn(64, 16, generator=generator)
    noise = 0.1 * torch.randn(64, 16, generator=generator)
    for method in (mean_diff, pca):
        torch.testing.assert_close(method.direction(shared + planted + noise, shared), planted, atol=0.1, rtol=0)


def test_pca_leaves_out_what_varies_apart_from_the_main_component():
    """The mean keeps both axes; pca the first component of the uncentred differences, with the mean's sign."""
    positive, negative = torch.tensor([[4.0, 1.0], [4.0, 0.0]]), torch.zeros(2, 2)
    found = pca.direction(positive, negative)
    assert mean_diff.direction(positive, negative).tolist() == [4.0, 0.5]
    _, _, axes = torch.linalg.svd(positive)
    torch.testing.assert_close(found.abs() / found.norm(), axes[0].abs())
    assert found @ torch.tensor([4.0, 0.5]) > 0


@pytest.mark.parametrize(
    "count, blocks", [(34, (15, 16, 17)), (36, (16, 17, 18)), (32, (14, 15, 16)), (2, (0,)), (1, (0,))]
)
def test_an_unknown_models_middle_blocks(count, blocks):
    assert Base.depth_blocks(SimpleNamespace(blocks=range(count)), 0.45, 0.55) == blocks
